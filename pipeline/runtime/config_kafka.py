"""The section of the configuration that tells where the brokers are and how they let us in."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path  # noqa: TC003 # pydantic reads the annotation at run time
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from pipeline.runtime.config_entra import Entra
from pipeline.runtime.config_section import Section
from pipeline.runtime.secret_files import (
    KAFKA_KEY_PASSWORD,
    KAFKA_PASSWORD,
    exposed,
    read_secret,
)

# What [kafka] and [deliver.kafka.NAME] say alike.
Security = Annotated[
    Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
    Field(
        description="How the brokers are spoken to. With SSL, their certificates and host names "
        "are always checked."
    ),
]
AllowCleartext = Annotated[
    bool,
    Field(description="Let SASL_PLAINTEXT send passwords and tokens readable over a network."),
]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
Username = Annotated[
    str | None,
    Field(
        min_length=1,
        repr=False,
        description="Name to show, with PLAIN and SCRAM.",
        examples=["outrider"],
    ),
]

_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):(\d{1,5})")


def check_servers(addresses: list[str]) -> list[str]:
    """The addresses of brokers as they are; raises ValueError if one is none."""
    for text in addresses:
        match = _SERVER.fullmatch(text)
        if match is None or not 0 < int(match[2]) < 65_536:
            raise ValueError("write each broker as HOST:PORT, an IPv6 host in [ ]")
    return addresses


def host_of(server: str) -> str:
    """The host of ``HOST:PORT``.

    >>> host_of("[::1]:9092"), host_of("kafka.example.net:9093")
    ('::1', 'kafka.example.net')
    """
    return server.rpartition(":")[0].strip("[]")


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_cleartext(security: Security, servers: list[str]) -> None:
    """Raise ValueError if what lets us in would go readable to another machine."""
    far = _far(servers)
    if security == "SASL_PLAINTEXT" and far:
        raise ValueError(
            f"security SASL_PLAINTEXT would send what lets us in readable to {far[0]}; use "
            "SASL_SSL, or set allow_cleartext = true"
        )


def _far(servers: list[str]) -> list[str]:
    """Those on other machines."""
    return [server for server in servers if not is_loopback(host_of(server))]


class Kafka(Section):
    """The broker of a run with many workers; an embedded run needs none."""

    servers: Annotated[list[str], AfterValidator(check_servers)] = Field(
        default_factory=list,
        description="Brokers to ask first, as HOST:PORT.",
        examples=[["kafka-1.example.net:9093", "kafka-2.example.net:9093"]],
    )
    prefix: str = Field(
        default="outrider",
        pattern=r"^[A-Za-z0-9_-]+$",
        description="First word of all topics, groups and transactions.",
    )
    partitions: int = Field(
        default=8,
        ge=1,
        le=10_000,
        description="Partitions of each topic: at most so many workers share the tenants.",
    )
    replication: int = Field(
        default=3, ge=1, le=9, description="Copies of each partition; 1 on a single broker."
    )
    retention_days: int = Field(
        default=14,
        ge=3,
        le=3650,
        description="How long records and documents stay in their topics.",
    )
    snapshot_rows: int = Field(
        default=200_000,
        ge=1,
        description="Records after which a tenant's state is stored anew; whoever takes a tenant "
        "over takes in again what came since.",
    )
    security: Security = "PLAINTEXT"
    allow_cleartext: AllowCleartext = False
    sasl_mechanism: Mechanism = Field(
        default="SCRAM-SHA-512",
        description="How we show who we are, with SASL; OAUTHBEARER is set up in kafka.oauth.",
    )
    username: Username = None
    password_file: Path | None = Field(
        default=None,
        description="File with the password, with PLAIN and SCRAM; its last newline does not "
        f"count. Or set {KAFKA_PASSWORD}.",
        examples=["/run/secrets/kafka-password"],
    )
    ca_file: Path | None = Field(
        default=None,
        description="Authorities to trust, PEM; default: those of the machine.",
        examples=["/etc/outrider/kafka-ca.pem"],
    )
    certificate_file: Path | None = Field(
        default=None,
        description="Our own certificate, PEM, where brokers ask for one.",
        examples=["/etc/outrider/client.pem"],
    )
    certificate_key_file: Path | None = Field(
        default=None,
        description="The certificate's private key, PEM.",
        examples=["/run/secrets/client.key"],
    )
    certificate_key_password_file: Path | None = Field(
        default=None,
        description="File with the password of an encrypted private key; or set "
        f"{KAFKA_KEY_PASSWORD}.",
        examples=["/run/secrets/client-key-password"],
    )
    oauth: Entra = Field(default_factory=Entra)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security.endswith("SSL")

    @property
    def sasl(self) -> bool:
        """Whether a password or a token is sent."""
        return self.security.startswith("SASL")

    @property
    def tokens(self) -> bool:
        """Whether it is a token of Entra that is sent."""
        return self.sasl and self.sasl_mechanism == "OAUTHBEARER"

    @model_validator(mode="after")
    def _one_way_in(self) -> Kafka:
        """See that the keys that are in use fit each other."""
        if self.tokens:
            self.oauth.check("oauth")
        elif self.sasl and self.username is None:
            raise ValueError(f"username is missing: {self.sasl_mechanism} needs it")
        if self.tls and (self.certificate_file is None) is not (self.certificate_key_file is None):
            raise ValueError("certificate_file and certificate_key_file go together; name both")
        if not self.allow_cleartext:
            refuse_cleartext(self.security, self.servers)
        return self

    def password(self) -> str:
        """The password that ``password_file`` holds, or else the environment.

        Raises:
            ConfigError: there is none, or the file cannot be read.
        """
        what = "the password of Kafka"
        return read_secret(self.password_file, KAFKA_PASSWORD, what, "kafka.password_file")

    def key_password(self) -> str:
        """The password of the certificate's private key.

        Raises:
            ConfigError: there is none, or the file cannot be read.
        """
        return read_secret(
            self.certificate_key_password_file,
            KAFKA_KEY_PASSWORD,
            f"{self.certificate_key_file}: the key is encrypted, and its password",
            "kafka.certificate_key_password_file",
        )

    def remarks(self) -> list[str]:
        """What works and is still not as it should be, a sentence each."""
        found, far = [], _far(self.servers)
        if not self.tls and far:
            found.append(
                f"kafka.security is {self.security}: everything is readable on the way to "
                f"{far[0]}; use {self.security.replace('PLAINTEXT', 'SSL')}"
            )
        idle = [] if self.sasl else ["username", "password_file"]
        idle += [] if self.tls else ["ca_file", "certificate_file", "certificate_key_file"]
        idle = [name for name in idle if getattr(self, name) is not None]
        if idle:
            found.append(
                f"kafka.{idle[0]} is set and not used, since kafka.security is {self.security}"
            )
        secrets = [self.password_file] if self.sasl and not self.tokens else []
        secrets += self.oauth.secret_files if self.tokens else []
        if self.tls:
            secrets += [self.certificate_key_file, self.certificate_key_password_file]
        return found + exposed(secrets)
