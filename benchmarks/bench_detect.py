"""What it costs to judge a tenant-month, against parsing the logs that tell of it.

    python benchmarks/bench_detect.py [--users N] [--weeks N] [--seed N] [--keep DIR]

The simulator writes one tenant: all sign-ins as full JSON lines and the mailbox audit, with
EX1256020 in it. One process takes them to windows and judges every lane with every signal;
the peer is the parsing of the same logs in the same process. Printed: seconds of CPU and
ratios, also for the sign-ins alone, which parse quickest and so are the harder case.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from lived import closed, parsed

from connectors.normalise.meanings import meanings
from detectors.bank import BankSettings, TenantBank, families_of
from pipeline.simulate.run import simulate
from pipeline.simulate.spec import SimulationSpec


def judge(what: str, paths: list[Path], spool: Path) -> None:
    """Take some logs through and print what each step costs."""
    began = time.process_time()
    by_day = parsed(paths, spool)
    parse = time.process_time() - began
    codes = families_of({code: outcome for code, (outcome, _) in meanings().items()})
    bank: TenantBank | None = None
    detect, minutes, flags = 0.0, 0, 0
    began = time.process_time()
    for block in closed(by_day, spool):
        if bank is None:
            bank = TenantBank(block.cells[0].tenant, BankSettings(1.0, codes))
        start = time.process_time()
        flags += len(bank.advance(block))
        detect += time.process_time() - start
        minutes += len(block.cells) * block.minutes
    windows = time.process_time() - began - detect
    records = sum(part.rows for parts in by_day.values() for part in parts)
    print(f"{what}: {records} events, {minutes / 1e6:.1f} million cell-minutes, {flags} flags")
    print(f"  parse   {parse:6.1f} s")
    print(f"  windows {windows:6.1f} s  ({windows / parse:.2f} of parsing)")
    print(f"  detect  {detect:6.1f} s  ({detect / parse:.2f} of parsing)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--weeks", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the logs, used again if there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outrider-bench-") as folder:
        logs = (args.keep or Path(folder)) / "logs"
        if not logs.exists():
            simulate(
                SimulationSpec(
                    scenarios=("ex1256020",),
                    users=args.users,
                    weeks=args.weeks,
                    seed=args.seed,
                    signin_form="jsonl",
                    compression="none",
                    full_records=True,
                ),
                logs,
            )
        # Compiled code is made ready once on a machine and kept: not counted.
        for block in closed(
            parsed([logs / "signins"], Path(folder) / "first"), Path(folder) / "first"
        ):
            TenantBank(block.cells[0].tenant, BankSettings(1.0, {})).advance(block)
            break
        judge("sign-ins alone", [logs / "signins"], Path(folder) / "signins")
        judge("all logs", [logs / "signins", logs / "audit"], Path(folder) / "all")


if __name__ == "__main__":
    main()
