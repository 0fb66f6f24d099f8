"""What the dashboard asks of a ledger with 10,000 incidents and 90 days of windows of 60 cells.

    python benchmarks/bench_pages.py [--rounds N] [--cells N] [--tenants N]

Each question is asked N times of a ledger on disk, as the pages and the JSON interface ask it
(``pipeline.ledger.reading.Reader``): median and slowest in wall time, and median in processor
time, which tells more where the machine has other work. The bar is 30 ms for both medians. Peer:
DuckDB, asked the same over the same rows in a file of its own, with an index where it can use
one; its answers are counted to be as many, and are not read into our objects. At the end, what
it costs to put one hour and one judgement of a tenant into the ledger.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from pipeline.ledger.reading import Reader, Wanted
from pipeline.model.clock import to_us
from tests.unit.web import large_ledger
from tests.unit.web.large_ledger import NOW, TENANT

if TYPE_CHECKING:
    from collections.abc import Callable

BAR_MS = 30.0
TABLES = ("documents", "newest", "lanes", "hours", "heads", "advisories", "impacts", "leads")
SOURCE, SERVICE, CLIENT = "entra_signin", "exchange_online", "owa"
LAST = f"inc-{9_999:012x}"
QUARTER, WEEK = NOW - timedelta(days=90), NOW - timedelta(days=7)
FRONT = """SELECT state, severity, verdict, count(*) FROM newest WHERE kind = 'incident'
GROUP BY ALL"""
CELL_HOURS = f"""
SELECT l.signal, h.day * 86400 + h.hour * 3600 AS moment, h.observed, h.expected, h.low, h.high,
    h.completeness FROM hours h JOIN lanes l USING (lane)
WHERE l.source = '{SOURCE}' AND l.service = '{SERVICE}' AND l.client = '{CLIENT}'
    AND moment >= {int(QUARTER.timestamp())} ORDER BY 1, 2"""  # noqa: S608 # our own names
WEEK_HOURS = f"""
SELECT l.lane, h.day * 86400 + h.hour * 3600 AS moment, h.observed, h.expected, h.low, h.high,
    h.completeness FROM hours h JOIN lanes l USING (lane)
WHERE l.signal = 'active_users' AND moment >= {int(WEEK.timestamp())} ORDER BY 1, 2"""  # noqa: S608 # our own names
OPEN = """
SELECT d.document FROM newest n JOIN documents d USING (seq)
WHERE n.kind = 'incident' AND n.state IN ('open', 'recovering') ORDER BY n."at" DESC LIMIT 200"""
REVISIONS = f"SELECT document FROM documents WHERE id = '{LAST}' ORDER BY revision"  # noqa: S608 # our own id
ITS_LEADS = f"SELECT document FROM leads WHERE incident = '{LAST}'"  # noqa: S608 # our own id
ADVISORIES = """
SELECT h.id, a.document, count(i.id) FROM heads h JOIN advisories a USING (version)
LEFT JOIN impacts i ON i.id = h.id GROUP BY ALL ORDER BY max(h."at") DESC LIMIT 50"""
ADVISORY = """SELECT document FROM advisories WHERE id = 'EX1200000' ORDER BY "at" """
LEADS = """SELECT document FROM leads ORDER BY "at" DESC, seq DESC LIMIT 50"""
IN_NUMBERS = "SELECT kind, count(*), median(lead) FROM leads GROUP BY kind"
FOUND = """
SELECT n.id FROM newest n JOIN documents d USING (seq) WHERE n.kind = 'incident' AND {}
ORDER BY n."at" DESC LIMIT 20"""
LIKE = "d.document ILIKE '%{}%'"
TENANTS = """SELECT tenant, kind, state, count(*), max("at") FROM newest GROUP BY ALL"""


def like(*words: str) -> str:
    """The peer's search for words."""
    return FOUND.format(" AND ".join(LIKE.format(word) for word in words))


def questions(reader: Reader) -> dict[str, tuple[Callable[[], Any], str | None]]:
    """By name: what is asked of the ledger, and of the peer (None = it has nothing like it)."""
    cell = {"sources": (SOURCE,), "services": (SERVICE,), "clients": (CLIENT,)}
    users = ("active_users",)
    return {
        "front page": (lambda: reader.front(now=NOW), FRONT),
        "now, every cell": (reader.now, None),
        "timeline, a cell, 90 days": (
            lambda: reader.timeline(TENANT, since=QUARTER, until=NOW, **cell),
            CELL_HOURS,
        ),
        "timeline, 60 cells, a week": (
            lambda: reader.timeline(TENANT, since=WEEK, until=NOW, signals=users),
            WEEK_HOURS,
        ),
        "open incidents": (reader.open_incidents, OPEN),
        "incidents, a page": (
            lambda: reader.page(Wanted("incident"), as_of=2**62, after=None, limit=50),
            None,
        ),
        "one incident, all revisions": (lambda: reader.revisions("incident", LAST), REVISIONS),
        "its deliveries": (lambda: reader.deliveries_of(LAST), None),
        "its leads": (lambda: reader.leads_of(LAST), ITS_LEADS),
        "advisories, a page": (reader.advisories, ADVISORIES),
        "one advisory": (lambda: reader.advisory(large_ledger.advisory_id(0)), ADVISORY),
        "leads, a page": (reader.leads, LEADS),
        "leads in numbers": (reader.lead_summary, IN_NUMBERS),
        "sources": (reader.sources, None),
        "destinations": (reader.sink_lags, None),
        "search, three words": (
            lambda: reader.search("outlook android de"),
            like("outlook", "android", "de"),
        ),
        "search, one letter": (lambda: reader.search("o"), like("o")),
        "search, nothing found": (lambda: reader.search("o zzz"), like("o", "zzz")),
        "search, an id": (lambda: reader.search(LAST), like(LAST)),
        "tenants": (reader.tenant_counts, TENANTS),
    }


def peer(path: Path, folder: Path) -> duckdb.DuckDBPyConnection:
    """The same rows in a file of DuckDB."""
    told = duckdb.connect(str(folder / "peer.duckdb"))
    source = sqlite3.connect(path)
    for table in TABLES:
        cursor = source.execute(f"SELECT * FROM {table}")  # noqa: S608 # our own names
        names = [column[0] for column in cursor.description]
        kinds = {row[1]: row[2] for row in source.execute(f"PRAGMA table_info({table})")}
        words = {"INTEGER": "BIGINT", "REAL": "DOUBLE", "TEXT": "VARCHAR"}
        made = ", ".join(f'"{n}" {words[kinds[n]]}' for n in names)
        told.execute(f"CREATE TABLE {table} ({made})")
        rows = cursor.fetchall()
        columns = {n: list(c) for n, c in zip(names, zip(*rows, strict=True), strict=True)}
        held = pa.table(columns)
        told.execute(f"INSERT INTO {table} SELECT * FROM held")  # noqa: S608 # our own names
        del held
    told.execute("CREATE INDEX documents_id ON documents (id)")
    told.execute("CREATE INDEX leads_incident ON leads (incident)")
    source.close()
    return told


def measure(ask: Callable[[], Any], rounds: int) -> tuple[float, float, float]:
    """Milliseconds: median and slowest of wall time, median of processor time.

    A first round, which fills the caches, does not count.
    """
    ask()
    took, worked = [], []
    for _ in range(rounds):
        began, at = time.perf_counter(), time.thread_time()
        ask()
        took.append((time.perf_counter() - began) * 1e3)
        worked.append((time.thread_time() - at) * 1e3)
    return statistics.median(took), max(took), statistics.median(worked)


def put(path: Path, cells: int, rounds: int) -> None:
    """What a judgement costs the ledger, each in a commit of its own."""
    ledger = large_ledger.Ledger(path)
    named = large_ledger.cells_of(cells)
    body = large_ledger.running(named, 1)
    lanes = [[*lane[:4], [9.0, 8.0, 4.0, 12.0, 1.0]] for lane in body["lanes"]]
    hour = {"hour": int(NOW.timestamp()) // 3600 * 3600, "lanes": lanes, "gaps": []}

    def judged() -> None:
        with ledger.transaction():
            ledger.put_now(TENANT, body, to_us(NOW))

    def over() -> None:
        for lane in lanes:
            lane[4][0] += 1.0
        with ledger.transaction():
            ledger.put_hour(TENANT, hour)

    for name, ask in (("put one judgement", judged), ("put one hour", over)):
        middle, worst, worked = measure(ask, rounds)
        print(f"{name:30} {middle:9.2f} {worst:9.2f} {worked:9.2f}")
    ledger.close()


def main() -> None:
    """Build the ledger, ask, and print a table in milliseconds."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--cells", type=int, default=60)
    options.add_argument("--tenants", type=int, default=1)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "ledger.sqlite"
        began = time.perf_counter()
        large_ledger.build(path, cells=asked.cells, tenants=asked.tenants).close()
        size = path.stat().st_size / 2**20
        print(f"ledger of {size:.0f} MiB made in {time.perf_counter() - began:.1f} s")
        reader, other = Reader(path), peer(path, folder)
        heads = ("median", "slowest", "processor", "duckdb", "slowest")
        print(f"{'milliseconds':30} {' '.join(f'{h:>9}' for h in heads)}")
        late = []
        for what, (ask, statement) in questions(reader).items():
            middle, worst, worked = measure(ask, asked.rounds)
            told = ""
            if statement is not None:
                text = statement
                theirs = measure(lambda t=text: other.execute(t).fetchall(), asked.rounds)
                told = f"{theirs[0]:9.2f} {theirs[1]:9.2f}"
            print(f"{what:30} {middle:9.2f} {worst:9.2f} {worked:9.2f} {told}")
            if max(middle, worked) > BAR_MS:
                late.append(what)
        put(path, asked.cells, asked.rounds)
        print(f"slower than {BAR_MS:.0f} ms: {', '.join(late) or 'none'}")


if __name__ == "__main__":
    main()
