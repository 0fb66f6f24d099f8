"""What is told when: one rule after the other, by a clock that is handed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from pipeline.model.notice import Ack
from tests.live.notified import ROUTES, story
from tests.unit.notify.playing import World, everything

SLACK = everything("slack.team")
HOUR = timedelta(hours=1)


def test_a_new_incident_is_told_at_once_and_its_end_too():
    world = World(SLACK)
    assert world.tell() == ["slack.team opened inc-1/1 open"]
    assert world.wait(minutes=5) == []
    assert world.tell(state="resolved", reason="resolved") == [
        "slack.team resolved inc-1/2 resolved"
    ]
    assert world.pass_by(HOUR, days=3) == []


def test_the_same_revision_again_is_told_once():
    world = World(SLACK)
    document = world.incident()
    assert len(world.step(document)) == 1
    assert world.step(document, document) == []


def test_each_destination_is_told_what_its_kind_asks_for():
    world = World(everything("pagerduty.oncall", "slack.team", "email.list"))
    assert len(world.tell()) == 3
    assert [t.split()[0] for t in world.tell(reason="advisory_changed")] == ["slack.team"]
    assert sorted(t.split()[0] for t in world.tell(reason="matched")) == [
        "email.list",
        "slack.team",
    ]
    assert len(world.tell(reason="severity_up", severity="critical")) == 3
    assert [t.split()[0] for t in world.tell(reason="recovering", state="recovering")] == [
        "slack.team"
    ]
    assert len(world.tell(reason="resolved", state="resolved")) == 3


def test_a_route_says_for_itself_what_is_worth_an_update():
    world = World(SLACK | {"reasons": ["severity_up"]})
    world.tell()
    assert world.tell(reason="spread", clients=["outlook_ios", "owa"]) == []
    assert world.tell(reason="severity_up", severity="critical") != []
    assert world.tell(state="resolved", reason="resolved") != []


def test_what_a_correction_changes_is_told_for_what_it_is():
    world = World(SLACK)
    world.tell(severity="medium")
    assert world.tell(reason="corrected") == []
    assert world.tell(reason="corrected", severity="high") == [
        "slack.team severity_up inc-1/3 open"
    ]
    assert world.tell(reason="corrected", state="retracted", severity="low") == [
        "slack.team resolved inc-1/4 retracted"
    ]


def test_what_comes_back_is_reopened_in_its_thread():
    world = World(everything("pagerduty.oncall"))
    world.tell()
    world.tell(state="resolved", reason="resolved")
    world.wait(hours=2)
    assert world.tell(state="open", reason="reopened") == ["pagerduty.oncall reopened inc-1/3 open"]


def test_a_pager_that_heard_nothing_of_recovering_hears_of_no_relapse():
    world = World(everything("pagerduty.oncall"))
    world.tell()
    assert world.tell(state="recovering", reason="recovering") == []
    assert world.tell(state="open", reason="reopened") == []


def test_the_first_route_that_matches_takes_it_unless_it_goes_on():
    routes = {
        "pager": {"match": ["severity>=high"], "sinks": ["pagerduty.oncall"], "continue": True},
        "mac": {"match": ["client=outlook_mac"], "sinks": ["email.list"]},
        "rest": {"sinks": ["slack.team"]},
    }
    world = World({"routes": routes})
    assert [t.split()[0] for t in world.tell("inc-1")] == ["pagerduty.oncall", "slack.team"]
    assert [t.split()[0] for t in world.tell("inc-2", severity="low")] == ["slack.team"]
    found = world.tell("inc-3", severity="low", clients=["outlook_mac"])
    assert [t.split()[0] for t in found] == ["email.list"]


def test_a_route_within_takes_over_what_it_does_not_set():
    routes = {
        "team": {
            "sinks": ["slack.team"],
            "reasons": ["spread"],
            "routes": {"mac": {"match": ["client=outlook_mac"], "sinks": ["email.list"]}},
        }
    }
    world = World({"routes": routes})
    assert world.tell(clients=["outlook_mac"]) == ["email.list opened inc-1/1 open"]
    assert world.tell(reason="severity_up", severity="critical") == []
    assert world.tell(reason="spread", clients=["outlook_mac", "owa"]) != []


def test_without_routes_the_small_is_not_told_and_what_nobody_can_name_pages_nobody():
    world = World()
    assert world.tell("inc-1", severity="low") == []
    assert len(world.tell("inc-2", severity="medium")) == 3
    found = world.tell("inc-3", severity="medium", verdict="undetermined")
    assert [t.split()[0] for t in found] == ["email.list", "slack.team"]


def test_another_verdict_opens_it_elsewhere_and_ends_it_at_the_old_place():
    routes = {
        "security": {"match": ["verdict=attack"], "sinks": ["email.list"]},
        "rest": {"sinks": ["slack.team"]},
    }
    world = World({"routes": routes})
    world.tell(verdict="undetermined")
    assert sorted(world.tell(verdict="attack", reason="corrected")) == [
        "email.list opened inc-1/2 open",
        "slack.team rerouted inc-1/2 resolved",
    ]
    assert world.tell(state="resolved", reason="resolved") == [
        "email.list resolved inc-1/3 resolved"
    ]


def test_what_comes_back_to_a_route_is_reopened_there():
    routes = {
        "security": {"match": ["verdict=attack"], "sinks": ["email.list"]},
        "rest": {"sinks": ["slack.team"]},
    }
    world = World({"routes": routes})
    world.tell()
    world.tell(verdict="attack", reason="corrected")
    assert sorted(world.tell(verdict="service_outage", reason="corrected")) == [
        "email.list rerouted inc-1/3 resolved",
        "slack.team reopened inc-1/3 open",
    ]


def test_an_incident_that_was_never_told_somewhere_is_not_resolved_there():
    world = World({"routes": {"high": {"match": ["severity>=high"], "sinks": ["slack.team"]}}})
    assert world.tell(severity="low") == []
    assert world.tell(state="resolved", reason="resolved") == []


def test_getting_better_moves_nothing_to_another_route():
    routes = {"high": {"match": ["severity>=high"], "sinks": ["slack.team"]}}
    world = World({"routes": routes})
    world.tell()
    assert world.tell(severity="low", reason="corrected") == []
    assert world.tell(state="resolved", reason="resolved") == [
        "slack.team resolved inc-1/3 resolved"
    ]


def test_what_comes_back_less_severe_comes_back_where_that_belongs():
    routes = {
        "high": {"match": ["severity>=high"], "sinks": ["pagerduty.oncall"], "continue": True},
        "all": {"sinks": ["slack.team"]},
    }
    world = World({"routes": routes})
    world.tell()
    world.tell(state="resolved", reason="resolved")
    assert world.tell(state="open", reason="reopened", severity="low") == [
        "slack.team reopened inc-1/3 open"
    ]
    assert world.wait(minutes=1) == []
    assert world.tell(reason="severity_up", severity="high") == [
        "pagerduty.oncall reopened inc-1/4 open",
        "slack.team severity_up inc-1/4 open",
    ]


@given(st.integers(0, 100_000))
@effort(max_examples=30, deadline=None)
def test_to_look_again_at_the_same_moment_changes_nothing(seed):
    world = World(ROUTES)
    for stretch, documents, answer in story(seed, 12):
        world.now += stretch
        if isinstance(answer, Ack):
            world.acks[answer.incident_id] = answer
        elif answer is not None:
            world.silences.append(answer)
        world.step(*documents)
        assert world.step() == []


def test_a_route_by_reason_or_state_lets_in_and_does_not_put_out():
    routes = {"new": {"match": ["state=open", "reason=opened"], "sinks": ["slack.team"]}}
    world = World({"routes": routes})
    assert len(world.tell()) == 1
    assert world.tell(reason="matched") == ["slack.team matched inc-1/2 open"]
    assert world.tell(reason="resolved", state="resolved") == [
        "slack.team resolved inc-1/3 resolved"
    ]


def test_a_group_waits_for_others_and_tells_them_together():
    world = World(SLACK | {"group_by": ["tenant"]})
    assert world.tell("inc-1", severity="medium") == []
    assert world.tell("inc-2") == []
    assert world.tell("inc-3", tenants=["fabrikam"]) == []
    assert world.wait(seconds=29) == []
    assert sorted(world.wait(seconds=1)) == [
        "slack.team opened inc-2+inc-1/1 open",
        "slack.team opened inc-3/1 open",
    ]
    groups = {frozenset(n["group"].items()) for n in world.told}
    assert groups == {frozenset({("tenant", "contoso")}), frozenset({("tenant", "fabrikam")})}
    assert all(n["notice_id"].startswith("grp-") for n in world.told)


def test_a_group_has_one_update_each_interval_with_all_that_is_new():
    world = World(SLACK | {"group_by": ["tenant"]})
    world.tell("inc-1")
    world.wait(seconds=30)
    world.now += timedelta(minutes=1)
    assert world.tell("inc-2", severity="low") == []
    assert world.tell("inc-1", reason="spread", clients=["outlook_ios", "owa"]) == []
    assert world.wait(minutes=3, seconds=59) == []
    assert world.wait(seconds=1) == ["slack.team opened inc-1+inc-2/2 open"]
    reasons = [i["reason"] for i in world.told[-1]["incidents"]]
    assert reasons == ["spread", "opened"]


def test_a_group_is_over_when_all_of_it_is_and_the_next_begins_a_thread():
    world = World(SLACK | {"group_by": ["tenant"], "group_interval_seconds": 0})
    world.step(world.incident("inc-1"), world.incident("inc-2"))
    world.wait(seconds=30)
    assert world.tell("inc-1", state="resolved", reason="resolved") == [
        "slack.team resolved inc-2+inc-1/2 open"
    ]
    assert world.tell("inc-2", state="resolved", reason="resolved") == [
        "slack.team resolved inc-2/3 resolved"
    ]
    world.tell("inc-3")
    assert world.wait(seconds=30) == ["slack.team opened inc-3/1 open"]
    assert len({n["notice_id"] for n in world.told}) == 2


def test_a_group_that_is_full_begins_another_thread():
    world = World(SLACK | {"group_by": ["tenant"]})
    world.step(*(world.incident(f"inc-{n:02}") for n in range(60)))
    world.wait(seconds=30)
    assert sorted(len(n["incidents"]) for n in world.told) == [10, 25, 25]


def test_the_severity_of_a_group_is_the_highest_of_what_goes_on():
    world = World(SLACK | {"group_by": ["tenant"], "group_interval_seconds": 0})
    world.step(
        world.incident("inc-1", severity="critical"), world.incident("inc-2", severity="low")
    )
    world.wait(seconds=30)
    assert world.told[-1]["severity"] == "critical"
    world.tell("inc-1", state="resolved", reason="resolved")
    assert (world.told[-1]["severity"], world.told[-1]["state"]) == ("low", "open")
    world.tell("inc-2", state="resolved", reason="resolved")
    assert (world.told[-1]["severity"], world.told[-1]["state"]) == ("low", "resolved")


def test_a_reminder_comes_while_it_goes_on_and_revisions_keep_growing():
    world = World(SLACK)
    world.tell()
    assert world.pass_by(timedelta(minutes=10), hours=9) == [
        "slack.team reminder inc-1/2 open",
        "slack.team reminder inc-1/3 open",
    ]
    assert world.tell(reason="matched") == ["slack.team matched inc-1/4 open"]
    assert world.pass_by(timedelta(minutes=10), hours=3, minutes=50) == []
    assert world.wait(minutes=10) == ["slack.team reminder inc-1/5 open"]
    world.tell(state="recovering", reason="recovering")
    assert world.pass_by(HOUR, days=1) == []


def test_a_pager_reminds_by_itself_and_zero_hours_are_never():
    assert World(everything("pagerduty.oncall")).tell() != []
    for section in (everything("pagerduty.oncall"), SLACK | {"repeat_interval_hours": 0}):
        world = World(section)
        world.tell()
        assert world.pass_by(HOUR, days=2) == []


def test_an_acknowledgement_ends_reminders_and_small_updates_until_it_gets_worse():
    world = World(SLACK)
    world.tell()
    world.wait(minutes=1)
    world.ack()
    assert world.pass_by(HOUR, hours=12) == []
    assert world.tell(reason="matched") == []
    assert world.tell(reason="recovering", state="recovering") == []
    assert world.tell(reason="severity_up", severity="critical", state="open") == [
        "slack.team severity_up inc-1/4 open"
    ]
    assert world.tell(reason="matched") == ["slack.team matched inc-1/5 open"]
    world.wait(minutes=1)
    world.ack()
    assert world.tell(reason="resolved", state="resolved") == [
        "slack.team resolved inc-1/6 resolved"
    ]


@pytest.mark.parametrize(
    "worse",
    [
        {"reason": "severity_up", "severity": "critical"},
        {"reason": "spread", "clients": ["outlook_ios", "owa"]},
        {"reason": "corrected", "severity": "critical"},
    ],
)
def test_each_turn_for_the_worse_breaks_an_acknowledgement(worse):
    world = World(SLACK)
    world.tell()
    world.wait(minutes=1)
    world.ack()
    world.wait(minutes=1)
    assert len(world.tell(**worse)) == 1
    assert world.situation.acknowledged("inc-1") is None


def test_an_acknowledged_incident_that_comes_back_is_told():
    world = World(SLACK)
    world.tell()
    world.ack()
    world.tell(reason="resolved", state="resolved")
    world.wait(minutes=1)
    assert world.tell(reason="reopened", state="open") == ["slack.team reopened inc-1/3 open"]


def test_an_acknowledgement_may_end_by_itself():
    world = World(SLACK)
    world.tell()
    world.ack(until=world.now + timedelta(hours=6))
    assert world.pass_by(timedelta(minutes=30), hours=5, minutes=30) == []
    assert world.wait(minutes=30) == ["slack.team reminder inc-1/2 open"]


def test_a_silence_holds_back_and_what_still_goes_on_is_told_at_its_end():
    world = World(SLACK)
    world.silence("client=outlook_ios", hours=2)
    assert world.tell() == []
    assert world.tell("inc-2", clients=["owa"]) == ["slack.team opened inc-2/1 open"]
    assert world.pass_by(timedelta(minutes=10), hours=1, minutes=50) == []
    assert world.wait(minutes=10) == ["slack.team unsilenced inc-1/1 open"]


def test_what_is_over_within_a_silence_is_never_told():
    world = World(SLACK)
    world.silence("tenant=contoso", hours=2)
    world.tell()
    world.tell(reason="resolved", state="resolved")
    assert world.pass_by(HOUR, hours=5) == []


def test_the_end_of_what_was_told_comes_through_a_silence_and_updates_wait():
    world = World(SLACK)
    world.tell()
    world.silence("tenant=contoso", hours=2)
    assert world.tell(reason="spread", clients=["outlook_ios", "owa"]) == []
    assert world.tell(reason="matched") == []
    world.wait(hours=1)
    assert world.wait(hours=1) == ["slack.team spread inc-1/3 open"]
    world.silence("tenant=contoso", hours=2)
    assert world.tell(reason="resolved", state="resolved") == [
        "slack.team resolved inc-1/4 resolved"
    ]


def test_a_silence_that_cannot_be_read_silences_nothing():
    world = World(SLACK)
    world.silence("colour=red", hours=2)
    assert world.tell() == ["slack.team opened inc-1/1 open"]


def test_no_reminder_within_a_silence():
    world = World(SLACK)
    world.tell()
    world.silence("severity=high", hours=10)
    assert world.pass_by(HOUR, hours=9) == []
    assert world.pass_by(HOUR, hours=1) == ["slack.team reminder inc-1/2 open"]


INHIBIT = {
    "blind": {
        "source": ["verdict=telemetry_gap"],
        "target": ["verdict!=telemetry_gap"],
        "lower": True,
    }
}


def test_a_gap_in_the_telemetry_holds_back_what_is_less_severe_of_the_same_tenant():
    world = World(SLACK | {"inhibit": INHIBIT})
    world.tell("gap", verdict="telemetry_gap", severity="high")
    assert world.tell("inc-1", severity="medium") == []
    assert world.tell("inc-2", severity="high") != []
    assert world.tell("inc-3", severity="medium", tenants=["fabrikam"]) != []
    assert world.tell("gap", reason="resolved", state="resolved") == [
        "slack.team resolved gap/2 resolved",
        "slack.team unsilenced inc-1/1 open",
    ]


def test_two_that_would_hold_back_each_other_are_both_told():
    rule = {"source": ["severity>=medium"], "target": ["severity>=medium"]}
    world = World(SLACK | {"inhibit": {"each": rule}})
    assert len(world.step(world.incident("inc-1"), world.incident("inc-2"))) == 2


def test_a_maintenance_window_holds_back_what_it_is_about():
    section = SLACK | {
        "hours": {"patching": {"weekdays": ["mon"], "start": "09:00", "end": "11:00"}},
        "maintenance": {"patching": {"match": ["tenant=contoso"], "times": ["patching"]}},
    }
    world = World(section)
    assert world.tell("inc-1") == []
    assert world.tell("inc-2", tenants=["fabrikam"]) != []
    assert world.wait(hours=2) == ["slack.team unsilenced inc-1/1 open"]


NIGHT = {
    "hours": {"nights": {"time_zone": "Europe/Berlin", "start": "22:00", "end": "07:00"}},
    "quiet_hours": ["nights"],
}
LATE = datetime(2026, 3, 28, 23, tzinfo=UTC)  # the night in which the clock goes forward


def test_quiet_hours_end_by_the_clock_on_the_wall_and_critical_always_goes():
    world = World(SLACK | NIGHT, at=LATE)
    assert world.tell("inc-1") == []
    assert world.tell("inc-2", severity="critical") == ["slack.team opened inc-2/1 open"]
    assert world.tell("inc-3", severity="low") == []
    assert world.tell("inc-3", reason="resolved", state="resolved") == []
    world.now = datetime(2026, 3, 29, 4, 59, tzinfo=UTC)
    assert world.step() == ["slack.team reminder inc-2/2 open"]
    assert world.wait(minutes=1) == ["slack.team unsilenced inc-1/1 open"]


def test_what_becomes_critical_in_quiet_hours_goes_at_once():
    world = World(SLACK | NIGHT, at=LATE)
    world.tell()
    assert world.tell(reason="severity_up", severity="critical") == [
        "slack.team unsilenced inc-1/2 open"
    ]


def test_in_quiet_hours_updates_and_ends_wait_for_the_morning_as_one():
    world = World(SLACK | NIGHT, at=LATE - timedelta(hours=3))
    world.tell()
    world.now = LATE
    assert world.tell(reason="spread", clients=["outlook_ios", "owa"]) == []
    assert world.tell(reason="resolved", state="resolved") == []
    world.now = datetime(2026, 3, 29, 5, tzinfo=UTC)
    assert world.step() == ["slack.team resolved inc-1/3 resolved"]


def test_a_route_may_let_less_through_its_quiet_hours():
    world = World(SLACK | NIGHT | {"quiet_below": "high"}, at=LATE)
    assert world.tell("inc-1") != []
    assert world.tell("inc-2", severity="medium") == []


def test_history_is_not_told_but_what_goes_on():
    world = World(SLACK)
    documents = [world.incident("inc-1"), world.incident("inc-2")]
    world.step(*documents, caught_up=False)
    assert world.told == []
    world.step(world.incident("inc-1", reason="resolved", state="resolved"))
    assert [short["incidents"][0]["incident"]["incident_id"] for short in world.told] == ["inc-2"]


def test_what_is_old_when_it_comes_waits_for_its_end_a_little():
    world = World(SLACK)
    old = world.incident("inc-1"), world.incident("inc-2")
    world.now += timedelta(days=30)
    assert world.step(*old) == []
    assert world.tell("inc-1", reason="resolved", state="resolved") == []
    assert world.wait(minutes=5) == ["slack.team opened inc-2/1 open"]


def test_a_destination_that_is_new_is_told_what_goes_on():
    world = World(SLACK)
    world.tell()
    world.settings = World(everything("slack.team", "email.list")).settings
    assert world.wait(minutes=1) == ["email.list opened inc-1/1 open"]


def test_a_destination_that_is_gone_is_forgotten():
    world = World(everything("slack.team", "email.list"))
    world.tell()
    world.settings = World(SLACK, sinks=["slack.team"]).settings
    world.wait(minutes=1)
    assert {t["sink"] for t in world.state["thread"].values()} == {"slack.team"}


def test_nothing_is_remembered_of_what_is_long_over():
    world = World(SLACK)
    world.tell()
    world.tell(reason="resolved", state="resolved")
    world.wait(days=13)
    assert world.state["thread"]
    world.wait(days=2)
    assert world.state == {"incident": {}, "thread": {}}


def test_links_lead_to_the_page_of_the_most_pressing():
    world = World(SLACK | {"public_url": "https://outrider.example.net/o/"})
    world.tell("inc/ 1")
    assert world.told[0]["link"] == "https://outrider.example.net/o/incidents/inc%2F%201"
    plain = World(SLACK)
    plain.tell()
    assert "link" not in plain.told[0]
