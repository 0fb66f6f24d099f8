"""Every scenario of the simulator, backfilled and judged against its labels.

One row a run: what was found, how late, which clients, what was called an outage and was
none. Peer: the labels. Run ``python benchmarks/bench_scenarios.py --help`` for the knobs;
the default is the whole table (three seeds, 500 users, four weeks: half an hour on two
cores); nothing of the detectors was tuned on seeds above 100.
"""

from __future__ import annotations

import argparse
import json

from lived import live

from pipeline.runtime.telemetry import configure
from pipeline.simulate.spec import SCENARIOS, SimulationSpec


def run(name: str, seed: int, args: argparse.Namespace) -> dict[str, object]:
    spec = SimulationSpec(
        scenarios=(name,),
        users=args.users,
        weeks=args.weeks,
        seed=seed,
        without=tuple(args.without),
        compression="zstd",
    )
    with live(spec) as lived:
        last = {i.incident_id: i for i in lived.incidents}
        return {
            "scenario": name,
            "seed": seed,
            "users": args.users,
            "records": lived.summary["records"]["received"],
            "simulate_s": round(lived.simulate_seconds, 1),
            "parse_s": lived.summary["seconds"]["parse"],
            "judge_s": lived.summary["seconds"]["judge"],
            **lived.evaluation.summary(),
            "labels": [row for row in lived.evaluation.to_rows() if row],
            "incidents": [
                f"{i.verdict}:{'+'.join(i.clients)}@{i.onset_at:%d %H:%M}" for i in last.values()
            ],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--scenarios", nargs="*", default=list(SCENARIOS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[101, 102, 103])
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--weeks", type=int, default=4)
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--json", action="store_true", help="one JSON object a run, with labels")
    args = parser.parse_args()
    configure("json", level="error")
    for name in args.scenarios:
        for seed in args.seeds:
            row = run(name, seed, args)
            if not args.json:
                del row["labels"]
            print(json.dumps(row, default=str), flush=True)


if __name__ == "__main__":
    main()
