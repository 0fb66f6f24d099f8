"""What every detector must do, as a plain list of checks; a new one is tested by registering it.

A check takes a :class:`DetectorCase` and raises ``AssertionError`` if the detector breaks the
promise named by the function. Each one is also run on a detector that breaks just that promise
(``hostile_detectors.py``), where it must fail.
"""

from __future__ import annotations

import copy
import json
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.model.contracts import Detector
from pipeline.model.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Sample = dict[str, Any]

HOSTILE_NUMBERS = (0, 1, 2**31 - 1)


@dataclass(frozen=True)
class DetectorCase:
    """A detector and the stream to try it on.

    Attributes:
        make: a new detector, every time the same.
        stream: quiet samples in time order: ``stream(n, seed)``.
        settled: samples after which warming up is over and the state has its full size.
        longer: how many times that the stream is for the check of bounded state.
        probes: how many samples past that the slower checks look at.
        hostile_fields: fields of a sample that may be any count.
    """

    make: Callable[[], Any]
    stream: Callable[[int, int], list[Sample]]
    settled: int = 200
    longer: int = 10
    probes: int = 60
    hostile_fields: tuple[str, ...] = ()
    _settled: list[Any] = field(default_factory=list, compare=False)


def _text(detector: Detector) -> str:
    """The whole state, as it would be stored."""
    return json.dumps(detector.snapshot(), sort_keys=True, allow_nan=False)


def _run(detector: Detector, samples: list[Sample]) -> list[float]:
    scores = []
    for sample in samples:
        scores.append(detector.score_one(sample))
        detector.learn_one(sample)
    return scores


def _learned(case: DetectorCase) -> tuple[Any, list[Sample]]:
    """A settled detector and the samples that follow."""
    samples = case.stream(case.settled + case.probes, 1)
    if not case._settled:
        detector = case.make()
        for sample in samples[: case.settled]:
            detector.learn_one(sample)
        case._settled.append(detector)
    return copy.deepcopy(case._settled[0]), samples[case.settled :]


def is_a_detector(case: DetectorCase) -> None:
    assert isinstance(case.make(), Detector)


def scoring_changes_nothing(case: DetectorCase) -> None:
    detector, rest = _learned(case)
    for sample in rest:
        before = _text(detector)
        first = detector.score_one(sample)
        assert _text(detector) == before, "score_one changed the state"
        assert detector.score_one(sample) == first, "the second score differs"
        detector.learn_one(sample)


def learning_without_scoring_is_the_same(case: DetectorCase) -> None:
    detector, rest = _learned(case)
    other, _ = _learned(case)
    _run(detector, rest)
    for sample in rest:
        other.learn_one(sample)
    assert detector.score_one(rest[-1]) == other.score_one(rest[-1])


def the_sample_is_not_changed(case: DetectorCase) -> None:
    detector, rest = _learned(case)
    for sample in rest:
        kept = copy.deepcopy(sample)
        detector.score_one(sample)
        detector.learn_one(sample)
        assert sample == kept


def the_sample_is_not_kept(case: DetectorCase) -> None:
    detector, rest = _learned(case)
    other, _ = _learned(case)
    for sample in rest:
        mine = copy.deepcopy(sample)
        detector.learn_one(mine)
        for name, value in mine.items():
            if isinstance(value, dict):
                value.clear()
            elif isinstance(value, list):
                del value[:]
            else:
                mine[name] = value + 1000 if isinstance(value, (int, float)) else None
        other.learn_one(sample)
    assert detector.score_one(rest[-1]) == other.score_one(rest[-1])
    assert _text(detector) == _text(other)


def a_clone_is_new_and_shares_nothing(case: DetectorCase) -> None:
    detector, _ = _learned(case)
    before = _text(detector)
    clone = detector.clone()
    assert type(clone) is type(detector)
    assert _text(clone) == _text(case.make()), "a clone starts with nothing learned"
    _run(clone, case.stream(case.probes, 2))
    assert _text(detector) == before, "training the clone changed the original"
    fresh = detector.clone()
    assert _text(fresh) == _text(case.make()), "training a clone changed the next clone"


def the_state_is_bounded(case: DetectorCase) -> None:
    detector = case.make()
    early = late = 0
    for number, sample in enumerate(case.stream(case.longer * case.settled, 3)):
        detector.learn_one(sample)
        # An open hour may hold more than a closed one: the largest of many looks counts.
        if number >= case.settled and number % 97 == 0:
            size = len(_text(detector))
            if number < 2 * case.settled:
                early = max(early, size)
            late = max(late, size)
    # Numbers get longer as they grow (17 digits at most): a quarter allows for that.
    assert late <= 1.25 * early + 256, f"{early} characters became {late}"


def it_scores_before_learning(case: DetectorCase) -> None:
    detector = case.make()
    for sample in case.stream(5, 4):
        score = detector.score_one(sample)
        assert isinstance(score, float)
        assert math.isfinite(score)


def warming_up_is_honest(case: DetectorCase) -> None:
    detector = case.make()
    assert detector.warming_up is True, "a new detector knows no baseline"
    was_ready = False
    look = max(1, case.settled // 200)
    for number, sample in enumerate(case.stream(case.settled, 5)):
        if detector.warming_up:
            assert not was_ready, "it was ready and is warming up again on a steady stream"
            if number % look == 0:
                assert detector.score_one(sample) <= 0, "evidence without a baseline"
        else:
            was_ready = True
        detector.learn_one(sample)
    assert detector.warming_up is False, f"still warming up after {case.settled} samples"


def a_snapshot_restores_bit_for_bit(case: DetectorCase) -> None:
    for learned in (0, 1, case.settled // 2, case.settled):
        samples = case.stream(case.settled + case.probes, 6)
        detector = case.make()
        for sample in samples[:learned]:
            detector.learn_one(sample)
        text = _text(detector)
        restored = case.make()
        restored.restore(json.loads(text))
        assert _text(restored) == text
        assert restored.warming_up == detector.warming_up
        rest = samples[learned : learned + case.probes]
        assert _run(restored, rest) == _run(detector, rest)
        assert _text(restored) == _text(detector)


def a_snapshot_is_a_copy(case: DetectorCase) -> None:
    detector, rest = _learned(case)
    taken = detector.snapshot()
    text = json.dumps(taken, sort_keys=True)
    restored = case.make()
    restored.restore(taken)
    _run(restored, rest)
    _run(detector, rest)
    assert json.dumps(taken, sort_keys=True) == text, "learning changed a snapshot taken before"
    now = _text(detector)
    _scramble(detector.snapshot())
    assert _text(detector) == now, "changing a snapshot changed the detector"


def _scramble(value: Any) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _scramble(item)
        value.clear()
    elif isinstance(value, list):
        for item in value:
            _scramble(item)
        value.append("scrambled")


def _refuses(detector: Detector, state: Mapping[str, Any]) -> bool:
    try:
        detector.restore(state)
    except StateError:
        return True
    return False


def foreign_state_is_refused(case: DetectorCase) -> None:
    detector, _ = _learned(case)
    good = json.loads(_text(detector))
    foreign: dict[str, Mapping[str, Any]] = {
        "nothing": {},
        "another program's": {"version": 1, "weights": [1, 2, 3]},
        **{f"without {k}": {n: v for n, v in good.items() if n != k} for k in good},
        **{f"a text for {k}": {**good, k: "other"} for k in good},
    }
    target = case.make()
    new = _text(target)
    for what, state in foreign.items():
        assert _refuses(target, state), f"took {what} state for its own"
        assert _text(target) == new, f"{what} state was refused after it had been taken in part"


def another_versions_state_is_refused(case: DetectorCase) -> None:
    detector, _ = _learned(case)
    good = json.loads(_text(detector))
    names = [k for k in good if k in {"v", "version"}]
    assert names, "a snapshot carries its version as 'v' or 'version'"
    target = case.make()
    for name in names:
        other = good[name] + 1 if isinstance(good[name], int) else f"{good[name]}-other"
        assert _refuses(target, {**good, name: other}), f"took the state of {name} {other!r}"


def scores_stay_finite_on_hostile_values(case: DetectorCase) -> None:
    assert case.hostile_fields, "name the count fields of a sample in the case"
    for value in HOSTILE_NUMBERS:
        detector, rest = _learned(case)
        for sample in rest:
            hostile = {**sample, **dict.fromkeys(case.hostile_fields, value)}
            assert math.isfinite(detector.score_one(hostile)), value
            detector.learn_one(hostile)
        for sample in rest:
            assert math.isfinite(detector.score_one(sample)), f"after {value}"
            detector.learn_one(sample)
        _text(detector)  # raises on NaN and infinity


def the_same_stream_gives_the_same_scores(case: DetectorCase) -> None:
    runs = []
    for noise in (1, 2):
        # A detector that drew from the global generators would see different numbers.
        random.seed(noise)
        np.random.seed(noise)  # noqa: NPY002 # the global generator is what is being tested
        detector = case.make()
        samples = case.stream(case.settled + case.probes, 7)
        for sample in samples[: case.settled]:
            detector.learn_one(sample)
        runs.append((_run(detector, samples[case.settled :]), _text(detector)))
    assert runs[0] == runs[1]


DETECTOR_CHECKS: list[Callable[[DetectorCase], None]] = [
    is_a_detector,
    scoring_changes_nothing,
    learning_without_scoring_is_the_same,
    the_sample_is_not_changed,
    the_sample_is_not_kept,
    a_clone_is_new_and_shares_nothing,
    the_state_is_bounded,
    it_scores_before_learning,
    warming_up_is_honest,
    a_snapshot_restores_bit_for_bit,
    a_snapshot_is_a_copy,
    foreign_state_is_refused,
    another_versions_state_is_refused,
    scores_stay_finite_on_hostile_values,
    the_same_stream_gives_the_same_scores,
]
