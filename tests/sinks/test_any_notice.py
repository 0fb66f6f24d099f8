"""Whatever a notice holds, each destination's form of it is one that the destination takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given, settings

from connectors.sinks.mail_message import mail
from connectors.sinks.pagerduty import alert, change, dedup_key
from connectors.sinks.servicenow import event
from connectors.sinks.slack_blocks import content
from connectors.sinks.teams import MOST_BYTES, envelope
from pipeline.model.clock import ManualClock
from pipeline.model.documents import to_json
from tests.contracts.strategies import NOTICES
from tests.services.pagerduty import ROUTING_KEY, PagerDuty
from tests.services.servicenow import ServiceNow
from tests.services.slack import Slack, texts_of
from tests.services.teams import Teams
from tests.sinks.notices import MESSAGE

CLOCK = ManualClock(datetime(2026, 3, 19, tzinfo=UTC))
USUAL = settings(max_examples=25, deadline=None)
SOME = NOTICES.filter(lambda found: bool(found.incidents))


@USUAL
@given(SOME)
def test_teams(found):
    body = envelope(MESSAGE(to_json(found)))
    assert len(body) <= MOST_BYTES
    assert Teams(CLOCK).card_of(json.loads(body))["body"]


@USUAL
@given(SOME)
def test_slack(found):
    service, sent = Slack(CLOCK), content(MESSAGE(to_json(found)))
    assert service.wrong(sent) is None
    service.look_for_pings(sent)
    assert not service.pings
    for text in texts_of(sent["blocks"]):
        if text["type"] == "plain_text":
            assert "<" not in text["text"]


@USUAL
@given(SOME)
def test_pagerduty(found):
    document = json.loads(json.dumps(to_json(found)))
    message, service = MESSAGE(document), PagerDuty(CLOCK)
    key = {"routing_key": ROUTING_KEY, "dedup_key": dedup_key(document["notice_id"])}
    sent = {**key, "event_action": "trigger", **alert(document, message)}
    assert service.look_at(json.loads(json.dumps(sent)), change=False) is None
    told = {"routing_key": ROUTING_KEY, **change(document, message)}
    assert service.look_at(json.loads(json.dumps(told)), change=True) is None


@USUAL
@given(SOME)
def test_servicenow(found):
    document = to_json(found)
    assert ServiceNow(CLOCK).wrong(event(document, MESSAGE(document))) is None


@USUAL
@given(SOME)
def test_mail(found):
    document = to_json(found)
    made = mail(document, MESSAGE(document), sender="a@example.com", recipients=["b@example.com"])
    lines = made.as_bytes().split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert not any(b"\n" in line or b"\r" in line for line in lines)
