"""Labelled series from a folder of CSV."""

from __future__ import annotations

import csv
import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.series.made import Series

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, windows: Path | None) -> list[Series]:
    """Every CSV below ``folder``: timestamp, value and, without ``windows``, a label of 0 or 1.

    ``windows`` is JSON in the form of NAB: by path below the folder, a list of pairs of
    timestamps, both of them inside.
    """
    labels = None if windows is None else json.loads(windows.read_text("utf-8"))
    return [
        _read(path, path.relative_to(folder).as_posix(), labels)
        for path in sorted(folder.rglob("*.csv"))
    ]


def _read(path: Path, name: str, labels: dict[str, list[list[str]]] | None) -> Series:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))[1:]
    time = np.array([_seconds(row[0]) for row in rows])
    value = np.array([float(row[1]) if row[1].strip() else math.nan for row in rows])
    if labels is None:
        marked = np.array([float(row[2] or 0) > 0 for row in rows])
    else:
        marked = np.zeros(len(rows), bool)
        for first, last in labels.get(name, []):
            marked |= (time >= _seconds(first)) & (time <= _seconds(last))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(int), [0]])))
    spans = [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]
    return Series(name, time, value, tuple(spans))


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
