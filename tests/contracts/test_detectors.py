"""Every detector in the table, through the one list of checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from detectors.registry import DETECTORS
from tests.contracts.detector_checks import DETECTOR_CHECKS, DetectorCase
from tests.contracts.streams import CASES

if TYPE_CHECKING:
    from collections.abc import Callable


def test_every_detector_has_a_stream_and_the_other_way_round() -> None:
    assert set(CASES) == set(DETECTORS)


@pytest.mark.parametrize("check", DETECTOR_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", list(DETECTORS))
def test_detector(name: str, check: Callable[[DetectorCase], None]) -> None:
    check(CASES[name])
