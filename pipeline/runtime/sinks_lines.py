"""Sinks that send or write lines of text, made from their sections of the configuration."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.encoders.ocsf_incident import ocsf
from connectors.sinks.files import FilesSink
from connectors.sinks.kafka_topic import KafkaTopicSink
from connectors.sinks.kafka_topic_brokers import Brokers
from connectors.sinks.rotating import Rotation
from connectors.sinks.syslog import SyslogSink
from connectors.sinks.syslog_connection import Receiver
from connectors.sinks.syslog_frame import Messages
from pipeline.model.errors import ConfigError
from pipeline.runtime.config_lines import Files, KafkaTopic, Syslog
from pipeline.runtime.identity import signed_in
from pipeline.runtime.secret_files import read_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.http.client import Tokens
    from connectors.sinks.encoders.encoder import Encoder
    from pipeline.runtime.config_lines import Lines
    from pipeline.runtime.config_microsoft import Microsoft


def make(
    name: str, section: Syslog | KafkaTopic | Files, microsoft: Microsoft
) -> SyslogSink | KafkaTopicSink | FilesSink:
    """The sink of one destination.

    Args:
        name: of the destination, ``syslog.main``.
        section: its section, checked already.
        microsoft: who signs in, for a topic that takes tokens.

    Raises:
        ConfigError: a certificate or key cannot be read, or nobody is there to sign in.
    """
    if isinstance(section, Syslog):
        return _syslog(name, section)
    if isinstance(section, KafkaTopic):
        return _topic(name, section, microsoft)
    rotation = Rotation(section.max_bytes, section.daily, section.keep, section.compress)
    return FilesSink(section.folder, _form(section), rotation)


def _form(section: Lines) -> Encoder:
    if section.form == "ocsf":
        return ocsf(section.assignee_group)
    return FORMS[section.form]


def _syslog(name: str, section: Syslog) -> SyslogSink:
    receiver = Receiver(
        section.host,
        section.port,
        tls=section.transport == "tls",
        ca_file=section.ca_file,
        certificate_file=section.certificate_file,
        key_file=section.certificate_key_file,
        key_password=_key_password(name, section),
    )
    messages = Messages(
        _form(section),
        facility=section.facility,
        hostname=section.hostname,
        enterprise=section.enterprise_number,
        octets=section.message_bytes,
        mark=section.byte_order_mark,
    )
    return SyslogSink(
        receiver, messages, seconds=section.timeout_seconds, confirmed=section.confirmed
    )


def _topic(name: str, section: KafkaTopic, microsoft: Microsoft) -> KafkaTopicSink:
    brokers = Brokers(
        tuple(section.servers),
        section.security,
        section.sasl_mechanism,
        section.username or "",
        partial(
            read_secret,
            section.password_file,
            section.password_variable or "",
            f"the password of {name}",
            "password_file",
        ),
        _tokens(name, section, microsoft),
        section.token_scope or "",
        section.ca_file,
        section.certificate_file,
        section.certificate_key_file,
        _key_password(name, section),
    )
    return KafkaTopicSink(
        brokers, section.topic, _form(section), key=section.key, seconds=section.timeout_seconds
    )


def _tokens(name: str, section: KafkaTopic, microsoft: Microsoft) -> Tokens | None:
    if not section.security.startswith("SASL") or section.sasl_mechanism != "OAUTHBEARER":
        return None
    if not any(microsoft.ways.values()):
        raise ConfigError(
            f"{name}: nobody is there to sign in for a token; tell in [microsoft] who does, with a "
            "certificate, a secret, a federated token or managed_identity"
        )
    return signed_in(microsoft, microsoft.tenant or "")


def _key_password(name: str, section: Syslog | KafkaTopic) -> Callable[[], str]:
    return partial(
        read_secret,
        section.certificate_key_password_file,
        section.certificate_key_password_variable or "",
        f"{section.certificate_key_file}: the key is encrypted, and its password",
        f"{name}.certificate_key_password_file",
    )
