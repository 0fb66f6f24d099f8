"""The tables of docs/outputs.md say what the encoders do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors.sinks.encoders import cef, ecs, leef, ocsf
from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.encoders.words import LEVELS

PAGE = (Path(__file__).parents[3] / "docs" / "outputs.md").read_text("utf-8")


def rows(first):
    """Rows of the table whose heading begins so, cells stripped of marks."""
    body = PAGE.split(f"| {first} |", 1)[1].split("\n\n", 1)[0].split("\n")[2:]
    return [[cell.strip().replace("`", "") for cell in row[1:-1].split("|")] for row in body if row]


def test_severities():
    for name, *steps, _why in rows("ours | OCSF `severity_id`"):
        level = LEVELS[name.removeprefix("a ")]
        told = [re.match(r"\d+", step)[0] for step in steps]
        assert told == [str(step) for step in level]


def test_verdicts():
    told = {name: (number, category) for name, number, category, _ in rows("verdict")}
    assert told.pop("any, retracted")[0] == "1 False Positive"
    assert told == {
        name: (f"{number} {ocsf.VERDICTS[number]}", ecs.VERDICT_CATEGORIES.get(name, ""))
        for name, number in ocsf.VERDICT_IDS.items()
    }


def test_states():
    told = {
        s.strip(): status
        for states, status, _ in rows("ours | `status_id`")
        for s in states.split(",")
    }
    assert told == {name: f"{n} {ocsf.STATUSES[n]}" for name, n in ocsf.STATES.items()}


def test_categories():
    told = {
        s.strip(): category for services, category in rows("service") for s in services.split(",")
    }
    assert told == ecs.CATEGORIES


def test_files():
    for name, files, _ in rows("`files_format`"):
        suffix = FORMS[name].suffix
        assert name == "json" or files == f"incidents{suffix}, flags{suffix}"


@pytest.mark.parametrize(("column", "limits"), [(1, cef.LIMITS), (2, leef.LIMITS)])
def test_limits(column, limits):
    told = {
        field.strip(): int(row[0].replace(",", ""))
        for row in rows("octets")
        for field in row[column].split(",")
        if field.strip()
    }
    assert told == limits
