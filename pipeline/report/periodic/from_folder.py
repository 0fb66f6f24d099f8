"""The output folder of a backfill as an origin of reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.match.ledger import LedgerRow, ledger
from pipeline.report.folder import Folder
from pipeline.report.periodic.origin import Blind, Watched
from pipeline.report.quality import as_dict, as_list, when
from pipeline.report.timeline import read_timeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from pipeline.model.advisory import Advisory, Impact
    from pipeline.model.incident import Incident
    from pipeline.report.timeline import Lane, Series


class FolderOrigin:
    """Reads what a backfill wrote; files that are missing leave their part out.

    Args:
        path: the folder.

    Raises:
        ConfigError: there is no such folder.
    """

    told = (
        "a backfill's folder: incidents.ndjson, ledger.ndjson, advisories.ndjson, impacts.ndjson, "
        "timeline.parquet, summary.json"
    )

    def __init__(self, path: Path) -> None:
        self._folder = Folder(path)
        self.damaged = self._folder.damaged
        self._histories = self._folder.incidents()
        self._summary = self._folder.summary()

    def has(self, tenant: str) -> bool:
        """Whether the summary or an incident names it."""
        return tenant in self.tenants()

    def tenants(self) -> list[str]:
        """Those of the summary and of the incidents."""
        judged = {str(name) for name in as_list(self._summary.get("tenants"))}
        return sorted(judged.union(*(h[-1].tenants for h in self._histories)))

    def incidents(self, begin: datetime, end: datetime) -> list[Incident]:
        """The last revision of each incident; the caller leaves out what lies outside."""
        del begin
        return [h[-1] for h in self._histories if h[-1].onset_at < end]

    def leads(self, incidents: Sequence[Incident]) -> list[LedgerRow]:
        """The rows of ledger.ndjson; without it they are made of incidents and advisories."""
        del incidents
        if (self._folder.path / "ledger.ndjson").exists():
            return list(self._folder.documents(LedgerRow, "ledger.ndjson"))
        revisions = [revision for history in self._histories for revision in history]
        return list(ledger(revisions, list(self.advisories().values())))

    def advisories(self) -> dict[str, Advisory]:
        """The last version of every advisory."""
        return self._folder.advisories()

    def impacts(self) -> dict[str, Impact]:
        """What each advisory means for us."""
        return self._folder.impacts()

    def watched(self, begin: datetime, end: datetime) -> Watched:
        """What the summary says of the run; gaps in order of time."""
        found = []
        for value in as_list(self._summary.get("gaps")):
            gap = as_dict(value)
            start, stop = when(gap.get("start")), when(gap.get("end"))
            if start is not None and stop is not None and start < end and stop > begin:
                told = str(gap.get("tenant", "")), str(gap.get("source", ""))
                found.append(Blind(*told, start, stop))
        found.sort(key=lambda b: (b.start, b.tenant, b.source))
        first, last = when(self._summary.get("from")), when(self._summary.get("to"))
        return Watched(
            () if first is None or last is None else ((first, last),),
            tuple(str(name) for name in as_dict(self._summary.get("by_source"))),
            tuple(found),
        )

    def series(self, wanted: Mapping[Lane, tuple[datetime, datetime]]) -> dict[Lane, Series]:
        """The lanes of timeline.parquet, streamed."""
        found = read_timeline(self._folder.path / "timeline.parquet", wanted)
        if found.damaged:
            self.damaged["timeline.parquet"] = 1
        return found.series

    def deliveries(self) -> None:
        """A backfill delivers nothing."""
        return

    def close(self) -> None:
        """Nothing is open."""
