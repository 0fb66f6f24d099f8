"""Files of sign-in records, one writer a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.model.clock import from_us
from pipeline.simulate.formats import csvs
from pipeline.simulate.formats.container import Tally, array, lines
from pipeline.simulate.formats.entra import CATEGORIES, EventHubTexts, SigninTexts
from pipeline.simulate.formats.writers import (
    BATCH_TWICE,
    GRAPH_PAGE,
    HOUR_US,
    HUB_BATCH,
    Base,
    date_of,
)
from pipeline.simulate.rows import take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipeline.simulate.rows import Rows
    from pipeline.simulate.world import World


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
                name = f"insights-logs-{category.lower()}/{date_of(int(part['avail'][0]))}.json"
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
                batch = part[start : start + HUB_BATCH]
                message = '{"records":[' + ",".join(batch) + "]}\n"
                out += [message, message] if twice else [message]
                self.written += len(batch) if twice else 0
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
        name = f"signins-{date_of(int(rows['avail'][0]))}.jsonl"
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
            name = f"signins-{date_of(int(part['avail'].max()))}-{page:04d}.json"
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
                    f"{table}_{date_of(int(part['avail'][0]))}.csv",
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


SIGNIN_WRITERS: Final[dict[str, type[Any]]] = {
    "eventhub": EventHub,
    "graph_beta": GraphPages,
    "graph_v1": GraphPagesV1,
    "jsonl": SigninLines,
    "log_analytics_csv": SigninCsv,
    "storage_blob": Storage,
    "portal_csv": PortalCsv,
}
