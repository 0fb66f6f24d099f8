"""The ledger of a run as an origin of reports; it may be written meanwhile."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from pipeline.ledger.periods import PeriodReader, stretches
from pipeline.match.ledger import LedgerRow
from pipeline.model.advisory import Advisory, Impact
from pipeline.model.clock import from_us, to_us
from pipeline.model.documents import from_json
from pipeline.model.errors import ConfigError
from pipeline.model.incident import Incident
from pipeline.report.periodic.origin import Blind, Deliveries, Refusal, Watched
from pipeline.report.timeline import Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from pipeline.ledger.showing import Series as Kept
    from pipeline.report.timeline import Lane

_T = TypeVar("_T")
_SECOND_US: Final = 1_000_000
_LAST: Final = 2**33  # seconds: the year 2242


class LedgerOrigin:
    """Reads a ledger of one tenant or of all.

    Args:
        path: of the ledger, which must exist.
        tenant: only what is about it; None = all.

    Raises:
        ConfigError: there is none.
        StateError: it is of another version.
        FatalError: it cannot be opened.
    """

    told = "the ledger of a run"

    def __init__(self, path: Path, *, tenant: str | None = None) -> None:
        if not path.exists():
            raise ConfigError(
                f"{path}: no ledger here; name the folder that 'outrider run' wrote with --state, "
                "or give the folder of a backfill"
            )
        self._reader = PeriodReader(path)
        # A run may commit between two looks: all of a report is of one moment.
        self._moment = ExitStack()
        self._moment.enter_context(self._reader.reading())
        self._tenants = () if tenant is None else (tenant,)
        self.damaged: dict[str, int] = {}
        # Two readings of them, one for each kind, would be two looks through all versions.
        self._known = list(self._reader.all_advisories(self._tenants))

    def close(self) -> None:
        """Let go of the file."""
        self._moment.close()
        self._reader.close()

    def has(self, tenant: str) -> bool:
        """Whether it was ever judged, or an incident names it."""
        reader = self._reader
        return (
            bool(reader.clocks((tenant,)))
            or bool(reader.judged_hours(0, _LAST, (tenant,)))
            or any(True for _ in reader.last_incidents((tenant,)))
        )

    def tenants(self) -> list[str]:
        """Those that are judged now; if there are none, those whose hours are kept."""
        running = self._reader.clocks()
        return sorted(running or {tenant for tenant, _ in self._reader.judged_hours(0, _LAST)})

    def incidents(self, begin: datetime, end: datetime) -> list[Incident]:
        """The last revision of each incident; the caller leaves out what lies outside."""
        del begin
        found = self._read(Incident, self._reader.last_incidents(self._tenants), "incidents")
        return [i for i in found if i.onset_at < end]

    def leads(self, incidents: Sequence[Incident]) -> list[LedgerRow]:
        """Every row of the lead-time ledger."""
        del incidents
        return self._read(LedgerRow, self._reader.all_leads(self._tenants), "leads")

    def advisories(self) -> dict[str, Advisory]:
        """The last version of every advisory."""
        found = self._read(Advisory, (document for document, _ in self._known), "advisories")
        return {a.advisory_id: a for a in found}

    def impacts(self) -> dict[str, Impact]:
        """What each advisory means for the tenant that it hits worst."""
        found = self._read(Impact, (i for _, i in self._known if i is not None), "impacts")
        return {i.advisory_id: i for i in found}

    def watched(self, begin: datetime, end: datetime) -> Watched:
        """The hours that were judged, and where logs told nothing."""
        first, last = to_us(begin) // _SECOND_US, to_us(end) // _SECOND_US
        judged = self._reader.judged_hours(first, last, self._tenants)
        hours = sorted({hour for by_hour in judged.values() for hour in by_hour})
        return Watched(
            tuple((_moment(a), _moment(b)) for a, b in stretches(hours)),
            tuple(sorted({source for _, source in judged})),
            tuple(
                Blind(b.tenant, b.source, _moment(b.start), _moment(b.end))
                for b in self._reader.blind(first, last, self._tenants)
            ),
        )

    def series(self, wanted: Mapping[Lane, tuple[datetime, datetime]]) -> dict[Lane, Series]:
        """Hours of the lanes that are asked for."""
        found = {}
        for lane, (begin, end) in wanted.items():
            rows = self._reader.timeline(
                lane.tenant,
                since=begin,
                # Whole hours: the one in which the end lies, too.
                until=end + timedelta(hours=1),
                sources=(lane.source,),
                services=(lane.service,),
                clients=(lane.client,),
                signals=(lane.signal,),
            )
            if rows:
                found[lane] = _series(rows[0])
        return found

    def deliveries(self) -> Deliveries:
        """Revisions that destinations refused, and what they have not taken yet."""
        refusals = tuple(
            Refusal(r.sink, r.reason, from_us(r.at), r.tenant, settled=r.settled)
            for r in self._reader.refused(0, 2**62)
        )
        waiting: dict[str, int] = {}
        for lag in self._reader.sink_lags():
            waiting[lag.sink] = waiting.get(lag.sink, 0) + lag.waiting
        return Deliveries(refusals, waiting)

    def _read(self, kind: type[_T], documents: Iterable[dict[str, Any]], name: str) -> list[_T]:
        found = []
        for document in documents:
            try:
                found.append(from_json(kind, document))
            except (TypeError, ValueError, KeyError, AttributeError):
                self.damaged[name] = self.damaged.get(name, 0) + 1
        return found


def _moment(seconds: int) -> datetime:
    return from_us(seconds * _SECOND_US)


def _series(kept: Kept) -> Series:
    return Series(
        np.array(kept.hour, np.int64) * _SECOND_US,
        *(
            np.array([np.nan if v is None else v for v in column], float)
            for column in (kept.observed, kept.expected, kept.low, kept.high, kept.completeness)
        ),
    )
