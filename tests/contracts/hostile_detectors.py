"""One well-behaved detector, and broken twins: each breaks one promise and only that one."""

from __future__ import annotations

import copy
import math
import random
from typing import TYPE_CHECKING, Any

from river import base

from pipeline.model.errors import StateError
from tests.contracts.detector_checks import DetectorCase

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE_VERSION = 1


class GoodDetector(base.Estimator):
    """Log likelihood ratio of twice the mean against the mean, over an exponential mean."""

    def __init__(self, warm: int = 20) -> None:
        self.warm = warm
        self.seen = 0
        self.mean = 0.0

    def score_one(self, x: Mapping[str, Any]) -> float:
        if self.warming_up or self.mean <= 0:
            return 0.0
        return float(x["count"]) * math.log(2.0) - self.mean

    def learn_one(self, x: Mapping[str, Any]) -> None:
        self.seen = min(self.seen + 1, self.warm)
        self.mean += (min(float(x["count"]), 1e6) - self.mean) / 20

    @property
    def warming_up(self) -> bool:
        return self.seen < self.warm

    def snapshot(self) -> dict[str, Any]:
        return {"v": STATE_VERSION, "seen": self.seen, "sums": {"mean": self.mean}}

    def restore(self, state: Mapping[str, Any]) -> None:
        if state.get("v") != STATE_VERSION:
            raise StateError("detector state: want version 1; learn anew")
        self._take(state)

    def _take(self, state: Mapping[str, Any]) -> None:
        try:
            seen, mean = int(state["seen"]), float(state["sums"]["mean"])
        except (KeyError, TypeError, ValueError) as cause:
            raise StateError("detector state: damaged; learn anew") from cause
        self.seen, self.mean = seen, mean


class NotADetector(GoodDetector):
    snapshot = None  # type: ignore[assignment] # the fault

    def __getattribute__(self, name: str) -> Any:
        if name == "snapshot":
            raise AttributeError(name)
        return super().__getattribute__(name)


class CountsScores(GoodDetector):
    """Writes into its state how often it scored since it last learned."""

    def __init__(self, warm: int = 20) -> None:
        super().__init__(warm)
        self.scored = 0

    def score_one(self, x: Mapping[str, Any]) -> float:
        self.scored += 1
        return super().score_one(x)

    def learn_one(self, x: Mapping[str, Any]) -> None:
        super().learn_one(x)
        self.scored = 0

    def snapshot(self) -> dict[str, Any]:
        return {**super().snapshot(), "scored": self.scored}

    def restore(self, state: Mapping[str, Any]) -> None:
        if not isinstance(state.get("scored"), int):
            raise StateError("detector state: damaged; learn anew")
        super().restore(state)
        self.scored = state["scored"]


class RemembersThatItScored(GoodDetector):
    """Keeps a second state beside the one it writes down."""

    def __init__(self, warm: int = 20) -> None:
        super().__init__(warm)
        self._last: Any = None

    def score_one(self, x: Mapping[str, Any]) -> float:
        self._last = x["count"]
        return super().score_one(x)

    def learn_one(self, x: Mapping[str, Any]) -> None:
        super().learn_one(x)
        if self._last is None:
            self.mean += 1.0


class ChangesTheSample(GoodDetector):
    def learn_one(self, x: Mapping[str, Any]) -> None:
        super().learn_one(x)
        x["seen"] = True  # type: ignore[index] # the fault


class KeepsTheSample(GoodDetector):
    """Learns each sample one step late, from a reference."""

    def __init__(self, warm: int = 20) -> None:
        super().__init__(warm)
        self._kept: Mapping[str, Any] | None = None

    def learn_one(self, x: Mapping[str, Any]) -> None:
        if self._kept is not None:
            super().learn_one(self._kept)
        self._kept = x

    def snapshot(self) -> dict[str, Any]:
        kept = self._kept
        return {**super().snapshot(), "kept": {} if kept is None else {"count": kept["count"]}}

    def restore(self, state: Mapping[str, Any]) -> None:
        kept = state.get("kept")
        if not isinstance(kept, dict):
            raise StateError("detector state: damaged; learn anew")
        super().restore(state)
        self._kept = dict(kept) if kept else None


class ClonesShare(GoodDetector):
    def clone(
        self,
        new_params: dict[str, Any] | None = None,
        include_attributes: bool = False,  # noqa: FBT001, FBT002 # River's signature
    ) -> ClonesShare:
        del new_params, include_attributes
        return self


class Hoards(GoodDetector):
    def __init__(self, warm: int = 20) -> None:
        super().__init__(warm)
        self.all: list[float] = []

    def learn_one(self, x: Mapping[str, Any]) -> None:
        super().learn_one(x)
        self.all.append(float(x["count"]))

    def snapshot(self) -> dict[str, Any]:
        return {**super().snapshot(), "all": list(self.all)}

    def restore(self, state: Mapping[str, Any]) -> None:
        if not isinstance(state.get("all"), list):
            raise StateError("detector state: damaged; learn anew")
        super().restore(state)
        self.all = list(state["all"])


class NeedsLearningFirst(GoodDetector):
    def score_one(self, x: Mapping[str, Any]) -> float:
        return super().score_one(x) if self.seen else -math.inf


class NeverWarm(GoodDetector):
    @property
    def warming_up(self) -> bool:
        return True


class ClaimsToKnow(GoodDetector):
    @property
    def warming_up(self) -> bool:
        return False


class JudgesWhileWarming(GoodDetector):
    def score_one(self, x: Mapping[str, Any]) -> float:
        return 30.0 if self.warming_up else super().score_one(x)


class ForgetsInSnapshots(GoodDetector):
    def snapshot(self) -> dict[str, Any]:
        state = super().snapshot()
        return {**state, "sums": {"mean": round(self.mean, 3)}}


class HandsOutItsState(GoodDetector):
    def __init__(self, warm: int = 20) -> None:
        super().__init__(warm)
        self._sums = {"mean": 0.0}

    @property
    def mean(self) -> float:
        return self._sums["mean"]

    @mean.setter
    def mean(self, value: float) -> None:
        self.__dict__.setdefault("_sums", {})["mean"] = value

    def snapshot(self) -> dict[str, Any]:
        return {"v": STATE_VERSION, "seen": self.seen, "sums": self._sums}


class TakesAnything(GoodDetector):
    def restore(self, state: Mapping[str, Any]) -> None:
        if state.get("v") not in {None, STATE_VERSION, "other"}:
            raise StateError("detector state: want version 1; learn anew")
        self.seen = state["seen"] if isinstance(state.get("seen"), int) else 0
        sums = state.get("sums")
        self.mean = sums.get("mean", 0.0) if isinstance(sums, dict) else 0.0


class TakesHalf(GoodDetector):
    def _take(self, state: Mapping[str, Any]) -> None:
        try:
            self.seen = int(state["seen"])
            self.mean = float(state["sums"]["mean"])
        except (KeyError, TypeError, ValueError) as cause:
            raise StateError("detector state: damaged; learn anew") from cause


class TakesAnyVersion(GoodDetector):
    def restore(self, state: Mapping[str, Any]) -> None:
        if not isinstance(state.get("v"), int):
            raise StateError("detector state: want version 1; learn anew")
        self._take(state)


class Overflows(GoodDetector):
    def score_one(self, x: Mapping[str, Any]) -> float:
        score = super().score_one(x)
        return score if x["count"] < 10**9 else math.inf


class Poisoned(GoodDetector):
    """One absurd value and every later score is infinite."""

    def learn_one(self, x: Mapping[str, Any]) -> None:
        super().learn_one(x)
        if x["count"] > 10**9:
            self.mean = math.inf


class Dices(GoodDetector):
    def learn_one(self, x: Mapping[str, Any]) -> None:
        # The same number within one run of a check, another after another seed.
        state = random.getstate()
        luck = random.random()
        random.setstate(state)
        super().learn_one({"count": x["count"] + luck})


def quiet(n: int, seed: int) -> list[dict[str, Any]]:
    """Counts around 10."""
    dice = random.Random(seed)
    return [{"count": 5 + dice.randrange(11)} for _ in range(n)]


def case_of(cls: type) -> DetectorCase:
    return DetectorCase(
        make=cls, stream=lambda n, seed: copy.deepcopy(quiet(n, seed)), hostile_fields=("count",)
    )


# Twin: the one check that must fail on it.
TWINS: dict[type, str] = {
    CountsScores: "scoring_changes_nothing",
    RemembersThatItScored: "learning_without_scoring_is_the_same",
    ChangesTheSample: "the_sample_is_not_changed",
    KeepsTheSample: "the_sample_is_not_kept",
    ClonesShare: "a_clone_is_new_and_shares_nothing",
    Hoards: "the_state_is_bounded",
    NeedsLearningFirst: "it_scores_before_learning",
    NeverWarm: "warming_up_is_honest",
    ClaimsToKnow: "warming_up_is_honest",
    JudgesWhileWarming: "warming_up_is_honest",
    ForgetsInSnapshots: "a_snapshot_restores_bit_for_bit",
    HandsOutItsState: "a_snapshot_is_a_copy",
    TakesAnything: "foreign_state_is_refused",
    TakesHalf: "foreign_state_is_refused",
    TakesAnyVersion: "another_versions_state_is_refused",
    Overflows: "scores_stay_finite_on_hostile_values",
    Poisoned: "scores_stay_finite_on_hostile_values",
    Dices: "the_same_stream_gives_the_same_scores",
}
