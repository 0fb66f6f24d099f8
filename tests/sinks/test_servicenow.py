"""ServiceNow: events that make one alert of each thread, and clear it."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from connectors.sinks.servicenow import ServiceNowSink, event
from pipeline.model.errors import AuthError, FatalError, RetriableError, ThrottledError
from pipeline.model.incident import Severity
from tests.services.server import Reply
from tests.services.servicenow import LENGTHS, PASSWORD, TOKEN, failure
from tests.sinks.notices import LINK, MESSAGE, group, notice, opened, record, resolved
from tests.sinks.people_cases import servicenow_receiver

NAME = "inc-33c65910ec91c732"


@contextmanager
def inserting(**options):
    receiver = servicenow_receiver(**options)
    try:
        yield receiver.sink(), receiver
    finally:
        receiver.close()


def test_an_event_says_what_event_management_asks_for():
    row = event(notice(), MESSAGE(notice()))
    told = json.loads(row.pop("additional_info"))
    description = row.pop("description")
    assert row == {
        "source": "Outrider",
        "event_class": "Outrider",
        "node": "9a3f1c52-7d1e-4a55-8f10-5d2c1b0a9f8e",
        "resource": "Exchange Online",
        "metric_name": "service_outage",
        "type": "Microsoft 365 incident",
        "message_key": NAME,
        "severity": "2",
        "resolution_state": "New",
        "time_of_event": "2026-03-19 09:32:00",
    }
    assert description.startswith("HIGH: Outlook for iOS")
    assert "Whose fault" in description
    assert told["affected_users"] == "74"
    assert told["link"] == LINK
    assert told["idempotency_key"] == f"{NAME}:1"


@pytest.mark.parametrize(
    ("ours", "theirs"), [("critical", "1"), ("high", "2"), ("medium", "3"), ("low", "4")]
)
def test_severities_are_those_of_event_management(ours, theirs):
    document = notice(severity=Severity(ours))
    assert event(document, MESSAGE(document))["severity"] == theirs


def test_what_is_over_clears_its_alert():
    with inserting() as (sink, receiver):
        sink.deliver([notice(), resolved()])
        assert receiver.service.alerts == {NAME: "0"}
        assert receiver.service.rows[-1]["resolution_state"] == "Closing"


def test_several_events_go_at_once_and_one_goes_by_the_table():
    with inserting() as (sink, receiver):
        sink.deliver([record(f"inc-{n}", 1) for n in range(7)])
        paths = [r.path for r in receiver.service.requests]
        assert paths == ["/em_event.do"] * 3
        sink.deliver([record("inc-9", 1)])
        assert receiver.service.requests[-1].path == "/api/now/table/em_event"


def test_an_instance_without_the_web_service_takes_one_after_the_other():
    with inserting(at_once=1) as (sink, receiver):
        receiver.service.bulk = False
        sink.deliver([record("inc-1", 1), record("inc-2", 1)])
        assert receiver.accepted() == [("inc-1", 1), ("inc-2", 1)]


def test_where_the_web_service_is_off_the_events_go_by_the_table():
    with inserting() as (sink, receiver):
        receiver.service.bulk = False
        done = sink.deliver([record("inc-1", 1), record("inc-2", 1)])
        assert list(done.accepted) == [("inc-1", 1), ("inc-2", 1)]


def test_one_row_that_a_rule_turns_away_is_the_only_one():
    with inserting() as (sink, receiver):
        receiver.service.refused.add("inc-1")
        done = sink.deliver([record(f"inc-{n}", 1) for n in range(4)])
        assert list(done.rejected) == [("inc-1", 1)]
        assert receiver.accepted() == [("inc-0", 1), ("inc-2", 1), ("inc-3", 1)]


def test_a_document_without_words_does_not_stop_the_others():
    with inserting() as (sink, receiver):
        odd = {**record("inc-1", 1), "severity": "unheard of"}
        done = sink.deliver([odd, record("inc-2", 1)])
        assert list(done.rejected) == [("inc-1", 1)]
        assert receiver.accepted() == [("inc-2", 1)]


def test_an_answer_that_tells_too_little_settles_nothing():
    with inserting() as (sink, receiver):
        receiver.service.broken = Reply(200, {"records": [{"__status": "success"}]})
        with pytest.raises(RetriableError, match="set at_once = 1"):
            sink.deliver([record("inc-1", 1), record("inc-2", 1)])


def test_hostile_text_fits_every_column():
    hostile = "<script>\u0416|\\\"'\n\u202e\x00" * 9_000
    members = [
        opened(headline=hostile, tenants=(hostile,), incident_id=f"inc-{n}{hostile}")
        for n in range(3)
    ]
    document = notice(*members, notice_id="grp-1", revision=1)
    row = event(document, MESSAGE(document))
    assert set(row) <= set(LENGTHS)
    assert all(len(value) <= LENGTHS[name] for name, value in row.items())
    assert isinstance(json.loads(row["additional_info"]), dict)


def test_a_long_group_fits_too():
    document = group(200)
    row = event(document, MESSAGE(document))
    assert all(len(value) <= LENGTHS[name] for name, value in row.items())


def test_a_token_does_as_well_as_a_password():
    with inserting() as (_, receiver):
        sink = ServiceNowSink(receiver.service.root, lambda: f"Bearer {TOKEN}", MESSAGE)
        assert sink.deliver([record("inc-1", 1)]).accepted == [("inc-1", 1)]
        sink.close()


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("reply", "error", "says"),
    [
        (failure(401, "User Not Authenticated"), AuthError, "check user and password_file"),
        (failure(403, "Insufficient rights"), AuthError, "evt_mgmt_integration"),
        (failure(404, "no table"), FatalError, "activate Event Management"),
        (failure(429, "Rate limit", {"Retry-After": "17"}), ThrottledError, "rate limit"),
        (failure(500, "Transaction cancelled"), RetriableError, "failure of its own"),
        (failure(503, "hibernating"), RetriableError, "failure of its own"),
    ],
)
def test_each_answer_has_its_consequence(reply, error, says, count):
    with inserting() as (sink, receiver):
        receiver.service.broken = reply
        with pytest.raises(error, match=says) as told:
            sink.deliver([record(f"inc-{n}", 1) for n in range(count)])
        assert PASSWORD not in str(told.value)
        if error is ThrottledError:
            assert told.value.retry_after == 17
