"""Which form goes into which files, and how a day's rows are laid into them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from pipeline.model.clock import from_us
from pipeline.simulate.formats import csvs
from pipeline.simulate.formats.container import Tally, array, lines, write
from pipeline.simulate.formats.damage import damage
from pipeline.simulate.formats.entra import CATEGORIES, EventHubTexts, SigninTexts
from pipeline.simulate.formats.mail import AuditTexts, record_type
from pipeline.simulate.rows import OPERATIONS, guids, take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipeline.simulate.rows import Rows
    from pipeline.simulate.world import World

CHUNK: Final = 16_384  # rows formatted at once: some 60 MB of text with full records
HUB_BATCH: Final = 40
GRAPH_PAGE: Final = 1000
UAL_PAGE: Final = 5000
BATCH_TWICE: Final = 0.006
HOUR_US: Final = 3_600_000_000


class Writer(Protocol):
    """Writes one delivered day."""

    def day(self, rows: Rows) -> None:
        """Write ``rows``, ordered by delivery; a day is handed over once."""
        ...


class Base:
    """What every writer needs: where to, how packed, what was written."""

    by_line = False

    def __init__(self, world: World, folder: Path, tally: Tally) -> None:
        self.world, self.folder, self.tally = world, folder, tally

    def texts(self, rows: Rows, render: Callable[[Rows], list[str]]) -> Iterator[list[str]]:
        """Format ``rows`` chunk by chunk, with a few records damaged."""
        for first in range(0, rows.size, CHUNK):
            part = rows[first : first + CHUNK]
            out = render(part)
            if self.world.spec.dirty:
                out = damage(self.world.spec.seed, part, out, by_line=self.by_line)
            yield out

    def put(self, name: str, chunks: Any) -> None:
        """Write one file."""
        write(self.folder / name, self.world.spec.compression, chunks, self.tally)


def _date(us: int) -> str:
    return f"{from_us(us):%Y-%m-%d}"


def _twice(seed: int, count: int, first: int) -> np.ndarray[Any, Any]:
    return (
        np.random.Generator(np.random.PCG64([seed, first & 0xFFFFFFFF])).random(count) < BATCH_TWICE
    )


class EventHub(Base):
    """Batches as a hub holds them: one message a line; a few messages come twice."""

    def day(self, rows: Rows) -> None:
        """Write one file a category."""
        texts = self._texts
        for code, category in enumerate(CATEGORIES):
            part = take(rows, rows["category"] == code)
            if part.size:
                name = f"insights-logs-{category.lower()}/{_date(int(part['avail'][0]))}.json"
                self.put(name, self._messages(part, texts))

    def __init__(self, world: World, folder: Path, tally: Tally) -> None:
        super().__init__(world, folder, tally)
        self._texts = EventHubTexts(world, full=world.spec.full_records)

    def _messages(self, rows: Rows, texts: EventHubTexts) -> Iterator[str]:
        seed = self.world.spec.seed
        for part in self.texts(rows, texts.records):
            starts = range(0, len(part), HUB_BATCH)
            again = _twice(seed, len(starts), int(rows["serial"][0]) + len(part))
            out = []
            for start, twice in zip(starts, again.tolist(), strict=True):
                message = '{"records":[' + ",".join(part[start : start + HUB_BATCH]) + "]}\n"
                out += [message, message] if twice else [message]
            if self.world.spec.dirty and chance_of_break(seed, int(rows["serial"][0]), len(part)):
                # A forwarder's split record, cut off by a restart.
                out.append(part[-1][: len(part[-1]) * 3 // 5] + "\n")
            yield "".join(out)


def chance_of_break(seed: int, first: int, size: int) -> bool:
    """Whether a forwarder broke off in a chunk of ``size`` records: one in 20,000."""
    draw = np.random.Generator(np.random.PCG64([seed, first & 0xFFFFFFFF, 7])).random()
    return bool(draw < size / 20_000)


class Storage(Base):
    """Blobs of a storage account: one an hour of delivery, one record a line."""

    by_line = True

    def __init__(self, world: World, folder: Path, tally: Tally) -> None:
        super().__init__(world, folder, tally)
        self._texts = EventHubTexts(world, full=world.spec.full_records)

    def day(self, rows: Rows) -> None:
        """Write one blob an hour and category."""
        hours = rows["avail"] // HOUR_US
        for code, category in enumerate(CATEGORIES):
            for hour in np.unique(hours[rows["category"] == code]).tolist():
                part = take(rows, (hours == hour) & (rows["category"] == code))
                at = from_us(hour * HOUR_US)
                name = (
                    f"insights-logs-{category.lower()}/tenantId={self.world.spec.tenant}/"
                    f"y={at:%Y}/m={at:%m}/d={at:%d}/h={at:%H}/m=00/PT1H.json"
                )
                self.put(name, lines(self.texts(part, self._texts.records)))


class SigninLines(Base):
    """Graph beta objects, one a line."""

    by_line = True

    def __init__(self, world: World, folder: Path, tally: Tally) -> None:
        super().__init__(world, folder, tally)
        self._texts = SigninTexts(world, full=world.spec.full_records, version="beta")

    def day(self, rows: Rows) -> None:
        """Write one file a day."""
        name = f"signins-{_date(int(rows['avail'][0]))}.jsonl"
        self.put(name, lines(self.texts(rows, self._texts.objects)))


class GraphPages(Base):
    """Pages of auditLogs/signIns, newest first; v1.0 tells of interactive sign-ins only."""

    version = "beta"

    def __init__(self, world: World, folder: Path, tally: Tally) -> None:
        super().__init__(world, folder, tally)
        self._texts = SigninTexts(world, full=world.spec.full_records, version=self.version)

    def day(self, rows: Rows) -> None:
        """Write the day's pages."""
        root = "v1.0" if self.version == "v1" else "beta"
        if self.version == "v1":
            rows = take(rows, rows["category"] == 0)
        rows = rows[np.argsort(-rows["t"], kind="stable")]
        url = f"https://graph.microsoft.com/{root}"
        for page, first in enumerate(range(0, rows.size, GRAPH_PAGE), start=1):
            part = rows[first : first + GRAPH_PAGE]
            head = f'{{"@odata.context":"{url}/$metadata#auditLogs/signIns",'
            if first + GRAPH_PAGE < rows.size:
                head += f'"@odata.nextLink":"{url}/auditLogs/signIns?$skiptoken={page + 1:08x}",'
            name = f"signins-{_date(int(part['avail'].max()))}-{page:04d}.json"
            body = array(self.texts(part, self._texts.objects), head + '"value":[', "]}\n")
            self.put(name, body)


class GraphPagesV1(GraphPages):
    """The same without the beta fields."""

    version = "v1"


class SigninCsv(Base):
    """The CSV exports: one file a day for interactive and one for other sign-ins."""

    portal = False

    def __init__(self, world: World, folder: Path, tally: Tally) -> None:
        super().__init__(world, folder, tally)
        self._tables = csvs.SigninTables(world)

    def day(self, rows: Rows) -> None:
        """Write the day's two files; programs have exports of their own."""
        names = csvs.PORTAL_NAMES if self.portal else csvs.ANALYTICS_TABLES
        render = self._tables.portal if self.portal else self._tables.analytics
        for code, table in enumerate(names):
            part = take(rows, rows["category"] == code)
            if part.size:
                self.put(
                    f"{table}_{_date(int(part['avail'][0]))}.csv",
                    self._table(self._header(code), part, render),
                )

    def _header(self, code: int) -> str:
        if self.portal:
            return csvs.PORTAL_HEADER
        latency = ("ProcessingTimeInMilliseconds", "ProcessingTimeInMs")[code]
        return csvs.ANALYTICS_HEADER.format(latency=latency)

    def _table(self, header: str, rows: Rows, render: Callable[[Rows], list[str]]) -> Iterator[str]:
        yield header + "\r\n"
        for part in self.texts(rows, render):
            yield "\r\n".join(part) + "\r\n"


class PortalCsv(SigninCsv):
    """The portal's download."""

    portal = True


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
        name = f"audit-{_date(int(rows['avail'][0]))}.jsonl"
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
        self.put(f"{kind}_{_date(int(rows['avail'][0]))}.csv", self._table(rows))

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
            name = f"records-{_date(int(rows['avail'][0]))}-{page:04d}.json"
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


SIGNIN_WRITERS: Final[dict[str, type[Any]]] = {
    "eventhub": EventHub,
    "graph_beta": GraphPages,
    "graph_v1": GraphPagesV1,
    "jsonl": SigninLines,
    "log_analytics_csv": SigninCsv,
    "storage_blob": Storage,
    "portal_csv": PortalCsv,
}
AUDIT_WRITERS: Final[dict[str, type[Any]]] = {
    "activity_api": ActivityBlobs,
    "jsonl": AuditLines,
    "purview_csv": AuditCsv,
    "search_ual_csv": SearchCsv,
    "graph_query": GraphQuery,
}
