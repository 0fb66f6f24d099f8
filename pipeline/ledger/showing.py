"""What a dashboard asks a ledger for, as plain data; moments are aware, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class Place(NamedTuple):
    """Where a list goes on: behind what has this time, in seconds since 1970, and id."""

    at: int
    id: str


class CellState(StrEnum):
    """How one cell does, or one measure of it, against what is usual.

    Of a cell, ``low`` says fewer users or accesses, and ``high`` more failing users or retries;
    of a measure, that it is below or above its own band.
    """

    USUAL = "usual"
    LOW = "low"
    HIGH = "high"
    WARMING_UP = "warming_up"
    BLIND = "blind"


@dataclass(frozen=True, slots=True)
class Measure:
    """One signal of one hour; numbers are users, or accesses for ``access_volume``.

    ``expected`` and the band in which 99 % of quiet hours fall are None while warming up.
    """

    signal: str
    observed: float
    expected: float | None
    low: float | None
    high: float | None
    state: CellState


@dataclass(frozen=True, slots=True)
class CellHour:
    """One of the last hours of a cell.

    ``users`` and its band are those of ``active_users``, ``failing`` counts users who newly
    failed for the service's fault; None where the signal is not watched.
    """

    hour: datetime
    attempts: int
    users: float | None
    expected: float | None
    low: float | None
    high: float | None
    failing: float | None
    completeness: float


@dataclass(frozen=True, slots=True)
class CellNow:
    """A cell by the newest of its last hours that is complete enough to compare.

    Attributes:
        source, service, client: which one.
        state: the most pressing of its measures.
        warm: whether its usual level is known.
        completeness: 0..1, of ``hour``.
        hour: begin of the hour that is compared; the running one if none is complete enough.
        attempts: in that hour.
        failure_rate: share of these attempts that the service failed; None = no attempts.
        measures: of that hour, by signal.
        hours: the last ones, the running one last.
    """

    source: str
    service: str
    client: str
    state: CellState
    warm: bool
    completeness: float
    hour: datetime
    attempts: int
    failure_rate: float | None
    measures: tuple[Measure, ...]
    hours: tuple[CellHour, ...]


@dataclass(frozen=True, slots=True)
class TenantNow:
    """A tenant as it was last judged; ``at`` is its clock, ``completeness`` by source."""

    tenant: str
    at: datetime
    cells: tuple[CellNow, ...]
    states: dict[str, int]
    completeness: dict[str, float]


@dataclass(frozen=True, slots=True)
class Series:
    """One signal of one cell by the hour; lists of one length.

    ``hour`` holds seconds since 1970 of each hour's begin, in order; hours that nobody has
    judged are not in it.
    """

    tenant: str
    source: str
    service: str
    client: str
    signal: str
    hour: list[int]
    observed: list[float]
    expected: list[float | None]
    low: list[float | None]
    high: list[float | None]
    completeness: list[float]


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """The newest notice of a feed (:class:`pipeline.model.feed.FeedNotice`)."""

    feed: str
    sources: tuple[str, ...]
    state: str
    at: datetime
    complete_to: datetime
    since: datetime
    late_seconds: float
    problem: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A stretch from which about ``expected`` records of a log never came."""

    source: str
    start: datetime
    end: datetime
    expected: float


@dataclass(frozen=True, slots=True)
class LogHealth:
    """One log by its records.

    Attributes:
        source: which one.
        completeness: share of the last hour's records that are here, 0 = blind; None =
            never heard of.
        last_record_at: newest event time since the process began; None = none yet.
        state: of a feed; ``silent`` if nothing comes that should.
        problem: what is wrong; empty if nothing is.
        missing: the newest of the last week, newest first.
    """

    source: str
    completeness: float | None
    last_record_at: datetime | None
    state: str
    problem: str
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class TenantSources:
    """The feeds of a tenant and its logs; ``at`` is its clock."""

    tenant: str
    at: datetime
    feeds: tuple[FeedHealth, ...]
    logs: tuple[LogHealth, ...]


class Impacts(NamedTuple):
    """Tenants by what an advisory means for them."""

    yes: int = 0
    no_sign: int = 0
    cannot_tell: int = 0


@dataclass(frozen=True, slots=True)
class AdvisoryShown:
    """An advisory in a list.

    Attributes:
        advisory_id: of it.
        at: its last word, in seconds since 1970.
        document: its newest version, ``outrider.advisory/1``.
        versions: how many there are.
        impacts: of the tenants asked for.
        impact: ``outrider.impact/1`` for the tenant that is hit worst; None = not known yet.
        tenant: whose impact that is.
    """

    advisory_id: str
    at: int
    document: dict[str, Any]
    versions: int
    impacts: Impacts
    impact: dict[str, Any] | None
    tenant: str | None


class AdvisoryPage(NamedTuple):
    """The newest word first; ``rest`` is where the next page begins, None behind the last."""

    advisories: list[AdvisoryShown]
    rest: Place | None


@dataclass(frozen=True, slots=True)
class AdvisoryHistory:
    """One advisory.

    Attributes:
        advisory_id: of it.
        versions: ``outrider.advisory/1``, the oldest first.
        impacts: (tenant, ``outrider.impact/1``), those affected first.
        leads: its rows of the lead-time ledger, ``outrider.ledger/1``.
    """

    advisory_id: str
    versions: list[dict[str, Any]]
    impacts: list[tuple[str, dict[str, Any]]]
    leads: list[dict[str, Any]]


class LeadPage(NamedTuple):
    """Rows ``outrider.ledger/1``, the newest first; ``rest`` as in a page."""

    leads: list[dict[str, Any]]
    rest: Place | None


@dataclass(frozen=True, slots=True)
class LeadSummary:
    """The lead-time ledger in numbers.

    Attributes:
        kinds: rows by kind, of what our logs can show.
        median_lead_seconds: of the rows that have a lead; negative = we were late.
        out_of_scope: advisories that no log of ours can show.
    """

    kinds: dict[str, int]
    median_lead_seconds: float | None
    out_of_scope: int


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of one revision of an incident at one destination.

    Attributes:
        sink: of the destination.
        kind: ``records`` (every revision, in order) or ``notices``.
        revision: of the incident.
        state: ``handed``, ``waiting``, ``refused`` or ``held``.
        at: when; None = not known.
        reason: of the notice, or why it is held or refused.
    """

    sink: str
    kind: str
    revision: int
    state: str
    at: datetime | None
    reason: str


class SinkLag(NamedTuple):
    """What a destination has not settled yet; ``oldest_at``: None = not known or nothing."""

    sink: str
    kind: str
    waiting: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found; ``snippet`` is plain text around the words, ``at`` seconds since 1970."""

    kind: str
    id: str
    tenant: str | None
    at: int
    title: str
    state: str
    snippet: str


@dataclass(frozen=True, slots=True)
class Front:
    """The counts of a front page.

    Attributes:
        open: incidents that are not over, by severity.
        states: incidents by state.
        verdicts: incidents that are not over, by verdict.
        raised_24h, resolved_24h: in the day before now.
        tenants: that were judged.
        cells: by state, over all tenants.
        feeds_unwell: feeds and logs that do not work.
        least_completeness: of any log of any tenant; None = not known.
        affecting: advisories that say yes for us and are not over for us.
        dead_waiting: dead letters that nobody has looked at.
        sinks_waiting: destinations that have not taken everything.
        newest_at: clock of the newest judgement.
    """

    open: dict[str, int]
    states: dict[str, int]
    verdicts: dict[str, int]
    raised_24h: int
    resolved_24h: int
    tenants: int
    cells: dict[str, int]
    feeds_unwell: int
    least_completeness: float | None
    affecting: int
    dead_waiting: int
    sinks_waiting: int
    newest_at: datetime | None
