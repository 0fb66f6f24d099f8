"""Sections of the configuration for destinations that are SIEMs: ``[deliver.splunk.NAME]``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 # pydantic reads the annotation at run time
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from pipeline.runtime.config_kafka import is_loopback
from pipeline.runtime.config_people import one_of
from pipeline.runtime.config_section import Section, Variable

_GUID: Final = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_STREAM: Final = r"^Custom-[A-Za-z][A-Za-z0-9_]*$"


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("must be https://HOST:PORT") from None
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host))):
        raise ValueError("must be https://HOST:PORT; plain http only on this machine")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must hold no user, no password and no query; name their files instead")
    return text.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]

_CA_FILE: Final = "Authorities to trust for its certificate, PEM; without it the usual ones."


class Splunk(Section):
    """An HTTP Event Collector of Splunk."""

    address: Address = Field(
        description="Address of the HTTP Event Collector, without a path.",
        examples=["https://splunk.example.net:8088"],
    )
    token_file: Path | None = Field(
        default=None,
        description="File with the collector's token; it is read at each request.",
        examples=["/run/secrets/splunk-token"],
    )
    token_variable: Variable | None = Field(
        default=None,
        description="Variable of the environment with the token, instead of a file.",
        examples=["OUTRIDER_SPLUNK_TOKEN"],
    )
    index: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9_][a-z0-9_-]*$",
        description="Index to write to; without it the token's own.",
        examples=["m365"],
    )
    host: str = Field(default="outrider", min_length=1, description="The events' host.")
    source: str = Field(
        default="outrider",
        min_length=1,
        description="The events' source; their sourcetype is outrider:flag or outrider:incident.",
    )
    form: Literal["json", "ecs", "ocsf"] = Field(
        default="json", description="Form of the events; json: our own documents."
    )
    acknowledged: bool = Field(
        default=False,
        description="Count as delivered only what Splunk's indexers have confirmed. The token must "
        "have indexer acknowledgement on, which Splunk Cloud does not offer.",
    )
    channel: str | None = Field(
        default=None,
        pattern=_GUID,
        description="GUID that acknowledgements are kept under; without it a new one at each start.",
        examples=["0b8c2d4e-0000-4000-8000-6f1a2b3c4d5e"],
    )
    batch_bytes: int = Field(
        default=1_000_000, ge=10_000, le=10_000_000, description="Most bytes in one request."
    )
    ca_file: Path | None = Field(
        default=None, description=_CA_FILE, examples=["/etc/outrider/splunk-ca.pem"]
    )

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        one_of(self, "token")
        return self

    @property
    def secret_files(self) -> list[Path | None]:
        """Files that nobody else should be able to read."""
        return [self.token_file]


class Sentinel(Section):
    """A data collection rule of Azure Monitor; [microsoft] tells who signs in, and the cloud."""

    endpoint: Address = Field(
        description="Where logs are sent: logsIngestion of the data collection rule, or a data "
        "collection endpoint.",
        examples=["https://outrider-ab12.westeurope-1.ingest.monitor.azure.com"],
    )
    rule_id: str = Field(
        pattern=r"^dcr-[0-9a-f]{32}$",
        description="Immutable id of the data collection rule.",
        examples=["dcr-0123456789abcdef0123456789abcdef"],
    )
    incident_stream: str = Field(
        default="Custom-OutriderIncident_CL",
        pattern=_STREAM,
        description="Stream of the rule that takes incidents.",
    )
    flag_stream: str = Field(
        default="Custom-OutriderFlag_CL",
        pattern=_STREAM,
        description="Stream of the rule that takes flags.",
    )
    monitor_address: Address | None = Field(
        default=None,
        description="What tokens are for, where the cloud in [microsoft] names none that fits.",
        examples=["https://monitor.azure.us"],
    )
    ca_file: Path | None = Field(
        default=None, description=_CA_FILE, examples=["/etc/outrider/proxy-ca.pem"]
    )

    @property
    def secret_files(self) -> list[Path | None]:
        """Files that nobody else should be able to read: [microsoft] names them."""
        return []


class Elastic(Section):
    """An Elasticsearch with data streams."""

    address: Address = Field(
        description="Address of Elasticsearch; a path before /_bulk may follow.",
        examples=["https://elastic.example.net:9200"],
    )
    namespace: str = Field(
        default="default",
        pattern=r"^[a-z0-9][a-z0-9_.]{0,99}$",
        description="Last part of the data streams logs-outrider.incident-NAMESPACE and "
        "logs-outrider.flag-NAMESPACE.",
    )
    api_key_file: Path | None = Field(
        default=None,
        description="File with an API key, ID:KEY or encoded as Kibana shows it.",
        examples=["/run/secrets/elastic-api-key"],
    )
    api_key_variable: Variable | None = Field(
        default=None,
        description="Variable of the environment with the API key, instead of a file.",
        examples=["OUTRIDER_ELASTIC_API_KEY"],
    )
    user: str | None = Field(
        default=None,
        min_length=1,
        pattern=r"^[^:]+$",
        description="User, where no API key is at hand; with neither, Elasticsearch is asked "
        "without a credential.",
        examples=["outrider"],
    )
    password_file: Path | None = Field(
        default=None,
        description="File with that user's password.",
        examples=["/run/secrets/elastic-password"],
    )
    password_variable: Variable | None = Field(
        default=None,
        description="Variable of the environment with the password, instead of a file.",
        examples=["OUTRIDER_ELASTIC_PASSWORD"],
    )
    batch_bytes: int = Field(
        default=5_000_000,
        ge=10_000,
        le=100_000_000,
        description="Most bytes in one request, before it is packed.",
    )
    ca_file: Path | None = Field(
        default=None, description=_CA_FILE, examples=["/etc/outrider/elastic-ca.pem"]
    )

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        key = self.api_key_file is not None or self.api_key_variable is not None
        password = self.password_file is not None or self.password_variable is not None
        if key and (self.user is not None or password):
            raise ValueError("an API key and a user contradict each other; keep one")
        if password and self.user is None:
            raise ValueError("user is missing: a password belongs to one")
        one_of(self, "api_key", needed=key)
        one_of(self, "password", needed=self.user is not None)
        return self

    @property
    def secret_files(self) -> list[Path | None]:
        """Files that nobody else should be able to read."""
        return [self.api_key_file, self.password_file]
