"""The section of the configuration that tells where flags and incidents go, and in which form."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from pydantic import Field

from pipeline.runtime.config_lines import Files, KafkaTopic, Syslog
from pipeline.runtime.config_people import (
    Email,
    PagerDuty,
    ServiceNow,
    Slack,
    Teams,
    Webhook,
)
from pipeline.runtime.config_section import Name, Section
from pipeline.runtime.config_siem import Elastic, Sentinel, Splunk

Destination: TypeAlias = (
    Splunk
    | Sentinel
    | Elastic
    | Syslog
    | KafkaTopic
    | Files
    | Teams
    | Slack
    | PagerDuty
    | ServiceNow
    | Email
    | Webhook
)
RECORDS: Final = ("splunk", "sentinel", "elastic", "syslog", "kafka", "files")
"""Types of destinations that take every revision of every flag and incident."""
NOTICES: Final = ("teams", "slack", "pagerduty", "servicenow", "email", "webhook")
"""Types of destinations where people read; [notify] tells what they are told."""


def _any(of: str) -> str:
    return f"{of}, by names of your choice."


class Deliver(Section):
    """How flags and incidents leave."""

    files_format: Literal["json", "ocsf", "ecs", "cef", "leef"] = Field(
        default="json",
        description="A form that is written beside flags.ndjson and incidents.ndjson, into files "
        "of its own (incidents.ocsf.ndjson, incidents.cef.log and so on); json: no further files.",
    )
    history: bool = Field(
        default=False,
        description="Whether a new destination of records first gets everything that was told "
        "before; else it begins with what is told from then on. People are never told history.",
    )
    splunk: dict[Name, Splunk] = Field(
        default_factory=dict, description=_any("HTTP Event Collectors of Splunk")
    )
    sentinel: dict[Name, Sentinel] = Field(
        default_factory=dict, description=_any("Data collection rules of Azure Monitor")
    )
    elastic: dict[Name, Elastic] = Field(
        default_factory=dict, description=_any("Elasticsearch servers")
    )
    syslog: dict[Name, Syslog] = Field(default_factory=dict, description=_any("Syslog receivers"))
    kafka: dict[Name, KafkaTopic] = Field(
        default_factory=dict, description=_any("Topics of brokers of your own")
    )
    files: dict[Name, Files] = Field(
        default_factory=dict, description=_any("Folders of files that are rotated")
    )
    teams: dict[Name, Teams] = Field(
        default_factory=dict, description=_any("Channels of Microsoft Teams")
    )
    slack: dict[Name, Slack] = Field(default_factory=dict, description=_any("Channels of Slack"))
    pagerduty: dict[Name, PagerDuty] = Field(
        default_factory=dict, description=_any("Services of PagerDuty")
    )
    servicenow: dict[Name, ServiceNow] = Field(
        default_factory=dict, description=_any("Instances of ServiceNow")
    )
    email: dict[Name, Email] = Field(
        default_factory=dict, description=_any("Recipients of mail, with the server that sends it")
    )
    webhook: dict[Name, Webhook] = Field(
        default_factory=dict, description=_any("Programs of your own that are called")
    )

    def of(self, kinds: tuple[str, ...]) -> dict[str, Destination]:
        """Destinations of these types: ``splunk.main`` to its section, in order of type."""
        return {
            f"{kind}.{name}": section
            for kind in kinds
            for name, section in getattr(self, kind).items()
        }
