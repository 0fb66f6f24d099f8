"""A check that cannot fail is worth nothing: each one fails on its broken twin, and only there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts import hostile_detectors, hostile_feeds, hostile_sources
from tests.contracts.advisory_feed_checks import ADVISORY_FEED_CHECKS
from tests.contracts.detector_checks import DETECTOR_CHECKS, is_a_detector
from tests.contracts.source_checks import SOURCE_CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Suite:
    checks: list[Callable[[Any], None]]
    good: type
    twins: dict[type, str]
    case_of: Callable[[type], Any]

    def failing(self, component: type) -> set[str]:
        """Names of the checks that a component does not pass."""
        found = set()
        for check in self.checks:
            try:
                check(self.case_of(component))
            except Exception:  # noqa: BLE001 # broken on purpose, in whatever way
                found.add(check.__name__)
        return found


SUITES = {
    "detector": Suite(
        DETECTOR_CHECKS,
        hostile_detectors.GoodDetector,
        hostile_detectors.TWINS,
        hostile_detectors.case_of,
    ),
    "source": Suite(
        SOURCE_CHECKS, hostile_sources.GoodSource, hostile_sources.TWINS, hostile_sources.case_of
    ),
    "advisory_feed": Suite(
        ADVISORY_FEED_CHECKS,
        hostile_feeds.GoodFeed,
        hostile_feeds.TWINS,
        hostile_feeds.case_of,
    ),
}


@pytest.mark.parametrize(
    ("suite", "check"),
    [
        pytest.param(suite, check, id=f"{kind}-{check.__name__}")
        for kind, suite in SUITES.items()
        for check in suite.checks
    ],
)
def test_a_good_component_passes(suite: Suite, check: Callable[[Any], None]) -> None:
    check(suite.case_of(suite.good))


@pytest.mark.parametrize(
    ("suite", "twin"),
    [
        pytest.param(suite, twin, id=f"{kind}-{twin.__name__}")
        for kind, suite in SUITES.items()
        for twin in suite.twins
    ],
)
def test_a_broken_component_fails_its_check_and_no_other(suite: Suite, twin: type) -> None:
    assert suite.failing(twin) == {suite.twins[twin]}


@pytest.mark.parametrize("suite", list(SUITES.values()), ids=list(SUITES))
def test_every_check_has_a_twin(suite: Suite) -> None:
    # What has no snapshot fails nearly everything: that twin is tried below.
    names = {c.__name__ for c in suite.checks} - {is_a_detector.__name__}
    assert set(suite.twins.values()) == names


def test_a_component_without_a_method_is_told_by_the_first_check() -> None:
    assert is_a_detector.__name__ in SUITES["detector"].failing(hostile_detectors.NotADetector)
