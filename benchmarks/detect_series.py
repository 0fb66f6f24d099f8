"""``outrider detect-series`` against River's own detectors and random scores, in one run.

    python benchmarks/detect_series.py [FOLDER] [--windows FILE.json] [--kinds]

FOLDER holds CSV files, timestamp,value; the labels are in a third column (0 or 1), or in a
JSON file of windows in the form of the Numenta Anomaly Benchmark. Without a folder made-up
series are marked: the detector was built on seeds 1 to 3, the reporting seeds are others.

Printed by detector, each with the one threshold that is best for it over all series: F1 of
events, the standard profile of NAB, microseconds a row (score and learn).
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from river import anomaly

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.series.made import made
from benchmarks.series.marks import event_f1, window_score
from benchmarks.series.read import read
from detectors.series import SeriesChange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.series.made import Series
    from benchmarks.series.marks import Scores

REPORTING_SEEDS = (11, 12, 13)


def ours(series: Series) -> Scores:
    detector, scores = SeriesChange(), []
    for at, value in zip(series.time.tolist(), series.value.tolist(), strict=True):
        sample = {"time": at, "value": value}
        scores.append(detector.score_one(sample))
        detector.learn_one(sample)
    return np.array(scores)


def deviation(series: Series) -> Scores:
    """River's StandardAbsoluteDeviation, its best on NAB among those it ships."""
    detector, scores = anomaly.StandardAbsoluteDeviation(), []
    for value in series.value.tolist():
        known = not math.isnan(value)
        # The first rows have no deviation to divide by.
        scores.append(float(np.nan_to_num(detector.score_one(None, value))) if known else 0.0)
        if known:
            detector.learn_one(None, value)
    return np.abs(np.array(scores))


def rested(series: Series, rest: int = 100) -> Scores:
    """The same; a score counts only above those of the 100 rows before."""
    scores, lately = [], deque[float](maxlen=rest)
    for score in deviation(series).tolist():
        scores.append(score if score > max(lately, default=0.0) else 0.0)
        lately.append(score)
    return np.array(scores)


def by_chance(series: Series) -> Scores:
    dice = random.Random(series.name)  # noqa: S311 # repeatable, no secret
    return np.array([dice.random() for _ in series.value])


DETECTORS: dict[str, Callable[[Series], Scores]] = {
    "outrider detect-series": ours,
    "River SAD, rest 100": rested,
    "River SAD": deviation,
    "random scores": by_chance,
}


def mark(name: str, series: Sequence[Series]) -> str:
    """One line of the table."""
    began = time.process_time()
    scores = [DETECTORS[name](one) for one in series]
    spent = time.process_time() - began
    event, window = event_f1(series, scores), window_score(series, scores)
    rows = sum(len(one.value) for one in series)
    return (
        f"| {name} | {event.value:.3f} | {event.precision:.2f} / {event.recall:.2f} "
        f"| {window.value:.1f} | {spent / rows * 1e6:.1f} |"
    )


def table(title: str, series: Sequence[Series]) -> None:
    windows = sum(len(one.windows) for one in series)
    rows = sum(len(one.value) for one in series)
    print(f"## {title}: {len(series)} series, {rows} rows, {windows} windows\n")
    print("| detector | event F1 | precision / recall | NAB standard | us a row |")
    print("|---|---:|---:|---:|---:|")
    for name in DETECTORS:
        print(mark(name, series), flush=True)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--windows", type=Path, help="JSON of windows, as NAB has it")
    parser.add_argument("--kinds", action="store_true", help="a table for every kind, too")
    args = parser.parse_args()
    if args.folder is not None:
        table(args.folder.name, read(args.folder, args.windows))
        return
    for seed in REPORTING_SEEDS:
        series = made(seed)
        table(f"Made-up series, seed {seed}", series)
        if args.kinds:
            for kind in dict.fromkeys(one.name.rsplit("-", 1)[0] for one in series):
                some = [one for one in series if one.name.startswith(kind)]
                if any(one.windows for one in some):
                    table(f"{kind}, seed {seed}", some)


if __name__ == "__main__":
    main()
