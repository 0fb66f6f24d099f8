"""The section of the configuration that tells who is told what, and when: routes and quiet times."""

from __future__ import annotations

import re
from datetime import datetime, time
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from pipeline.notify.matchers import parse
from pipeline.runtime.config_section import SAMPLE_NAME, Name, Section, Zone

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_URL: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


def _matcher(text: str) -> str:
    parse(text)
    return text


def _clock(text: str) -> str:
    try:
        if time.fromisoformat(text).tzinfo is None:
            return text
    except ValueError:
        pass
    raise ValueError("is no time of the clock; write one such as 22:00")


def _moment(text: str) -> str:
    try:
        if datetime.fromisoformat(text).tzinfo is None:
            return text
    except ValueError:
        pass
    raise ValueError("is no date with a time and without a zone; write 2026-12-24T18:00")


def _url(text: str) -> str:
    if _URL.fullmatch(text) is None:
        raise ValueError("is no address; write one such as https://outrider.example.net")
    return text.rstrip("/")


Matchers = list[Annotated[str, AfterValidator(_matcher)]]
SeverityName = Literal["low", "medium", "high", "critical"]
Reason = Literal[
    "opened", "spread", "severity_up", "matched", "advisory_changed", "recovering", "resolved",
    "reopened", "corrected", "reminder",
]  # fmt: skip
GroupLabel = Literal["tenant", "service", "client", "verdict", "severity"]


class Hours(Section):
    """Hours of the week, by a name that routes and maintenance use."""

    time_zone: Zone = Field(default="UTC", description="IANA name; whose clock counts.")
    weekdays: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        default=list(_DAYS), min_length=1, description="Days on which the hours begin."
    )
    start: Annotated[str, AfterValidator(_clock)] = Field(
        default="00:00", description="When they begin.", examples=["22:00"]
    )
    end: Annotated[str, AfterValidator(_clock)] = Field(
        default="00:00",
        description="When they end; at or before start: on the next day.",
        examples=["07:00"],
    )


class Dates(Section):
    """One stretch of dates, by a name that routes and maintenance use."""

    time_zone: Zone = Field(default="UTC", description="IANA name; whose clock counts.")
    starts_at: Annotated[str, AfterValidator(_moment)] = Field(
        description="When it begins.", examples=["2026-12-24T18:00"]
    )
    ends_at: Annotated[str, AfterValidator(_moment)] = Field(
        description="When it ends.", examples=["2026-12-27T07:00"]
    )

    @model_validator(mode="after")
    def _in_order(self) -> Dates:
        """See that the end is behind the beginning."""
        if datetime.fromisoformat(self.starts_at) >= datetime.fromisoformat(self.ends_at):
            raise ValueError("ends_at must be behind starts_at")
        return self


class RouteOptions(Section):
    """How one is told; what is not set is as in the route around it."""

    sinks: list[str] | None = Field(
        default=None,
        description="Destinations that are told, by type and name.",
        examples=[["slack.main"]],
    )
    group_by: list[GroupLabel] | None = Field(
        default=None,
        description="Incidents that have these labels in common are told together; empty: each "
        "by itself.",
        examples=[["tenant"]],
    )
    group_wait_seconds: int | None = Field(
        default=None,
        ge=0,
        le=86_400,
        description="How long a first message waits for others of its group. Default: 30 with "
        "group_by, else 0.",
        examples=[30],
    )
    group_interval_seconds: int | None = Field(
        default=None,
        ge=0,
        le=7 * 86_400,
        description="Least time from one message to the next update. Default: 300 with group_by, "
        "else 0.",
        examples=[300],
    )
    repeat_interval_hours: int | None = Field(
        default=None,
        ge=0,
        le=24 * 31,
        description="A reminder after so many hours without a message, while it goes on and nobody "
        "has acknowledged it; 0: never. Default: 4.",
        examples=[4],
    )
    reasons: list[Reason] | None = Field(
        default=None,
        description="What is worth an update; beginning and end are always told. Default: by the "
        "type of the destination, see docs/alerting.md.",
        examples=[["severity_up", "reopened", "matched"]],
    )
    quiet_hours: list[Name] | None = Field(
        default=None,
        description="Hours or dates in which what is below quiet_below waits, by their names.",
        examples=[[SAMPLE_NAME]],
    )
    quiet_below: SeverityName | None = Field(
        default=None,
        description="What is as severe as this is told at any time. Default: critical.",
        examples=["critical"],
    )


class RouteSection(RouteOptions):
    """One route."""

    match: Matchers = Field(
        default=[],
        description="All have to match: label=value,value; label!=value; severity>=high. Labels are "
        "severity, verdict, client, service, tenant, state, reason.",
        examples=[["severity>=high", "verdict!=telemetry_gap"]],
    )
    goes_on: bool = Field(
        default=False,
        alias="continue",
        description="Look at the next route too after this one has matched.",
    )
    routes: dict[Name, RouteSection] = Field(
        default_factory=dict, description="Looked at first; the first that matches takes it."
    )


class InhibitSection(Section):
    """What is not told while something larger goes on."""

    source: Matchers = Field(
        min_length=1,
        description="What holds others back while it goes on.",
        examples=[["verdict=telemetry_gap"]],
    )
    target: Matchers = Field(
        min_length=1, description="What is held back.", examples=[["verdict=undetermined"]]
    )
    equal: list[GroupLabel] = Field(
        default=["tenant"], description="Labels of which both have a value in common."
    )
    lower: bool = Field(default=False, description="Only what is less severe than the source.")


class MaintenanceSection(Section):
    """Times at which nothing is told of what matches."""

    match: Matchers = Field(
        default=[],
        description="All have to match; empty: everything.",
        examples=[["tenant=contoso"]],
    )
    times: list[Name] = Field(
        min_length=1,
        description="When, by the names of hours and dates.",
        examples=[[SAMPLE_NAME]],
    )


class Notify(RouteOptions):
    """Who is told what, and when."""

    public_url: Annotated[str, AfterValidator(_url)] | None = Field(
        default=None,
        description="Address at which people reach outrider serve; messages link to it.",
        examples=["https://outrider.example.net"],
    )
    routes: dict[Name, RouteSection] = Field(
        default_factory=dict,
        description="Routes by a name of your choice, in order; the first that matches takes an "
        "incident. Without any, and without sinks: medium and above to every destination, "
        "undetermined ones to every one but pagers.",
    )
    hours: dict[Name, Hours] = Field(
        default_factory=dict, description="Hours of the week, by a name of your choice."
    )
    dates: dict[Name, Dates] = Field(
        default_factory=dict, description="Stretches of dates, by a name of your choice."
    )
    inhibit: dict[Name, InhibitSection] = Field(
        default_factory=dict, description="Rules of what holds what back, by a name of your choice."
    )
    maintenance: dict[Name, MaintenanceSection] = Field(
        default_factory=dict, description="Maintenance, by a name of your choice."
    )

    @model_validator(mode="after")
    def _named(self) -> Notify:
        """See that all times that are named are there."""
        known = {**self.hours, **self.dates}
        for place, names in self._times_named():
            for name in names:
                if name not in known:
                    there = ", ".join(known) or "none"
                    raise ValueError(
                        f"{place}: there are no hours or dates {name!r}; there are: {there}"
                    )
        return self

    def _times_named(self) -> list[tuple[str, list[str]]]:
        found = [("quiet_hours", self.quiet_hours or [])]
        found += [(f"maintenance.{n}.times", m.times) for n, m in self.maintenance.items()]
        waiting = [(f"routes.{n}", r) for n, r in self.routes.items()]
        while waiting:
            place, route = waiting.pop(0)
            found.append((f"{place}.quiet_hours", route.quiet_hours or []))
            waiting += [(f"{place}.routes.{n}", r) for n, r in route.routes.items()]
        return found
