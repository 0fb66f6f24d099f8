"""The section of the configuration that tells which live sources are read, and how."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 # pydantic reads the annotation at run time
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator

from pipeline.runtime.config_microsoft import Address  # noqa: TC001 # read at run time
from pipeline.runtime.config_section import Section
from pipeline.runtime.secret_files import EVENT_HUBS_CONNECTION, STORAGE_SAS, given

Content: TypeAlias = Literal["Audit.Exchange", "Audit.AzureActiveDirectory", "Audit.General"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9$._-]{1,249}$")]


def _alarm(minutes: int) -> Any:
    return Field(
        default=minutes,
        ge=5,
        le=7 * 1440,
        description="When it has brought nothing for so long although it should have, or is so "
        "far behind, that is an incident of its own (telemetry_gap).",
    )


class GraphSignins(Section):
    """Sign-ins through Microsoft Graph; needs Entra ID P1 or P2."""

    enabled: bool = Field(default=False, description="Whether it is read.")
    version: Literal["beta", "v1.0"] = Field(
        default="beta",
        description="beta tells non-interactive sign-ins too, where most traffic of mail clients "
        "is; v1.0 only interactive ones.",
    )
    lookback_hours: int = Field(
        default=24, ge=1, le=720, description="How far back the very first reading goes."
    )
    alarm_minutes: int = _alarm(30)


class DirectoryAudits(Section):
    """Changes that the tenant makes to itself, through Microsoft Graph."""

    enabled: bool = Field(default=False, description="Whether it is read.")
    lookback_hours: int = Field(
        default=72, ge=1, le=720, description="How far back the very first reading goes."
    )
    alarm_minutes: int = _alarm(120)


class Activity(Section):
    """Mailbox audit records through the Office 365 Management Activity API."""

    enabled: bool = Field(default=False, description="Whether it is read.")
    content: list[Content] = Field(
        default_factory=lambda: list[Content](["Audit.Exchange"]),
        min_length=1,
        description="Kinds of content to subscribe to.",
        examples=[["Audit.Exchange"]],
    )
    publisher: str | None = Field(
        default=None,
        pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
        description="GUID whose quota counts (PublisherIdentifier); default: the tenant's own id.",
        examples=["7b1d0c44-0000-4000-8000-2c9e8f7a6b5c"],
    )
    lookback_hours: int = Field(
        default=168, ge=1, le=168, description="How far back the very first reading goes."
    )
    alarm_minutes: int = _alarm(240)


class AuditQuery(Section):
    """Mailbox audit records through searches of Microsoft Graph, where the above is not open."""

    enabled: bool = Field(default=False, description="Whether it is read.")
    lookback_hours: int = Field(
        default=24, ge=1, le=720, description="How far back the very first reading goes."
    )
    alarm_minutes: int = _alarm(360)


class EventHubs(Section):
    """Diagnostic settings that stream to Event Hubs, through its Kafka endpoint."""

    enabled: bool = Field(default=False, description="Whether it is read.")
    namespace: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+(:\d{1,5})?$",
        description="Name of the namespace, or its whole host name.",
        examples=["contoso-logs"],
    )
    hubs: list[Name] = Field(
        default_factory=lambda: [
            "insights-logs-signinlogs",
            "insights-logs-noninteractiveusersigninlogs",
            "insights-logs-auditlogs",
        ],
        min_length=1,
        description="Hubs to read.",
        examples=[["insights-logs-signinlogs", "insights-logs-noninteractiveusersigninlogs"]],
    )
    connection_string_file: Path | None = Field(
        default=None,
        description="File with a connection string that may listen; or set "
        f"{EVENT_HUBS_CONNECTION}. Without any, the identity of [microsoft] signs in.",
        examples=["/run/secrets/event-hubs-connection"],
    )
    ca_file: Path | None = Field(
        default=None,
        description="Authorities to trust, PEM; default: those of the machine.",
        examples=["/etc/outrider/proxy-ca.pem"],
    )
    alarm_minutes: int = _alarm(30)

    @property
    def by_key(self) -> bool:
        """Whether a connection string opens the namespace, and no token."""
        return self.connection_string_file is not None or given(EVENT_HUBS_CONNECTION)


class Blobs(Section):
    """Diagnostic settings that write to a storage account."""

    enabled: bool = Field(default=False, description="Whether it is read.")
    account: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]{3,24}$",
        description="Name of the storage account.",
        examples=["contosologs"],
    )
    address: Address | None = Field(
        default=None,
        description="Its address, where cloud names none that fits.",
        examples=["https://contosologs.blob.core.windows.net"],
    )
    containers: list[Name] = Field(
        default_factory=lambda: [
            "insights-logs-signinlogs",
            "insights-logs-noninteractiveusersigninlogs",
            "insights-logs-auditlogs",
        ],
        min_length=1,
        description="Containers to read.",
        examples=[["insights-logs-signinlogs", "insights-logs-noninteractiveusersigninlogs"]],
    )
    sas_file: Path | None = Field(
        default=None,
        description="File with a shared access signature that may read and list; or set "
        f"{STORAGE_SAS}. Without any, the identity of [microsoft] signs in.",
        examples=["/run/secrets/storage-sas"],
    )
    lookback_hours: int = Field(
        default=24, ge=1, le=720, description="How far back the very first reading goes."
    )
    alarm_minutes: int = _alarm(90)

    @property
    def by_signature(self) -> bool:
        """Whether a shared access signature opens the account, and no token."""
        return self.sas_file is not None or given(STORAGE_SAS)


class ServiceHealth(Section):
    """Microsoft's advisories, through Microsoft Graph."""

    enabled: bool = Field(default=False, description="Whether it is read.")
    every_minutes: int = Field(default=5, ge=1, le=60, description="How often it is asked.")
    alarm_minutes: int = _alarm(60)


class StatusPage(Section):
    """Microsoft's public status page as RSS or JSON, for when nobody can sign in."""

    enabled: bool = Field(default=False, description="Whether it is read.")
    address: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="Address of the feed: that of the Microsoft 365 admin centre as below, or "
        "Azure's (https://rssfeed.azure.status.microsoft/en-us/status/feed/).",
        examples=["https://status.cloud.microsoft/api/feed/mac"],
    )
    every_minutes: int = Field(default=5, ge=1, le=60, description="How often it is asked.")
    alarm_minutes: int = _alarm(180)


class Collect(Section):
    """What is read live."""

    graph_signins: GraphSignins = Field(default_factory=GraphSignins)
    directory_audits: DirectoryAudits = Field(default_factory=DirectoryAudits)
    activity: Activity = Field(default_factory=Activity)
    audit_query: AuditQuery = Field(default_factory=AuditQuery)
    event_hubs: EventHubs = Field(default_factory=EventHubs)
    blobs: Blobs = Field(default_factory=Blobs)
    service_health: ServiceHealth = Field(default_factory=ServiceHealth)
    status_page: StatusPage = Field(default_factory=StatusPage)

    @property
    def enabled(self) -> list[str]:
        """Names of what is switched on."""
        return [name for name in type(self).model_fields if getattr(self, name).enabled]

    @model_validator(mode="after")
    def _addresses(self) -> Collect:
        """See that what is switched on knows where to read."""
        if self.event_hubs.enabled and self.event_hubs.namespace is None:
            raise ValueError("event_hubs.namespace is missing: name the namespace to read")
        if self.blobs.enabled and (self.blobs.account or self.blobs.address) is None:
            raise ValueError("blobs.account is missing: name the storage account to read")
        if self.status_page.enabled and self.status_page.address is None:
            raise ValueError("status_page.address is missing: name the feed to read")
        return self
