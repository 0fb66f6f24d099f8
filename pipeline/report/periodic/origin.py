"""Where a report takes its facts from: a backfill's folder or the ledger of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pipeline.match.ledger import LedgerRow
    from pipeline.model.advisory import Advisory, Impact
    from pipeline.model.incident import Incident
    from pipeline.report.timeline import Lane, Series


@dataclass(frozen=True, slots=True)
class Blind:
    """A stretch in which a source told nothing although it should have."""

    tenant: str
    source: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """What could be seen at all.

    Attributes:
        stretches: of time that records were judged of, in order, none touching another.
        sources: the logs that were read, by name.
        blind: their gaps.
    """

    stretches: tuple[tuple[datetime, datetime], ...] = ()
    sources: tuple[str, ...] = ()
    blind: tuple[Blind, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Revisions that a destination refused for good, for one reason."""

    sink: str
    reason: str
    at: datetime
    tenant: str | None = None
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Deliveries:
    """How deliveries went.

    Attributes:
        refusals: each revision that was refused, in order of time.
        waiting: by destination, revisions that it has not taken yet, as of now.
    """

    refusals: tuple[Refusal, ...] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)


class Origin(Protocol):
    """What a report asks for. Times are aware and in UTC.

    Attributes:
        told: what it is, in words for the foot of the page.
        damaged: what could not be read, by name the number of lines or rows.
    """

    told: str
    damaged: dict[str, int]

    def has(self, tenant: str) -> bool:
        """Whether anything is known of a tenant."""
        ...

    def tenants(self) -> list[str]:
        """The tenants that are known, in order."""
        ...

    def incidents(self, begin: datetime, end: datetime) -> list[Incident]:
        """The last revision of each incident begun before ``end``, in any order.

        Those that were over and raised before ``begin`` may be left out.
        """
        ...

    def leads(self, incidents: Sequence[Incident]) -> list[LedgerRow]:
        """Who was first: rows of these incidents, and of advisories that stand alone."""
        ...

    def advisories(self) -> dict[str, Advisory]:
        """The last version of every advisory, by id."""
        ...

    def impacts(self) -> dict[str, Impact]:
        """What each advisory means for us, by its id."""
        ...

    def watched(self, begin: datetime, end: datetime) -> Watched:
        """What of [begin, end) could be seen."""
        ...

    def series(self, wanted: Mapping[Lane, tuple[datetime, datetime]]) -> dict[Lane, Series]:
        """Hours of the lanes that are asked for, as far as they are known."""
        ...

    def deliveries(self) -> Deliveries | None:
        """How deliveries went; None where nothing is delivered from."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...
