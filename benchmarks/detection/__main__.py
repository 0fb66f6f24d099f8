"""Delay over the least that is possible, at one false episode a stream-month.

    python -m benchmarks.detection [--seed N] [--quick] [--only failures storms drops tenants]

Peers: an oracle CUSUM that knows everything but when, and the usual detectors, each
calibrated to the same false-alarm rate on the same streams. Seeds for tuning and seeds for
reporting are in ``plan.py``. The whole run takes some ten minutes on one core.
"""

from __future__ import annotations

import argparse
import time

from benchmarks.detection.compare import on_drops, on_failures
from benchmarks.detection.plan import FULL, QUICK, REPORTING_SEEDS
from benchmarks.detection.streams import plain
from benchmarks.detection.table import text
from benchmarks.detection.tenants import tenants

PARTS = {
    "failures": lambda plan, seed: on_failures(plain(plan, seed), "Failures"),
    "storms": lambda plan, seed: on_failures(
        plain(plan, seed, storms=True), "Failures, with one retry storm a stream-day"
    ),
    "drops": lambda plan, seed: on_drops(plain(plan, seed), "Drops of streams on their own"),
    "tenants": lambda plan, seed: on_drops(
        tenants(plan, seed), "Drops of one client in tenants of six that move together"
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=REPORTING_SEEDS[0])
    parser.add_argument("--quick", action="store_true", help="fewer streams, fewer weeks")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    args = parser.parse_args()
    plan = QUICK if args.quick else FULL
    print(f"# Detection: seed {args.seed}, {plan}\n")
    for name in args.only:
        began = time.process_time()
        print(text(PARTS[name](plan, args.seed)))
        print(f"\n({time.process_time() - began:.0f} s of CPU)\n", flush=True)


if __name__ == "__main__":
    main()
