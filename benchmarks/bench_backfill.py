"""The whole backfill of a million full sign-ins, against DuckDB's bare query, in one run.

    python benchmarks/bench_backfill.py [--users N] [--weeks N] [--rounds N] [--keep DIR]

The simulator writes one tenant's sign-ins as JSON lines of 4 KB; the default is some 10^6
of them, 4 GB. ``outrider backfill`` takes them to incidents and a report with two workers;
DuckDB reads the few fields of a count by minute, code and client with its distinct users,
on two threads. Printed: seconds, ratios, the share of detection and the peak memory of all
processes together (proportional set size, read ten times a second).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.simulate.run import simulate
from pipeline.simulate.spec import SimulationSpec
from tests.warm import OUTRIDER

QUERY = """
import duckdb, sys
con = duckdb.connect(config={{"threads": 2}})
print(con.execute('''
select count(*) from (
select date_trunc('minute', createdDateTime) as minute, status.errorCode as code, appId,
       deviceDetail.operatingSystem as system, count(*) as records,
       count(distinct userId) as users
from read_json('{path}/**/*.jsonl', format='newline_delimited', columns={{
    createdDateTime: 'TIMESTAMP', userId: 'VARCHAR', appId: 'VARCHAR',
    deviceDetail: 'STRUCT(operatingSystem VARCHAR)', status: 'STRUCT(errorCode INTEGER)'}},
    ignore_errors=true)
group by all)''').fetchone())
"""


def memory_of(root: int) -> int:
    """Proportional set size of a process and its children, in bytes."""
    total = 0
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        except OSError:
            continue
        total += next(int(x.split()[1]) for x in rollup.splitlines() if x.startswith("Pss:"))
        waiting += [int(child) for child in children.split()]
    return total * 1024


def timed(command: list[str]) -> tuple[float, int]:
    """Seconds and peak bytes of a command."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        time.sleep(0.1)
    if process.returncode not in {0, 4}:
        raise SystemExit(f"{command[:3]} failed with {process.returncode}")
    return time.monotonic() - began, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--weeks", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder for the logs, used again if there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outrider-bench-") as folder:
        logs = (args.keep or Path(folder)) / "logs"
        if not logs.exists():
            simulate(
                SimulationSpec(
                    scenarios=("all_protocols",),
                    users=args.users,
                    weeks=args.weeks,
                    signin_form="jsonl",
                    compression="none",
                    full_records=True,
                    without=("audit",),
                ),
                logs,
            )
        size = sum(p.stat().st_size for p in (logs / "signins").rglob("*.jsonl"))
        ours, theirs, peaks, shares, records = [], [], [], [], 0
        for number in range(args.rounds):
            out = Path(folder) / f"out{number}"
            command = [*OUTRIDER, "backfill", str(logs / "signins")]
            _, peak = timed([*command, "--out", str(out), "--workers", "2"])
            summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
            records = summary["records"]["received"]
            ours.append(summary["seconds"])
            peaks.append(peak)
            shares.append(summary["seconds"]["judge"] / summary["seconds"]["parse"])
            query = QUERY.format(path=logs / "signins")
            theirs.append(timed([sys.executable, "-c", query])[0])
        parse = statistics.median(s["parse"] for s in ours)
        judge = statistics.median(s["judge"] for s in ours)
        duck = statistics.median(theirs)
        print(f"{records} sign-ins, {size / 1e9:.2f} GB of JSON lines, {args.rounds} rounds")
        print(f"  outrider parse {parse:6.1f} s  {records / parse / 1e3:5.0f} k/s")
        print(f"  outrider judge {judge:6.1f} s  ({statistics.median(shares):.2f} of parsing)")
        print(f"  duckdb query   {duck:6.1f} s  {records / duck / 1e3:5.0f} k/s")
        print(f"  parse rate / duckdb          {duck / parse:.2f}")
        print(f"  parse and judge rate / duckdb {duck / (parse + judge):.2f}")
        print(f"  peak memory, all processes   {max(peaks) / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
