"""Every sink in the product, through the one list of checks; and the checks, on broken sinks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.contracts import hostile_sinks
from tests.contracts.sink_checks import SINK_CHECKS, checks_for
from tests.sinks import (
    elastic_case,
    files_case,
    people_cases,
    rotated_case,
    sentinel_case,
    splunk_case,
    syslog_case,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.contracts.sink_cases import SinkCase

# What makes a case, given an empty folder, and the troubles that it can have. Each stands in
# tests/sinks/*_case.py.
CASES: dict[str, tuple[Callable[[Path], SinkCase], frozenset[str]]] = {
    "files": (files_case.case, files_case.CAN),
    "files_in_ecs": (files_case.ecs_case, files_case.ECS_CAN),
    "files_rotated": (rotated_case.case, rotated_case.CAN),
    "syslog": (syslog_case.kept_case, syslog_case.KEPT_CAN),
    "syslog_confirmed": (syslog_case.case, syslog_case.CAN),
    "splunk": (splunk_case.case, splunk_case.CAN),
    "elastic": (elastic_case.case, elastic_case.CAN),
    "sentinel": (sentinel_case.case, sentinel_case.CAN),
    "splunk_acknowledged": (splunk_case.acknowledged_case, splunk_case.CAN),
    **people_cases.CASES,
}
CHECKED = [
    pytest.param(make, can, check, id=f"{name}-{check.__name__}")
    for name, (make, can) in CASES.items()
    for check in checks_for(can)
]


@pytest.mark.parametrize(("make", "can", "check"), CHECKED)
def test_sink(
    make: Callable[[Path], SinkCase],
    can: frozenset[str],
    check: Callable[[SinkCase], None],
    tmp_path: Path,
) -> None:
    check(replace(make(tmp_path), can=can))


@pytest.mark.parametrize("check", SINK_CHECKS, ids=lambda c: c.__name__)
def test_a_good_sink_passes(check: Callable[[SinkCase], None]) -> None:
    check(hostile_sinks.case_of(hostile_sinks.GoodSink))


@pytest.mark.parametrize("twin", list(hostile_sinks.TWINS), ids=lambda t: t.__name__)
def test_a_broken_sink_fails_its_check(twin: type[hostile_sinks.GoodSink]) -> None:
    (check,) = [c for c in SINK_CHECKS if c.__name__ == hostile_sinks.TWINS[twin]]
    with pytest.raises(Exception):  # noqa: B017 # broken on purpose, in whatever way
        check(hostile_sinks.case_of(twin))


def test_every_check_has_a_broken_sink() -> None:
    assert set(hostile_sinks.TWINS.values()) == {c.__name__ for c in SINK_CHECKS}
