"""Sections of the configuration for destinations that take lines of text.

``[deliver.syslog.NAME]``, ``[deliver.kafka.NAME]``, ``[deliver.files.NAME]``.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 # pydantic reads the annotation at run time
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from connectors.sinks.syslog_frame import ENTERPRISE, LEAST_OCTETS, OCTETS
from pipeline.runtime.config_kafka import (
    AllowCleartext,
    Mechanism,
    Security,
    Username,
    check_servers,
    is_loopback,
    refuse_cleartext,
)
from pipeline.runtime.config_section import Section, Variable
from pipeline.runtime.secret_files import exposed

# A name, or an address of IPv4 or IPv6; a port has a key of its own.
_HOST: Final = r"^([^\s\[\]/@:]+|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)$"
_CA: Final = "Authorities to trust for its certificate, PEM; without it those of the machine."

Form = Literal["json", "ocsf", "ecs", "cef", "leef"]
Facility = Literal[
    "user", "daemon", "auth", "authpriv", "audit", "alert",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
]  # fmt: skip


class Lines(Section):
    """What destinations of lines have in common."""

    form: Form = Field(
        default="json", description="Form of flags and incidents; json: our own documents."
    )
    assignee_group: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="With form ocsf: the group that incidents are assigned to. They become "
        "Incident Findings (class 2005) instead of Detection Findings.",
        examples=["Messaging on-call"],
    )


class Secured(Section):
    """Certificates of a connection."""

    ca_file: Path | None = Field(default=None, description=_CA, examples=["/etc/outrider/ca.pem"])
    certificate_file: Path | None = Field(
        default=None,
        description="Our own certificate, PEM, where the other side asks for one.",
        examples=["/etc/outrider/client.pem"],
    )
    certificate_key_file: Path | None = Field(
        default=None,
        description="That certificate's private key, PEM.",
        examples=["/run/secrets/client.key"],
    )
    certificate_key_password_file: Path | None = Field(
        default=None,
        description="File with the password of an encrypted private key.",
        examples=["/run/secrets/client-key-password"],
    )
    certificate_key_password_variable: Variable | None = Field(
        default=None,
        description="Variable of the environment with that password, where no file is named.",
        examples=["OUTRIDER_CLIENT_KEY_PASSWORD"],
    )

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate_file is None) is not (self.certificate_key_file is None):
            raise ValueError("certificate_file and certificate_key_file go together; name both")
        return self


class Syslog(Lines, Secured):
    """A receiver of syslog (RFC 5424) over TLS."""

    host: str = Field(
        pattern=_HOST,
        description="Name or address of the receiver, as its certificate has it.",
        examples=["syslog.example.net"],
    )
    port: int = Field(default=6514, ge=1, le=65_535, description="Port of the receiver.")
    transport: Literal["tls", "tcp"] = Field(
        default="tls",
        description="tls: its certificate and name are always checked (RFC 5425). tcp: everything "
        "can be read and changed on the way; the same frames without TLS.",
    )
    facility: Facility = Field(default="local0", description="Facility of the messages.")
    hostname: str | None = Field(
        default=None,
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="HOSTNAME of the messages; without it this machine's own name.",
        examples=["outrider.example.net"],
    )
    enterprise_number: int = Field(
        default=ENTERPRISE,
        ge=1,
        le=2**31 - 1,
        description="Private enterprise number in the name of the structured data, "
        "outrider@NUMBER; the default is one for examples (RFC 5612).",
    )
    message_bytes: int = Field(
        default=OCTETS,
        ge=2048,
        le=2**20,
        description="Most bytes of a message. A larger document is shortened, its evidence first.",
    )
    byte_order_mark: bool = Field(
        default=False,
        description="Put the mark of UTF-8 before what is not ASCII, as RFC 5424 asks for; most "
        "readers of JSON, CEF and LEEF do not expect it.",
    )
    confirmed: bool = Field(
        default=False,
        description="Close the connection after each portion, and count as delivered only what the "
        "receiver has read for certain. Costs a handshake each time.",
    )
    timeout_seconds: float = Field(
        default=10.0, ge=1, le=300, description="How long a portion may take."
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        least = LEAST_OCTETS[self.form]
        if self.message_bytes < least:
            raise ValueError(f"message_bytes must be {least} or more with form {self.form}")
        return self

    @property
    def secret_files(self) -> list[Path | None]:
        """Files that nobody else should be able to read."""
        return [self.certificate_key_file, self.certificate_key_password_file]

    def remarks(self) -> list[str]:
        """What works and is still not as it should be, a sentence each."""
        found = exposed(self.secret_files)
        if self.transport == "tcp" and not is_loopback(self.host):
            found.append(
                f"transport is tcp: everything is readable on the way to {self.host}; use tls"
            )
        return found


class KafkaTopic(Lines, Secured):
    """A topic of brokers of your own, beside those of [kafka]."""

    servers: Annotated[list[str], AfterValidator(check_servers)] = Field(
        min_length=1,
        description="Brokers to ask first, as HOST:PORT.",
        examples=[["kafka-1.example.net:9093", "kafka-2.example.net:9093"]],
    )
    topic: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,249}$",
        description="Topic to write to; it has to be there.",
        examples=["security.m365"],
    )
    key: Literal["id", "tenant"] = Field(
        default="id",
        description="Key of the messages. id: revisions of one flag or incident share a partition; "
        "tenant: all documents of a tenant do.",
    )
    security: Security = "SASL_SSL"
    allow_cleartext: AllowCleartext = False
    sasl_mechanism: Mechanism = Field(
        default="SCRAM-SHA-512",
        description="How we show who we are, with SASL; OAUTHBEARER signs in as [microsoft] tells.",
    )
    username: Username = None
    password_file: Path | None = Field(
        default=None,
        description="File with the password, with PLAIN and SCRAM; its last newline does not "
        "count.",
        examples=["/run/secrets/kafka-topic-password"],
    )
    password_variable: Variable | None = Field(
        default=None,
        description="Variable of the environment with the password, where no file is named.",
        examples=["OUTRIDER_TOPIC_PASSWORD"],
    )
    token_scope: str | None = Field(
        default=None,
        pattern=r"/\.default$",
        description="What a token is for, with OAUTHBEARER; it ends with /.default.",
        examples=["https://namespace.servicebus.windows.net/.default"],
    )
    timeout_seconds: float = Field(
        default=30.0, ge=3, le=300, description="How long a portion may take."
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if not self.security.startswith("SASL"):
            return self
        if not self.allow_cleartext:
            refuse_cleartext(self.security, self.servers)
        if self.sasl_mechanism == "OAUTHBEARER":
            if self.token_scope is None:
                raise ValueError("token_scope is missing: OAUTHBEARER needs it")
        elif self.username is None:
            raise ValueError(f"username is missing: {self.sasl_mechanism} needs it")
        elif self.password_file is None and self.password_variable is None:
            raise ValueError("name the password's file with password_file, or password_variable")
        return self

    @property
    def secret_files(self) -> list[Path | None]:
        """Files that nobody else should be able to read."""
        return [
            self.password_file,
            self.certificate_key_file,
            self.certificate_key_password_file,
        ]


class Files(Lines):
    """Files in a folder of their own, begun anew by size or by day."""

    folder: Path = Field(
        description="Folder of its own, not that of a run's state; it is made.",
        examples=["/var/log/outrider"],
    )
    max_bytes: int = Field(
        default=100 * 2**20,
        ge=100_000,
        le=2**40,
        description="A file that would grow beyond this is put aside, and a new one begun.",
    )
    daily: bool = Field(default=False, description="Begin a new file with each day of UTC as well.")
    keep: int = Field(
        default=14,
        ge=2,
        le=100_000,
        description="So many full files of flags, and of incidents, are kept.",
    )
    compress: bool = Field(default=False, description="Compress full files with gzip.")

    @property
    def secret_files(self) -> list[Path | None]:
        """Files that nobody else should be able to read: none."""
        return []
