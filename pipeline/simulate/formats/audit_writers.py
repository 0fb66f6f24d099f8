"""Files of mailbox audit records, one writer a form."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.model.clock import from_us
from pipeline.simulate.formats import csvs
from pipeline.simulate.formats.container import Tally, array, lines
from pipeline.simulate.formats.mail import AuditTexts, record_type
from pipeline.simulate.formats.writers import (
    BATCH_TWICE,
    GRAPH_PAGE,
    HOUR_US,
    HUB_BATCH,
    Base,
    date_of,
)
from pipeline.simulate.rows import OPERATIONS, guids, take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.simulate.rows import Rows
    from pipeline.simulate.world import World

UAL_PAGE: Final = 5000


class ActivityBlobs(Base):
    """Content blobs of the Management Activity API: one an hour of delivery, unordered."""

    def __init__(self, world: World, folder: Path, tally: Tally) -> None:
        super().__init__(world, folder, tally)
        self._texts = AuditTexts(world, full=world.spec.full_records)

    def day(self, rows: Rows) -> None:
        """Write one blob an hour; a run of records now and then comes again in the next."""
        seed = self.world.spec.seed
        hours = rows["avail"] // HOUR_US
        again = rows[:0]
        for hour in np.unique(hours).tolist():
            fresh = take(rows, hours == hour)
            part = np.concatenate([fresh, again])
            rng = np.random.Generator(np.random.PCG64([seed, hour]))
            runs = rng.random(-(-fresh.size // HUB_BATCH)) < BATCH_TWICE
            again = take(fresh, np.repeat(runs, HUB_BATCH)[: fresh.size])
            part = part[rng.permutation(part.size)]
            at = from_us(hour * HOUR_US)
            name = f"{at:%Y-%m-%d}/audit_exchange_{at:%Y%m%dT%H}0000Z.json"
            self.put(name, array(self.texts(part, self._texts.records)))


class AuditLines(Base):
    """The same records one a line, a file a day."""

    by_line = True

    def __init__(self, world: World, folder: Path, tally: Tally) -> None:
        super().__init__(world, folder, tally)
        self._texts = AuditTexts(world, full=world.spec.full_records)

    def day(self, rows: Rows) -> None:
        """Write one file."""
        name = f"audit-{date_of(int(rows['avail'][0]))}.jsonl"
        self.put(name, lines(self.texts(rows, self._texts.records)))


class AuditCsv(Base):
    """The Purview export, and Search-UnifiedAuditLog with its American dates."""

    search = False

    def __init__(self, world: World, folder: Path, tally: Tally) -> None:
        super().__init__(world, folder, tally)
        self._tables = csvs.AuditTables(world, full=world.spec.full_records)

    def day(self, rows: Rows) -> None:
        """Write one file a day."""
        kind = "search_ual" if self.search else "purview"
        self.put(f"{kind}_{date_of(int(rows['avail'][0]))}.csv", self._table(rows))

    def _table(self, rows: Rows) -> Iterator[str]:
        yield (csvs.UAL_HEADER if self.search else csvs.PURVIEW_HEADER) + "\r\n"
        if not self.search:
            for part in self.texts(rows, self._tables.purview):
                yield "\r\n".join(part) + "\r\n"
            return
        for first in range(0, rows.size, UAL_PAGE):
            page = rows[first : first + UAL_PAGE]
            for part in self.texts(page, partial(self._tables.search, first=1, total=page.size)):
                yield "\r\n".join(part) + "\r\n"


class SearchCsv(AuditCsv):
    """Search-UnifiedAuditLog piped into Export-Csv."""

    search = True


class GraphQuery(Base):
    """Pages of records of a Graph auditLogQuery."""

    def __init__(self, world: World, folder: Path, tally: Tally) -> None:
        super().__init__(world, folder, tally)
        self._texts = AuditTexts(world, full=world.spec.full_records)

    def day(self, rows: Rows) -> None:
        """Write the day's pages."""
        url = "https://graph.microsoft.com/beta/$metadata#security/auditLog/queries/records"
        for page, first in enumerate(range(0, rows.size, GRAPH_PAGE), start=1):
            part = rows[first : first + GRAPH_PAGE]
            name = f"records-{date_of(int(rows['avail'][0]))}-{page:04d}.json"
            head = f'{{"@odata.context":"{url}","value":['
            self.put(name, array(self.texts(part, self._records), head, "]}\n"))

    def _records(self, rows: Rows) -> list[str]:
        upn, tenant = self.world.people.accounts.upn, self.world.spec.tenant
        kinds = {50: "exchangeItemAggregated", 2: "exchangeItem", 3: "exchangeItemGroup"}
        return [
            f'{{"id":"{rid}","createdDateTime":"{t}Z","auditLogRecordType":'
            f'"{kinds[record_type(o, s)]}","operation":"{OPERATIONS[o]}","organizationId":'
            f'"{tenant}","userType":"regular","service":"Exchange","userPrincipalName":'
            f'"{upn[a]}","auditData":{data}}}'
            for rid, t, o, s, a, data in zip(
                guids(self.world.spec.seed + 61, rows["serial"]),
                np.datetime_as_string(rows["t"].astype("M8[us]"), unit="s").tolist(),
                rows["operation"].tolist(),
                rows["sync"].tolist(),
                rows["account"].tolist(),
                self._texts.records(rows),
                strict=True,
            )
        ]


AUDIT_WRITERS: Final[dict[str, type[Any]]] = {
    "activity_api": ActivityBlobs,
    "jsonl": AuditLines,
    "purview_csv": AuditCsv,
    "search_ual_csv": SearchCsv,
    "graph_query": GraphQuery,
}
