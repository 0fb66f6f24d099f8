"""The marks of the series benchmark, and that the detector earns them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.detect_series import DETECTORS
from benchmarks.series.made import made
from benchmarks.series.marks import event_f1, probation, window_score
from benchmarks.series.read import read

SERIES = made(11, copies=1)


def marked(scores):
    return event_f1(SERIES, scores).value, window_score(SERIES, scores).value


def test_perfect_scores_earn_everything_and_none_earn_nothing():
    perfect, silent = [], []
    for one in SERIES:
        score = np.zeros(len(one.value))
        silent.append(score.copy())
        for first, last in one.windows:
            if last >= probation(len(score)):
                score[first] = 1.0
        perfect.append(score)
    assert marked(perfect) == pytest.approx((1.0, 100.0))
    # One threshold below everything is an alarm on every row.
    event, window = marked(silent)
    assert event < 0.02
    assert window == 0.0


def test_the_detector_is_far_ahead_of_its_peers():
    scores = {name: [run(one) for one in SERIES] for name, run in DETECTORS.items()}
    event, window = marked(scores["outrider detect-series"])
    assert event > 1.4 * marked(scores["River SAD, rest 100"])[0]
    assert window > 1.3 * marked(scores["River SAD, rest 100"])[1]
    assert event > 3.0 * marked(scores["random scores"])[0]


def test_labelled_series_are_read_in_both_forms(tmp_path):
    rows = [f"2026-03-01 {n:02d}:00:00,{n},{int(5 <= n < 8)}" for n in range(24)]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("\n".join(["timestamp,value,label", *rows]) + "\n")
    (own,) = read(tmp_path, None)
    file = tmp_path / "windows.json"
    file.write_text('{"in/a.csv": [["2026-03-01 05:00:00", "2026-03-01 07:00:00"]]}')
    (given,) = read(tmp_path, file)
    assert own.windows == given.windows == ((5, 7),)
    assert own.value.tolist() == given.value.tolist() == list(range(24))
