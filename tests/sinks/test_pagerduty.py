"""PagerDuty: one alert for each thread, over when the thread is; never opened by a repetition."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from connectors.sinks.pagerduty import (
    ADDRESS,
    EU_ADDRESS,
    MOST_BYTES,
    PagerDutySink,
    alert,
    dedup_key,
)
from pipeline.model.errors import FatalError, RetriableError, ThrottledError
from pipeline.model.incident import IncidentState, Severity
from pipeline.model.notice import NoticeReason
from pipeline.model.vocabulary import Verdict
from tests.contracts.sink_checks import CUT
from tests.services.pagerduty import ROUTING_KEY, invalid
from tests.services.server import Reply
from tests.sinks.notices import LINK, MESSAGE, group, notice, opened, record, resolved
from tests.sinks.people_cases import pagerduty_receiver

NAME = "inc-33c65910ec91c732"


@contextmanager
def paging(**options):
    receiver = pagerduty_receiver(**options)
    try:
        yield receiver.sink(), receiver
    finally:
        receiver.close()


def test_a_trigger_tells_who_what_and_where_to_look():
    with paging() as (sink, receiver):
        sink.deliver([notice()])
        (event,) = receiver.service.events
    payload = event["payload"]
    assert payload["summary"].startswith("HIGH: Outlook for iOS")
    assert payload["source"] == "Exchange Online"
    assert payload["severity"] == "error"
    assert payload["timestamp"] == "2026-03-19T09:32:00Z"
    assert payload["component"].startswith("Outlook for iOS, ")
    assert payload["class"] == "service_outage"
    details = payload["custom_details"]
    assert list(details)[:3] == ["Why now", "Who", "Clients"]
    assert details["Advisory"] == "no advisory yet (first to know by our logs)"
    assert event["links"] == [{"href": LINK, "text": "Open the incident"}]
    assert event["client_url"] == LINK


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("critical", "critical"), ("high", "error"), ("medium", "warning"), ("low", "info")],
)
def test_severities_are_those_of_pagerduty(ours, theirs):
    document = notice(severity=Severity(ours))
    assert alert(document, MESSAGE(document))["payload"]["severity"] == theirs


def test_an_alert_is_updated_and_resolved_under_one_key():
    with paging() as (sink, receiver):
        spread = notice(opened(revision=2), reason=NoticeReason.SPREAD)
        sink.deliver([notice(), spread, resolved()])
        assert receiver.service.alerts == [(NAME, "resolved")]
        assert [e["event_action"] for e in receiver.service.events] == [
            "trigger",
            "trigger",
            "resolve",
        ]
        assert {e["routing_key"] for e in receiver.service.events} == {ROUTING_KEY}


def test_what_is_told_elsewhere_from_now_on_is_resolved_here():
    with paging() as (sink, receiver):
        over = notice(
            opened(revision=2), state=IncidentState.RESOLVED, reason=NoticeReason.REROUTED
        )
        sink.deliver([notice(), over])
        assert receiver.service.alerts == [(NAME, "resolved")]


def test_what_comes_back_is_a_new_alert():
    with paging() as (sink, receiver):
        back = notice(opened(revision=5), reason=NoticeReason.REOPENED)
        sink.deliver([notice(), resolved(), back])
        assert receiver.service.alerts == [(NAME, "resolved"), (NAME, "triggered")]


def test_an_alert_whose_answer_was_lost_stays_one():
    with paging() as (sink, receiver):
        receiver.fail(CUT)
        with pytest.raises(RetriableError):
            sink.deliver([notice()])
        receiver.fail(None)
        receiver.sink().deliver([notice()])
        assert receiver.service.alerts == [(NAME, "triggered")]


def test_a_change_of_our_own_pages_nobody_where_that_is_wished():
    ours = opened(verdict=Verdict.TENANT_CHANGE)
    with paging(changes=True) as (sink, receiver):
        sink.deliver([notice(ours)])
        assert not receiver.service.alerts
        (change,) = receiver.service.changes
        assert change["payload"]["summary"].startswith("HIGH: ")
        assert change["links"][0]["href"] == LINK
    with paging() as (sink, receiver):
        sink.deliver([notice(ours)])
        assert receiver.service.alerts == [(NAME, "triggered")]


def test_an_outage_that_turns_out_to_be_our_change_is_still_resolved_in_the_end():
    with paging(changes=True) as (sink, receiver):
        ours = opened(verdict=Verdict.TENANT_CHANGE, revision=2)
        over = notice(
            opened(verdict=Verdict.TENANT_CHANGE, revision=3, state=IncidentState.RESOLVED),
            reason=NoticeReason.RESOLVED,
        )
        sink.deliver([notice(), notice(ours, reason=NoticeReason.CORRECTED), over])
        assert receiver.service.alerts == [(NAME, "resolved")]
        assert len(receiver.service.changes) == 1


def test_the_region_has_an_address_of_its_own():
    assert ADDRESS == "https://events.pagerduty.com"
    assert EU_ADDRESS == "https://events.eu.pagerduty.com"


@pytest.mark.parametrize("key", ["", "short", "x" * 33, "R0abcdefghijklmnopqrstuvwxyz012\n"])
def test_a_routing_key_that_cannot_be_one_is_told_without_being_shown(key):
    sink = PagerDutySink(lambda: key, MESSAGE, address="http://localhost:9")
    with pytest.raises(FatalError, match="32 letters and digits") as told:
        sink.deliver([notice()])
    assert not key or key not in repr(told.value)
    sink.close()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (invalid("'payload.summary' is missing"), None),
        (invalid("Invalid routing key"), FatalError),
        (Reply(413), None),
        (Reply(404), FatalError),
        (Reply(429, headers={"Retry-After": "12"}), ThrottledError),
        (Reply(500), RetriableError),
        (Reply(503), RetriableError),
    ],
)
def test_each_answer_has_its_consequence(reply, error):
    with paging() as (sink, receiver):
        receiver.service.broken = reply
        if error is None:
            assert sink.deliver([notice()]).rejected == [(NAME, 1)]
            return
        with pytest.raises(error) as told:
            sink.deliver([notice()])
        if error is ThrottledError:
            assert told.value.retry_after == 12
        assert ROUTING_KEY not in str(told.value)


def test_an_event_is_never_near_the_limit():
    hostile = '\u0416<b>|\\" ' * 10_000
    members = [opened(incident_id=f"inc-{n}-{hostile}", headline=hostile) for n in range(300)]
    document = notice(*members, notice_id="grp-1", group={hostile: hostile, "b": hostile})
    body = json.dumps(alert(document, MESSAGE(document)))
    assert len(body) < MOST_BYTES / 2


def test_a_group_names_what_its_incidents_have_in_common():
    document = group()
    payload = alert(document, MESSAGE(document))["payload"]
    assert payload["group"] == "service=exchange_online"
    assert len(payload["custom_details"]["Incidents"]) == 3


def test_an_id_that_pagerduty_could_not_hold_becomes_a_hash():
    assert dedup_key("grp-1f0c") == "grp-1f0c"
    for odd in ("x" * 256, "a b", "\u0416", "a\n", "\ud800"):
        assert len(dedup_key(odd)) == 64
    assert dedup_key("x" * 256) != dedup_key("x" * 257)


def test_one_bad_event_holds_nobody_up():
    with paging() as (sink, receiver):
        receiver.service.refused.add("inc-2")
        done = sink.deliver([record("inc-1", 1), record("inc-2", 1), record("inc-3", 1)])
        assert list(done.accepted) == [("inc-1", 1), ("inc-3", 1)]
        assert list(done.rejected) == [("inc-2", 1)]
