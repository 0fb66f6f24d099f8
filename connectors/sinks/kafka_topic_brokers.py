"""A producer to the brokers of a topic: who they are, and how they let us in."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from kafka.errors import KafkaError, KafkaTimeoutError

from connectors.certificates import load_authorities, load_pair
from connectors.kafka.hidden import Hidden
from connectors.kafka.producing import Producer
from connectors.kafka.tokens import token_provider
from connectors.kafka.watching import Client, RefusedError
from pipeline.model.errors import OutriderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from connectors.http.client import Tokens
    from connectors.sinks.kafka_topic_errors import Gate

Security: TypeAlias = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism: TypeAlias = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

# The broker decides what is too large: 1 MiB unless its topic says otherwise.
_REQUEST_OCTETS: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Brokers:
    """Where the brokers are, and what to show to them.

    Attributes:
        servers: to ask first, ``HOST:PORT``.
        security: how they are spoken to; with SSL their certificates and names are checked.
        mechanism: of SASL.
        username: with PLAIN and SCRAM.
        password: gives the one of that user.
        tokens: who gives tokens, with OAUTHBEARER.
        scope: of these tokens.
        ca_file: authorities to trust, PEM; None = those of the machine.
        certificate_file: our own certificate, PEM; None = none.
        key_file: its private key, PEM.
        key_password: asked for if that is encrypted.
    """

    servers: tuple[str, ...]
    security: Security = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = field(default="", repr=False)
    password: Callable[[], str] = field(default=str, repr=False)
    tokens: Tokens | None = field(default=None, repr=False)
    scope: str = ""
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: Callable[[], str] = field(default=str, repr=False)

    def options(self) -> dict[str, Any]:
        """Options of the client; with OAUTHBEARER this signs in.

        Raises:
            ConfigError: a secret or a certificate cannot be read.
            AuthError: the sign-in for a token is refused.
            RetriableError: the sign-in service does not answer.
        """
        told: dict[str, Any] = {
            "bootstrap_servers": list(self.servers),
            "security_protocol": self.security,
        }
        if self.security.endswith("SSL"):
            told |= self._tls()
        if self.security.startswith("SASL"):
            told["sasl_mechanism"] = self.mechanism
            if self.tokens is not None:
                told["sasl_oauth_token_provider"] = token_provider(self.tokens, self.scope)
            else:
                told["sasl_plain_username"] = Hidden(self.username)
                told["sasl_plain_password"] = Hidden(self.password())
        return told

    def _tls(self) -> dict[str, Any]:
        """The client reads the files anew for each connection; a broken one it tries for ever."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        told: dict[str, Any] = {"ssl_check_hostname": True}
        if self.ca_file is not None:
            load_authorities(context, self.ca_file)
            told["ssl_cafile"] = str(self.ca_file)
        if self.certificate_file is not None and self.key_file is not None:
            load_pair(context, self.certificate_file, self.key_file, self.key_password)
            told |= {
                "ssl_certfile": str(self.certificate_file),
                "ssl_keyfile": str(self.key_file),
                "ssl_password": self.key_password,
            }
        return told


def producer(brokers: Brokers, topic: str, gate: Gate, seconds: float) -> Producer:
    """A producer of which a broker takes each record once, and keeps it on all its copies.

    Args:
        brokers: to write to.
        topic: that must be there.
        gate: what the ends of connections mean.
        seconds: to wait for an answer.

    Raises:
        RetriableError: no broker answers.
        AuthError: a broker keeps us out, or the topic is kept from us.
        FatalError: the topic is not there, or a file cannot be read.
    """
    milliseconds = int(1000 * seconds)
    watched: list[Client] = []

    def connections(**more: Any) -> Client:
        watched.append(Client(gate, **more))
        return watched[0]

    try:
        made = Producer(
            kafka_client=connections,
            client_id="outrider",
            acks="all",
            enable_idempotence=True,
            max_request_size=_REQUEST_OCTETS,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            bootstrap_timeout_ms=milliseconds,
            max_block_ms=milliseconds,
            request_timeout_ms=milliseconds,
            delivery_timeout_ms=milliseconds,
            **brokers.options(),
        )
    except (KafkaError, OutriderError) as error:
        problem = watched[0].problem if watched else None
        for client in watched:
            client.stop()
        raise gate.failure(problem or error) from None
    made.watched = watched[0].watched
    try:
        _find(made, topic, gate)
    except BaseException:
        made.close(timeout=0)
        raise
    return made


def _find(made: Producer, topic: str, gate: Gate) -> None:
    """See that the topic is there and ours to write: the client's own error tells neither."""
    watched = made.watched
    try:
        made.partitions_for(topic)
    except KafkaTimeoutError as error:
        if watched.problem is not None:
            raise gate.failure(watched.problem) from None
        if watched.least_used_connections():
            raise gate.missing() from None
        raise gate.failure(error) from None
    except KafkaError as error:
        raise gate.failure(error.reason if isinstance(error, RefusedError) else error) from None
