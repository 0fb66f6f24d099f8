"""A check that cannot fail is worth nothing: each one fails on its broken twin, and only there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contracts import hostile_detectors
from tests.contracts.detector_checks import DETECTOR_CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def failing(checks: Iterable[Callable[[Any], None]], case: Any) -> set[str]:
    """Names of the checks that a component does not pass."""
    found = set()
    for check in checks:
        try:
            check(case)
        except Exception:  # noqa: BLE001 # broken on purpose
            found.add(check.__name__)
    return found


def test_a_good_detector_passes_every_check() -> None:
    for check in DETECTOR_CHECKS:
        check(hostile_detectors.case_of(hostile_detectors.GoodDetector))


@pytest.mark.parametrize("twin", list(hostile_detectors.TWINS), ids=lambda c: c.__name__)
def test_a_broken_detector_fails_its_check_and_no_other(twin: type) -> None:
    assert failing(DETECTOR_CHECKS, hostile_detectors.case_of(twin)) == {
        hostile_detectors.TWINS[twin]
    }


def test_every_detector_check_has_a_twin() -> None:
    names = {c.__name__ for c in DETECTOR_CHECKS} - {"is_a_detector"}
    assert set(hostile_detectors.TWINS.values()) == names
    assert "is_a_detector" in failing(
        DETECTOR_CHECKS, hostile_detectors.case_of(hostile_detectors.NotADetector)
    )
