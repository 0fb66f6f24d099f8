"""What a run read, lost and could not see: ``summary.json`` (``outrider.summary/1``)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from connectors.normalise.tally import Tally
from pipeline.model.clock import rfc3339
from pipeline.model.documents import from_json, to_json
from pipeline.model.reject import Reject
from pipeline.model.vocabulary import Client, Source
from pipeline.runtime.parsing import tally_of
from pipeline.runtime.unread import unread_files
from pipeline.window.stage import moment_after

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pyarrow as pa

    from pipeline.model.incident import Incident
    from pipeline.model.vocabulary import Service
    from pipeline.model.window import Gap, WindowBlock
    from pipeline.runtime.spool import Manifest
    from pipeline.runtime.stages import Outcome, Stages

SUMMARY_VERSION: Final = "outrider.summary/1"
_TOP: Final = 10


@dataclass(slots=True)
class SourceFacts:
    """What was seen of one source over the whole run."""

    records: int = 0
    system: int = 0
    late: int = 0
    first: datetime | None = None
    last: datetime | None = None
    minutes: int = 0
    seen_minutes: float = 0.0
    settle: tuple[float, float] = (0.0, 0.0)
    measured: bool = False


@dataclass(slots=True)
class Facts:
    """Collected while a run goes on."""

    plan_rejects: list[Reject] = field(default_factory=list)
    advisory_rejects: list[Reject] = field(default_factory=list)
    sources: dict[Source, SourceFacts] = field(default_factory=dict)
    tenants: set[str] = field(default_factory=set)
    gaps: list[Gap] = field(default_factory=list)
    start: datetime | None = None
    end: datetime | None = None
    lonely: int = 0
    empty_files: int = 0
    duplicates: int = 0
    counted: int = 0
    flags: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    exposure: dict[tuple[Service, Client], tuple[int, float]] = field(default_factory=dict)

    def take(self, outcome: Outcome, events: pa.Table) -> None:
        """Add one block."""
        block = outcome.judged.block
        self.start = self.start or block.start
        self.end = moment_after(block)
        self.tenants |= {cell.tenant for cell in block.cells}
        self.gaps += block.gaps
        self.flags += sum(1 for flag in outcome.judged.flags if flag.revision == 1)
        self._take_cells(block)
        for (_, source), share in block.completeness.items():
            facts = self.sources.setdefault(source, SourceFacts())
            if facts.records:
                facts.minutes += len(share)
                facts.seen_minutes += float(np.asarray(share).sum())
        for (tenant, source), settle in block.settle.items():
            facts = self.sources.setdefault(source, SourceFacts())
            facts.settle = settle
            facts.measured = (tenant, source) in block.measured
        if events.num_rows:
            self._take_times(events)

    def _take_cells(self, block: WindowBlock) -> None:
        for at, cell in enumerate(block.cells):
            facts = self.sources.setdefault(cell.source, SourceFacts())
            records = sum(
                int(block.counts[name][at].sum())
                for name in block.counts
                if name.startswith("outcome_")
            )
            facts.records += records
            facts.late += int(block.counts["late"][at].sum())
            if cell.client is Client.SYSTEM:
                facts.system += records

    def _take_times(self, events: pa.Table) -> None:
        grouped = events.select(["source", "event_time"]).unify_dictionaries().group_by("source")
        for row in grouped.aggregate([("event_time", "min"), ("event_time", "max")]).to_pylist():
            facts = self.sources.setdefault(Source(row["source"]), SourceFacts())
            facts.first = min(filter(None, (facts.first, row["event_time_min"])))
            facts.last = max(filter(None, (facts.last, row["event_time_max"])))

    def finish(self, stages: Stages) -> None:
        """Take over the totals the stages kept."""
        self.duplicates = stages.judging.windows.duplicates
        self.counted = stages.judging.windows.events


def summarise(
    facts: Facts, manifests: Sequence[Manifest], incidents: Sequence[Incident]
) -> dict[str, Any]:
    """The summary as plain JSON values."""
    tally = Tally()
    for manifest in manifests:
        tally.merge(tally_of(manifest.tally))
    rejected_files = (*facts.plan_rejects, *facts.advisory_rejects)
    rejects = Counter(str(r.reason) for r in rejected_files)
    rejects.update(r["reason"] for m in manifests for r in m.rejects)
    received = sum(m.received for m in manifests)
    ignored = sum(m.ignored for m in manifests)
    rejected = sum(len(m.rejects) for m in manifests)
    # Nothing at all could be judged, or a watched source was silent for a while.
    blind = bool(facts.gaps) or not facts.counted
    return {
        "schema": SUMMARY_VERSION,
        "from": _time(facts.start),
        "to": _time(facts.end),
        "tenants": sorted(facts.tenants),
        "records": {
            "received": received,
            "events": facts.counted,
            "duplicates": facts.duplicates,
            "ignored": ignored,
            "rejected": rejected,
            "outside": received - ignored - rejected - facts.counted - facts.duplicates,
        },
        "outside_stray_dates": facts.lonely,
        "by_source": {str(s): _source(f) for s, f in sorted(facts.sources.items())},
        "system_share": {
            str(s): round(f.system / f.records, 4)
            for s, f in sorted(facts.sources.items())
            if f.records and f.system
        },
        "ignored_by_kind": dict(sorted(tally.ignored.items())),
        "forms": dict(sorted(tally.forms.items())),
        **_unmatched(tally),
        "unknown_codes": [
            {"code": code, "records": n} for code, n in tally.unknown_codes.most_common(_TOP)
        ],
        "rejects_by_reason": dict(sorted(rejects.items())),
        "unread_files": unread_files(
            [*rejected_files, *(from_json(Reject, r) for m in manifests for r in m.rejects)]
        ),
        "partial_tails": [{"path": p, "offset": o} for p, o in tally.partial_tails],
        "empty_files": facts.empty_files + tally.empty_files,
        "gaps": [to_json(gap) for gap in facts.gaps],
        "exposure": [
            {
                "service": str(service),
                "client": str(client),
                "users_a_day": users,
                "smallest_detectable_effect": effect,
            }
            for (service, client), (users, effect) in sorted(facts.exposure.items())
        ],
        "blind": blind,
        "flags": facts.flags,
        "incidents": len(incidents),
        "seconds": {k: round(v, 3) for k, v in facts.seconds.items()},
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _source(facts: SourceFacts) -> dict[str, Any]:
    return {
        "records": facts.records,
        "first": _time(facts.first),
        "last": _time(facts.last),
        "completeness": round(facts.seen_minutes / facts.minutes, 4) if facts.minutes else None,
        "settle_median_seconds": round(facts.settle[0], 1),
        "settle_p95_seconds": round(facts.settle[1], 1),
        "arrival": "measured" if facts.measured else "declared",
        "late": facts.late,
    }


def _unmatched(tally: Tally) -> dict[str, Any]:
    by_source: Counter[str] = Counter()
    for (source, _), count in tally.unmatched_clients.items():
        by_source[source] += count
    return {
        "unmatched_clients": [
            {"source": source, "client_string": text, "records": count}
            for (source, text), count in tally.unmatched_clients.most_common(_TOP)
        ],
        "unmatched_client_share": {
            source: round(count / tally.records[source], 4)
            for source, count in sorted(by_source.items())
            if tally.records[source]
        },
    }
