"""Every decision not to tell somebody has its sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.notify.explaining import explain_incident, explain_labels, left_out
from tests.unit.notify.playing import World, everything

SLACK = everything("slack.team")
NIGHT = {
    "hours": {"nights": {"time_zone": "Europe/Berlin", "start": "22:00", "end": "07:00"}},
    "quiet_hours": ["nights"],
}


def why(world, name="inc-1"):
    """Of the only destination: whether it is told, and the sentences."""
    (found,) = explain_incident(world.situation, world.state, name)
    return found.told, found.sentences


def test_what_was_told_and_when_it_is_told_again():
    world = World(SLACK)
    world.tell()
    assert why(world) == (
        True,
        (
            "told 2026-03-16 09:00Z: revision 1, open",
            "reminded 2026-03-16 13:00Z if nothing is new until then",
        ),
    )


def test_a_silence_names_who_made_it_and_why():
    world = World(SLACK)
    world.silence("tenant=contoso", hours=2)
    world.tell()
    assert why(world) == (
        False,
        ("not told of unsilenced: silenced until 2026-03-16 11:00Z by ben (sil-0): known",),
    )


def test_an_acknowledgement_names_who_gave_it_and_what_it_keeps_back():
    world = World(SLACK)
    world.tell()
    world.tell(reason="spread", clients=["outlook_ios", "owa"])
    world.wait(minutes=1)
    world.ack(until=world.now + timedelta(hours=1))
    world.tell(reason="recovering", state="recovering")
    told, sentences = why(world)
    assert told
    assert sentences[1:] == (
        (
            "acknowledged by ana until 2026-03-16 10:01Z: no reminders and no small updates until it "
            "gets worse"
        ),
        "not told of recovering: it is acknowledged",
    )


def test_a_reason_that_a_route_does_not_ask_for():
    world = World(SLACK | {"reasons": ["severity_up"]})
    world.tell()
    world.tell(reason="spread", clients=["outlook_ios", "owa"])
    assert "not told of spread: route default asks for severity_up" in why(world)[1]


def test_quiet_hours_say_when_they_end():
    world = World(SLACK | NIGHT, at=datetime(2026, 3, 28, 23, tzinfo=UTC))
    world.tell()
    told, (sentence,) = why(world)
    assert not told
    assert sentence == (
        "not told of unsilenced: quiet hours of route default until 2026-03-29 05:00Z: what is "
        "below critical waits"
    )


def test_inhibition_names_the_other_and_the_rule():
    rule = {"source": ["verdict=telemetry_gap"], "target": ["verdict=undetermined"]}
    world = World(SLACK | {"inhibit": {"blind": rule}})
    world.tell("gap", verdict="telemetry_gap")
    world.tell("inc-1", verdict="undetermined")
    assert why(world)[1] == (
        "not told of unsilenced: inhibited by gap (rule blind) while that goes on",
    )


def test_maintenance_is_named():
    section = SLACK | {
        "hours": {"mondays": {"weekdays": ["mon"]}},
        "maintenance": {"patching": {"match": ["tenant=contoso"], "times": ["mondays"]}},
    }
    world = World(section)
    world.tell()
    assert "in the maintenance window patching until 2026-03-17 00:00Z" in why(world)[1][0]


def test_a_group_that_waits_says_until_when():
    world = World(SLACK | {"group_by": ["tenant"]})
    world.tell()
    assert why(world)[1] == ("told of opened at 2026-03-16 09:00Z or with the next step",)


def test_what_moved_to_another_route_is_explained_at_both_places():
    routes = {
        "security": {"match": ["verdict=attack"], "sinks": ["email.list"]},
        "rest": {"sinks": ["slack.team"]},
    }
    world = World({"routes": routes})
    world.tell()
    world.tell(verdict="attack", reason="corrected")
    found = {e.sink: e.sentences for e in explain_incident(world.situation, world.state, "inc-1")}
    assert found["slack.team"] == (
        "told 2026-03-16 09:00Z: revision 2, rerouted",
        "its routes lead elsewhere by now",
    )
    assert "told 2026-03-16 09:00Z: revision 2, open" in found["email.list"]


TREE = {
    "routes": {
        "pager": {"match": ["severity>=high"], "sinks": ["pagerduty.oncall"]},
        "mac": {"match": ["client=outlook_mac", "tenant!=contoso"], "sinks": ["email.list"]},
        "nobody": {"match": ["verdict=attack"]},
        "rest": {"sinks": ["slack.team"], "group_by": ["tenant"]},
    }
}


@pytest.mark.parametrize(
    ("labels", "told", "others"),
    [
        (
            {"severity": ("critical",)},
            [("pagerduty.oncall", "route pager takes it: told at once, by itself")],
            [
                "route mac is not looked at: pager has taken it",
                "route nobody is not looked at: pager has taken it",
                "route rest is not looked at: pager has taken it",
            ],
        ),
        (
            {"severity": ("low",), "tenant": ("contoso",)},
            [
                (
                    "slack.team",
                    "route rest takes it: told after 30 s, with others of its group",
                )
            ],
            [
                "route pager does not take it: severity=critical,high is not met",
                "route mac does not take it: client=outlook_mac and tenant!=contoso is not met",
                "route nobody does not take it: verdict=attack is not met",
            ],
        ),
        (
            {"verdict": ("attack",)},
            [],
            [
                "route pager does not take it: severity=critical,high is not met",
                "route mac does not take it: client=outlook_mac is not met",
                "route nobody takes it and names no destination",
                "route rest is not looked at: nobody has taken it",
            ],
        ),
    ],
)
def test_an_imagined_incident_goes_through_the_routes_in_words(labels, told, others):
    world = World(TREE)
    found = explain_labels(world.situation, labels)
    assert [(e.sink, e.sentences[0]) for e in found] == told
    assert left_out(world.situation, labels) == others


def test_an_imagined_incident_meets_the_silences_of_now():
    world = World(TREE)
    world.silence("severity=critical", hours=1)
    (found,) = explain_labels(world.situation, {"severity": ("critical",)})
    assert not found.told
    assert found.sentences[0].startswith("silenced until")
