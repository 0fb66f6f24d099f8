"""docs/alerting.md: its examples are read, and its tables say what the program does."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.model.notice import ALWAYS
from pipeline.notify.matchers import NAMES
from pipeline.notify.placing import MOST_OF_A_GROUP
from pipeline.notify.settings import REASONS
from tests.unit.notify.playing import MONDAY, World, settings

TEXT = (Path(__file__).parents[3] / "docs" / "alerting.md").read_text("utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
SINKS = ("pagerduty.oncall", "email.security", "email.list", "slack.team")


@pytest.mark.parametrize("block", BLOCKS)
def test_each_example_is_a_configuration(block):
    read = tomllib.loads(block)
    assert set(read) == {"notify"}
    assert settings(read["notify"], SINKS)


def test_the_examples_are_there():
    assert len(BLOCKS) == 4


def test_the_table_of_updates_is_that_of_the_program():
    section = TEXT.split("## What is worth a message", 1)[1].split("\n## ", 1)[0]
    found = {}
    for kinds, reasons in re.findall(r"^\| (`.*?) \| (.*?) \|$", section, re.MULTILINE):
        for kind in re.findall(r"`(\w+)`", kinds):
            found[kind] = set(reasons.split(", "))
    assert found == {kind: {str(r) for r in rs - ALWAYS} for kind, rs in REASONS.items()}


def test_the_table_of_labels_is_that_of_the_program():
    section = TEXT.split("## Routes", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(NAMES)
    assert f"A thread holds {MOST_OF_A_GROUP} incidents" in TEXT


def test_the_morning_of_the_example_is_told_so():
    routes, quiet = (tomllib.loads(BLOCKS[n])["notify"] for n in (0, 2))
    routes["routes"]["team"] |= {"quiet_hours": ["nights"]}
    world = World(
        {"routes": routes["routes"], "hours": quiet["hours"]},
        at=MONDAY.replace(hour=1, minute=10),
        sinks=SINKS,
    )
    assert world.tell(severity="medium") == []
    world.now += timedelta(minutes=30)
    assert world.tell(reason="severity_up", severity="high") == [
        "pagerduty.oncall opened inc-1/2 open"
    ]
    world.now += timedelta(minutes=5)
    world.ack()
    world.now += timedelta(minutes=45)
    assert world.tell(reason="matched") == []
    world.now += timedelta(minutes=40)
    assert world.tell(reason="spread", clients=["outlook_ios", "outlook_android"]) == []
    assert world.situation.acknowledged("inc-1") is None
    world.now += timedelta(minutes=130)
    assert world.tell(reason="recovering", state="recovering") == []
    world.now += timedelta(minutes=40)
    assert world.step() == ["slack.team unsilenced inc-1/5 recovering"]
    world.now += timedelta(minutes=45)
    assert sorted(world.tell(reason="resolved", state="resolved")) == [
        "pagerduty.oncall resolved inc-1/6 resolved",
        "slack.team resolved inc-1/6 resolved",
    ]
