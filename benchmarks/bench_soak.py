"""Weeks of an embedded run in minutes: does it stay as small as it was?

    python benchmarks/bench_soak.py [--weeks N] [--tenants N] [--people N] [--minutes N]
        [--settled N] [--keep-days N] [--trace] [--keep DIR]

Endless made-up logs (``soak_logs.py``) drive the real loop of ``outrider run``, with a real
ledger and real files. Each simulated week prints what the process (MiB, a million objects)
and the ledger (MiB by table) hold. At the end a line is fitted to the weeks after
``--settled``: nothing may grow by more than 1 % of its mean a week, beyond what the 95 %
interval of its slope allows (Student's t, as weeks are few). What is kept for a time, such as
documents (``--keep-days``) and the versions of advisories (90 days), is looked at once that time
is over; documents by the number told in that time. Exit code 1 if anything grows.
"""

from __future__ import annotations

import argparse
import gc
import os
import sqlite3
import sys
import tempfile
import time
import tracemalloc
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from scipy.special import stdtrit
from soak_logs import MONDAY, WEEK, SoakAdvisories, SoakLogs, Tenant

from connectors.sinks.ndjson import NdjsonSink
from pipeline.ledger.store import Ledger
from pipeline.model.clock import ManualClock
from pipeline.runtime.config import Config
from pipeline.runtime.health import Health
from pipeline.runtime.judging import Settings
from pipeline.runtime.live import embedded, journal
from pipeline.runtime.live.embedded import Embedded
from pipeline.runtime.memory import keep_freed
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.telemetry import configure, get_logger

TABLES: Final = ("journal", "states", "parts", "issued", "cursors", "documents", "dead")
LIMIT: Final = 0.01  # of the mean, each week
LEAST: Final = 4  # weeks that make a line
ADVISORY_DAYS: Final = 90
# A run stores states every quarter of an hour; compressed, a week has a minute for it.
SNAPSHOT_ROWS: Final = 20_000
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Week:
    """What was held at the end of a week; sizes in MiB."""

    number: int
    seconds: float
    events: int
    held: dict[str, float]
    documents: int
    open: int


class Watch:
    """Stands where the loop waits: looks at it each week, and stops it after the last."""

    def __init__(self, args: argparse.Namespace, clock: ManualClock, folder: Path) -> None:
        self._args, self._clock, self._folder = args, clock, folder
        self._began = time.monotonic()
        self._events = 0
        self._before: tracemalloc.Snapshot | None = None
        self.weeks: list[Week] = []
        self.logs: SoakLogs | None = None
        self.metrics = Metrics()

    def wait(self) -> bool:
        """Whether to stop."""
        if self._clock.now() >= MONDAY + (len(self.weeks) + 1) * WEEK:
            self.weeks.append(self._look())
            print(line(self.weeks[-1]), flush=True)
        return len(self.weeks) >= self._args.weeks

    def _look(self) -> Week:
        gc.collect()
        now, events = time.monotonic(), 0 if self.logs is None else self.logs.events
        seconds, self._began = now - self._began, now
        new, self._events = events - self._events, events
        read = self.metrics.registry.get_sample_value
        held = {"rss": rss() / _MIB, "arrow": pa.total_allocated_bytes() / _MIB}
        held["objects"] = len(gc.get_objects()) / 1e6
        held |= sizes(self._folder / "ledger.sqlite")
        if self._args.trace:
            self._grown()
        return Week(
            len(self.weeks) + 1,
            seconds,
            new,
            held,
            sum(int(read("outrider_documents_total", {"kind": k}) or 0) for k in KINDS),
            int((read("outrider_open_flags") or 0) + (read("outrider_open_incidents") or 0)),
        )

    def _grown(self) -> None:
        after = tracemalloc.take_snapshot()
        if self._before is not None:
            for found in after.compare_to(self._before, "lineno")[:12]:
                print(f"    {found}")
        self._before = after


KINDS: Final = ("flag", "incident")
HEAD: Final = ("rss", "arrow", "objects", *TABLES, "file", "wal")


def rss() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def sizes(path: Path) -> dict[str, float]:
    """MiB of each table with its indexes, of the file and of its write-ahead log."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        rows = db.execute(
            "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name "
            "GROUP BY 1"
        )
        used = dict(rows.fetchall())
    log = path.with_name(path.name + "-wal")
    files = {"file": path.stat().st_size, "wal": log.stat().st_size if log.exists() else 0}
    return {
        name: size / _MIB for name, size in ({t: used.get(t, 0) for t in TABLES} | files).items()
    }


def line(week: Week) -> str:
    """A row of the table."""
    hourly = week.seconds / 168
    parts = [f"{week.number:4}", f"{week.events:8}", f"{1e3 * hourly:8.0f}"]
    parts += [f"{week.held[name]:9.3f}" for name in HEAD]
    return " ".join([*parts, f"{week.documents:6}", f"{week.open:5}"])


def growth(values: list[float]) -> tuple[float, float]:
    """Slope of the fitted line and half its 95 % interval, as shares of the mean, a week."""
    week, seen = np.arange(len(values)), np.array(values)
    mean = float(seen.mean())
    if not mean:
        return 0.0, 0.0
    slope, start = np.polyfit(week, seen, 1)
    rest = seen - slope * week - start
    error = np.sqrt((rest**2).sum() / (len(seen) - 2) / ((week - week.mean()) ** 2).sum())
    return float(slope) / mean, float(error * stdtrit(len(seen) - 2, 0.975)) / mean


def told_within(weeks: list[Week], days: int) -> list[float]:
    """At the end of each week the documents told in the ``days`` before, at least one.

    Within a week they are taken to be told evenly: 30 days are no whole weeks.
    """
    number, told = [0, *(w.number for w in weeks)], [0, *(w.documents for w in weeks)]
    ends = np.array(number[1:])
    since: list[float] = np.interp(ends - days / 7, number, told).tolist()
    return [max(1.0, w.documents - before) for w, before in zip(weeks, since, strict=True)]


def judge(weeks: list[Week], settled: int, keep_days: int) -> list[str]:
    """Print how each size grew; the names of those that grow too fast."""
    kept = dict.fromkeys(("documents", "dead", "file"), keep_days) | {"issued": ADVISORY_DAYS}
    told = told_within(weeks, keep_days)
    bad = []
    for name in HEAD:
        first = settled + -(-kept.get(name, 0) // 7)
        seen = [w.held[name] for w in weeks[first:]]
        if name == "documents":
            # A month with more incidents holds more of them: what one takes must not grow.
            seen = [held / count for held, count in zip(seen, told[first:], strict=True)]
        if len(seen) < LEAST:
            print(f"{name:>10} is kept for {kept.get(name, 0)} days: run {first + LEAST} weeks")
            continue
        share, error = growth(seen)
        grows = share - error > LIMIT
        bad += [name] * grows
        word = "GROWS" if grows else "bounded"
        print(f"{name:>10} {100 * share:7.2f} % a week, +- {100 * error:5.2f}  {word}")
    return bad


def soak(args: argparse.Namespace, folder: Path) -> list[Week]:
    """Run and print; the weeks."""
    tenants = tuple(
        Tenant(f"tenant-{n}", args.people + 50 * (n % 3), n) for n in range(args.tenants)
    )
    clock = ManualClock(MONDAY)
    watch = Watch(args, clock, folder)
    logs = SoakLogs(tenants, clock, minutes=args.minutes)
    watch.logs = logs
    log = get_logger("soak")
    ledger = Ledger(folder / "ledger.sqlite")
    loop = Embedded(
        Settings.of(Config(), trace_hours=0),
        ledger,
        {"logs": logs},
        {"ndjson": NdjsonSink(folder)},
        feeds={"advisories": SoakAdvisories(tenants, clock)},
        unnamed=lambda: "nobody",
        clock=clock,
        metrics=watch.metrics,
        health=Health(),
        log=log,
        keep_days=args.keep_days,
    )
    print("week   events   ms/hour", *(f"{name:>9}" for name in HEAD), "  told  open", flush=True)
    # A week has a minute here. A name that is not there any more is an error.
    with (
        patch.multiple(embedded, _TIDY_SECONDS=0.0),
        patch.multiple(journal, SNAPSHOT_ROWS=SNAPSHOT_ROWS),
    ):
        while loop.step() or not watch.wait():
            pass
    ledger.close()
    return watch.weeks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--weeks", type=int, default=12)
    parser.add_argument("--tenants", type=int, default=5)
    parser.add_argument("--people", type=int, default=100, help="of the smallest tenant")
    parser.add_argument("--minutes", type=int, default=360, help="of arrivals in a poll")
    parser.add_argument("--settled", type=int, default=4, help="weeks that may still grow")
    parser.add_argument("--keep-days", type=int, default=30, help="of documents in the ledger")
    parser.add_argument("--trace", action="store_true", help="print where Python memory grew")
    parser.add_argument("--keep", type=Path, help="folder for the ledger, left there")
    args = parser.parse_args()
    configure("json", level="error")
    keep_freed()  # as the command does
    if args.trace:
        tracemalloc.start(8)
    with tempfile.TemporaryDirectory(prefix="outrider-soak-") as folder:
        weeks = soak(args, args.keep or Path(folder))
    bad = judge(weeks, args.settled, args.keep_days)
    print("bounded" if not bad else f"growing: {', '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
