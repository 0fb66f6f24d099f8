"""Specs, the calendar, labels and advisories."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from pipeline.model.clock import parse_rfc3339
from pipeline.model.errors import ConfigError
from pipeline.model.vocabulary import Client, Service, Verdict
from pipeline.simulate.run import labels, user_names
from pipeline.simulate.scenarios import make_plan
from pipeline.simulate.spec import SCENARIOS, SimulationSpec
from pipeline.simulate.world import World

OUTAGES = ("ex1256020", "all_protocols", "office_copilot", "imap4", "classic_outlook")


def plan(*scenarios, **more):
    return make_plan(SimulationSpec(scenarios=scenarios, **more))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"scenarios": ("flood",)}, "unknown scenario 'flood'"),
        ({"signin_form": "xml"}, "unknown sign-in form 'xml'"),
        ({"audit_form": "xml"}, "unknown audit form"),
        ({"compression": "lzma"}, "unknown compression"),
        ({"without": ("mail",)}, "unknown part"),
        ({"users": 3}, "at least 10"),
        ({"seed": -1}, "from 0"),
        ({"scenarios": ("ex1256020",), "weeks": 1}, "needs at least 2"),
        ({"start": datetime(2026, 1, 1)}, "no time zone"),  # noqa: DTZ001 # that is the point
    ],
)
def test_a_wrong_spec_is_told_plainly(wrong, words):
    with pytest.raises(ConfigError, match=words):
        SimulationSpec(**wrong)


def test_tenant_follows_the_seed():
    assert SimulationSpec(seed=4).tenant == SimulationSpec(seed=4, users=20).tenant
    assert SimulationSpec(seed=4).tenant != SimulationSpec(seed=5).tenant
    assert SimulationSpec(tenant_id="abc").tenant == "abc"


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", [n for n in SCENARIOS if n != "quiet"])
def test_labels_are_consistent(name, seed):
    spec = SimulationSpec(scenarios=(name,), seed=seed)
    made = make_plan(spec)
    assert made.labels
    ids = {issue["id"] for issue in made.advisories}
    for label in made.labels:
        told = label.to_json()
        assert spec.begin <= label.start < label.end <= spec.end
        assert told["kind"] in {*Verdict, "benign"}
        assert {Client(c) for c in told["clients"]} == set(label.clients)
        assert {Service(s) for s in told["services"]}
        assert set(label.advisory_ids) <= ids
        assert (label.kind == "service_outage") == bool(label.advisory_ids)
        assert 0 <= label.effect <= 1


def test_all_scenarios_together_lie_in_the_period():
    spec = SimulationSpec(scenarios=tuple(SCENARIOS), users=20)
    document = labels(World(spec))
    assert document["schema"] == "outrider.labels/1"
    assert {x["name"] for x in document["labels"]} == set(SCENARIOS) - {"quiet"}
    assert len({x["label_id"] for x in document["labels"]}) == len(document["labels"])


@pytest.mark.parametrize("name", OUTAGES)
@pytest.mark.parametrize("weeks", [2, 3, 4, 6])
def test_outages_fit_other_lengths(name, weeks):
    spec = SimulationSpec(scenarios=(name,), weeks=weeks)
    for label in make_plan(spec).labels:
        assert spec.begin < label.start < label.end <= spec.end


def test_ex1256020_falls_on_its_thursday():
    label = plan("ex1256020").labels[0]
    assert label.start == datetime(2026, 3, 19, 8, tzinfo=UTC)
    assert label.end.date().isoformat() == "2026-03-27"
    assert label.clients == (Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID, Client.OUTLOOK_MAC_NEW)
    assert Client.OUTLOOK_MAC in label.entra
    assert not label.signin_failures


def test_daylight_saving_finds_both_changes():
    spec = SimulationSpec(scenarios=("daylight_saving",))
    starts = [label.start for label in make_plan(spec).labels]
    assert starts == [
        datetime(2026, 3, 8, 7, tzinfo=UTC),
        datetime(2026, 3, 29, 1, tzinfo=UTC),
    ]
    assert (spec.end - starts[-1]).days >= 2


def versions(made, advisory_id):
    return [issue for issue in made.advisories if issue["id"] == advisory_id]


def test_ex1256020_is_declared_over_too_early_and_relisted():
    made = plan("ex1256020")
    label = made.labels[0]
    old, new = versions(made, "EX1256020"), versions(made, "EX1268771")
    assert len(old) == 4
    assert parse_rfc3339(old[0]["posts"][0]["createdDateTime"]) > label.start
    assert [v["isResolved"] for v in old] == [False, False, False, True]
    assert parse_rfc3339(old[-1]["endDateTime"]) < label.end
    assert parse_rfc3339(old[-1]["lastModifiedDateTime"]) < label.end
    # Rewritten on closure, to the true start.
    assert old[0]["startDateTime"] > old[-1]["startDateTime"]
    assert parse_rfc3339(old[-1]["startDateTime"]) == label.start
    relisted = parse_rfc3339(new[0]["lastModifiedDateTime"])
    assert parse_rfc3339(old[-1]["lastModifiedDateTime"]) < relisted < label.end
    text = new[0]["posts"][0]["description"]["content"]
    assert "EX1256020" in text
    assert "Start time: Tuesday, March 17, 2026, at 2:00 PM UTC" in text


@pytest.mark.parametrize("name", OUTAGES)
def test_clients_are_named_in_posts_with_the_usual_sections(name):
    made = plan(name)
    for advisory_id in made.labels[0].advisory_ids:
        last = versions(made, advisory_id)[-1]
        first = last["posts"][0]["description"]["content"]
        for section in ("Title:", "User impact:", "More info:", "Current status:", "Start time:",
                        "Next update by:"):  # fmt: skip
            assert section in first
        assert re.search(r"\w+day, \w+ \d+, \d{4}, at \d+:\d\d [AP]M UTC", first)
        assert [p["createdDateTime"] for p in last["posts"]] == sorted(
            p["createdDateTime"] for p in last["posts"]
        )


def test_user_names_are_the_people_of_the_tenant():
    spec = SimulationSpec(users=30)
    names = user_names(spec)
    assert sum("@contoso.example" in n for n in names) >= 30
    assert not any(n in {"admin", "test"} for n in names)
