"""Every scenario of the simulator, backfilled and judged against its labels.

One row a run: what was found, how late, which clients, what was called an outage and was
none. Peer: the labels. Run ``python benchmarks/bench_scenarios.py --help`` for the knobs;
the default is the whole table (three seeds, 500 users, four weeks: half an hour on two
cores); nothing of the detectors was tuned on seeds above 100.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from pipeline.evaluate.judge import evaluate
from pipeline.evaluate.labels import read_incidents, read_labels
from pipeline.runtime.backfill import BackfillRequest, backfill
from pipeline.runtime.config import Config
from pipeline.runtime.progress import Progress
from pipeline.runtime.telemetry import configure, get_logger
from pipeline.simulate.run import simulate
from pipeline.simulate.spec import SCENARIOS, SimulationSpec


def run(name: str, seed: int, args: argparse.Namespace, folder: Path) -> dict[str, object]:
    spec = SimulationSpec(
        scenarios=(name,),
        users=args.users,
        weeks=args.weeks,
        seed=seed,
        without=tuple(args.without),
        compression="zstd",
    )
    began = time.monotonic()
    simulate(spec, folder / "logs")
    simulated = time.monotonic() - began
    paths = [str(folder / "logs" / part) for part in ("signins", "audit", "directory")]
    request = BackfillRequest(
        tuple(p for p in paths if Path(p).exists()),
        (str(folder / "logs" / "advisories"),),
        folder / "out",
    )
    result = backfill(request, Config(), progress=Progress(), log=get_logger("bench"))
    sources = None if not args.without else read_sources(args.without)
    verdict = evaluate(
        read_labels(folder / "logs" / "labels.json"),
        read_incidents(folder / "out" / "incidents.ndjson"),
        sources=sources,
    )
    seconds = result.summary["seconds"]
    return {
        "scenario": name,
        "seed": seed,
        "users": args.users,
        "records": result.summary["records"]["received"],
        "simulate_s": round(simulated, 1),
        "parse_s": seconds["parse"],
        "judge_s": seconds["judge"],
        **verdict.summary(),
        "labels": [row for row in verdict.to_rows() if row],
        "incidents": [
            f"{i.verdict}:{'+'.join(i.clients)}@{i.onset_at:%d %H:%M}" for i in result.incidents
        ],
    }


def read_sources(without: list[str]) -> frozenset[str]:
    logs = {"signins": "entra", "audit": "exchange_audit"}
    return frozenset(name for part, name in logs.items() if part not in without)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--scenarios", nargs="*", default=list(SCENARIOS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[101, 102, 103])
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--weeks", type=int, default=4)
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--json", action="store_true", help="one JSON object a run")
    args = parser.parse_args()
    configure("json", level="error")
    for name in args.scenarios:
        for seed in args.seeds:
            folder = Path(tempfile.mkdtemp(prefix="outrider-bench-"))
            try:
                row = run(name, seed, args, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            if args.json:
                print(json.dumps(row, default=str), flush=True)
                continue
            shown = {k: v for k, v in row.items() if k != "labels"}
            print(json.dumps(shown, default=str), file=sys.stdout, flush=True)


if __name__ == "__main__":
    main()
