"""Splunk's HTTP Event Collector: its codes, its count of the bad event, its acknowledgements."""

from __future__ import annotations

import json
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.rules import rule_for
from connectors.sinks.splunk import SplunkSink
from pipeline.model.errors import AuthError, FatalError, RetriableError
from pipeline.runtime.handing import Handing
from tests.contracts.sink_cases import CUT, DOWN
from tests.services.server import Reply
from tests.services.splunk import REPLIES, TOKEN, said
from tests.sinks import splunk_case
from tests.sinks.records import record


@contextmanager
def splunk(acknowledges=None, **options):
    receiver = splunk_case.receiver(acknowledges, **{"most_bytes": 10**6, **options})
    try:
        yield receiver.sink(), receiver.service, receiver
    finally:
        receiver.close()


def revisions(count, name="inc-1"):
    return [record(name, revision) for revision in range(1, count + 1)]


def posts(service):
    return [r for r in service.requests if r.path == "/services/collector/event"]


@pytest.mark.parametrize("code", sorted(set(REPLIES) - {0, 17}))
def test_each_code_does_what_the_table_says(code):
    with splunk() as (sink, service, _):
        service.reply = code
        status, _ = REPLIES[code]
        rule = rule_for("splunk", status, str(code))
        if rule.then == "retry":
            with pytest.raises(RetriableError, match=f"HTTP {status}, code {code}"):
                sink.deliver(revisions(3))
        elif rule.then == "fatal":
            with pytest.raises(FatalError, match=f"code {code}") as caught:
                sink.deliver(revisions(3))
            assert str(caught.value).endswith(rule.remedy)
            assert isinstance(caught.value, AuthError) == (status in {401, 403})
        else:
            done = sink.deliver(revisions(3))
            assert len(done.rejected) == 3
        assert not service.indexed


def test_an_event_tells_when_where_and_what():
    with splunk(index="m365", host="soc-1", source="outrider-test") as (sink, service, _):
        sink.deliver([record("inc-7", 4), record("flag-7", 2)])
        incident, flag = service.indexed
    assert incident["time"] == pytest.approx(1774112700.0)
    assert (incident["host"], incident["source"], incident["index"]) == (
        "soc-1",
        "outrider-test",
        "m365",
    )
    assert incident["sourcetype"] == "outrider:incident"
    assert flag["sourcetype"] == "outrider:flag"
    assert incident["event"] == record("inc-7", 4)
    assert incident["fields"] == {
        "id": "inc-7",
        "revision": "4",
        "key": "inc-7:4",
        "state": "resolved",
        "severity": "high",
        "verdict": "service_outage",
    }
    assert flag["fields"] == {"id": "flag-7", "revision": "2", "key": "flag-7:2", "state": "closed"}


@pytest.mark.parametrize("form", ["ecs", "ocsf"])
def test_an_event_can_have_another_form(form):
    with splunk(form=form) as (sink, service, _):
        sink.deliver([record("inc-7", 4)])
        (event,) = service.indexed
    assert event["fields"]["key"] == "inc-7:4"
    found = event["event"]["event"]["id"] if form == "ecs" else event["event"]["metadata"]["uid"]
    assert found == "inc-7:4"


@pytest.mark.parametrize("counted_from", [0, 1])
@pytest.mark.parametrize("bad", [0, 1, 4, 7])
def test_around_a_bad_event_everything_arrives_once(bad, counted_from):
    wanted = revisions(8)
    with splunk() as (sink, service, _):
        service.first = counted_from
        service.refused = {("inc-1", bad + 1)}
        done = sink.deliver(wanted)
        arrived = service.accepted()
    good = [key_of(d) for d in wanted if d["revision"] != bad + 1]
    assert done.rejected == [("inc-1", bad + 1)]
    assert sorted(done.accepted) == good
    assert set(arrived) == set(good)
    assert counted_from or arrived == good


def test_several_bad_events_are_found_in_a_few_requests():
    with splunk() as (sink, service, _):
        service.refused = {("inc-1", n) for n in (3, 4, 20)}
        done = sink.deliver(revisions(40))
        assert len(posts(service)) == 1 + 2 * 3
        assert Counter(service.accepted()) == Counter(done.accepted)
    assert sorted(done.rejected) == [("inc-1", 3), ("inc-1", 4), ("inc-1", 20)]
    assert len(done.accepted) == 37


def test_what_was_taken_before_it_got_busy_is_not_sent_again():
    wanted = revisions(10)
    with splunk() as (sink, service, _):

        def fills(request):
            service.indexed += [json.loads(line) for line in request.body.split(b"\n")[:6]]
            return said(9, **{"invalid-event-number": 6})

        service.broken = fills
        done = sink.deliver(wanted)
        assert [revision for _, revision in done.accepted] == [1, 2, 3, 4, 5]
        assert done.retry_after > 0
        service.broken = None
        sink.deliver(wanted[5:])
        # The sixth may have been the one that was not taken: it comes again, with its key.
        assert Counter(service.accepted())["inc-1", 6] == 2
        assert len(set(service.accepted())) == 10
        assert len(service.accepted()) == 11


def test_no_request_is_larger_than_it_may_be():
    with splunk(most_bytes=20_000) as (sink, service, _):
        service.most = 20_000
        done = sink.deliver([record(f"inc-{n}", 1) for n in range(40)])
        assert len(done.accepted) == 40
        assert max(len(r.body) for r in posts(service)) <= 20_000
        assert len(posts(service)) < 12


@pytest.mark.parametrize("acknowledges", [None, 0])
def test_the_line_end_between_two_events_counts(acknowledges):
    wanted = [record(f"inc-{n}", 1) for n in range(4)]
    with splunk(acknowledges) as (sink, service, _):
        sink.deliver(wanted[:1])
        size = len(posts(service)[0].body)
    with splunk(acknowledges, most_bytes=2 * size) as (sink, service, _):
        sink.deliver(wanted)
        assert [len(r.body) for r in posts(service)] == [size] * 4
    with splunk(acknowledges, most_bytes=2 * size + 2) as (sink, service, _):
        sink.deliver(wanted)
        assert [len(r.body) for r in posts(service)] == [2 * size + 1] * 2


def test_trouble_while_the_bad_event_is_looked_for_keeps_what_is_sure():
    wanted = revisions(8)
    with splunk() as (sink, service, receiver):
        service.refused = {("inc-1", 5)}
        receiver.fail(DOWN, after=1)
        done = sink.deliver(wanted)
        assert [revision for _, revision in done.accepted] == [1, 2, 3]
        assert done.retry_after > 0
        receiver.fail(None)
        rest = sink.deliver(wanted[3:])
        assert rest.rejected == [("inc-1", 5)]
        assert len(rest.accepted) == 4


def test_an_event_that_is_too_large_by_itself_is_rejected_alone():
    huge = record("inc-2", 1) | {"flag_ids": [f"flag-{n:09}" for n in range(3000)]}
    with splunk() as (sink, service, _):
        service.most = 30_000
        done = sink.deliver([record("inc-1", 1), huge, record("inc-3", 1)])
    assert done.rejected == [("inc-2", 1)]
    assert sorted(done.accepted) == [("inc-1", 1), ("inc-3", 1)]


def test_what_the_form_has_no_words_for_is_rejected():
    with splunk() as (sink, service, _):
        odd = {"incident_id": "inc-9", "revision": 1}
        done = sink.deliver([record("inc-1", 1), odd])
        assert done.rejected == [("inc-9", 1)]
        assert service.accepted() == done.accepted == [("inc-1", 1)]


def test_confirmed_is_what_counts():
    wanted = revisions(3)
    with splunk(acknowledges=1) as (sink, service, _):
        done = sink.deliver(wanted)
        assert not done.accepted
        assert 0 < done.retry_after < 1  # a pace, no trouble
        assert len(service.indexed) == 3
        assert not sink.deliver(wanted).accepted
        done = sink.deliver(wanted)
        assert len(done.accepted) == 3
        assert done.retry_after is None
        assert len(posts(service)) == 1


def test_one_channel_is_kept_and_is_a_guid():
    with splunk(acknowledges=0) as (sink, service, _):
        sink.deliver(revisions(1))
        sink.deliver(revisions(1))
        channels = {r.headers["x-splunk-request-channel"] for r in service.requests}
    assert len(channels) == 1
    mine = "0b8c2d4e-0000-4000-8000-6f1a2b3c4d5e"
    with splunk(acknowledges=0, channel=mine) as (sink, service, _):
        sink.deliver(revisions(1))
        assert service.requests[0].headers["x-splunk-request-channel"] == mine


def test_a_later_revision_waits_for_the_earlier_one_to_be_indexed():
    with splunk(acknowledges=0) as (sink, service, _):
        first, second, other = record("inc-1", 1), record("inc-1", 2), record("inc-2", 1)
        sink.deliver([first])
        service.loses = {0}
        done = sink.deliver([first, second, other])
        assert not done.accepted
        assert ("inc-1", 2) not in service.accepted()
        assert ("inc-2", 1) in service.accepted()


def test_a_request_that_is_never_confirmed_is_sent_again_after_five_minutes():
    wanted = revisions(2)
    with splunk(acknowledges=0) as (sink, service, receiver):
        service.loses = {0}
        for _ in range(5):
            assert not sink.deliver(wanted).accepted
            receiver.wait(59)
        assert not service.indexed
        receiver.wait(10)
        sink.deliver(wanted)
        done = sink.deliver(wanted)
        assert len(done.accepted) == 2
        assert service.accepted() == [("inc-1", 1), ("inc-1", 2)]


def test_documents_that_come_back_late_are_told_as_confirmed_then():
    with splunk(acknowledges=0) as (sink, service, _):
        one, two = [record("inc-1", 1)], [record("inc-2", 1)]
        sink.deliver(one)
        sink.deliver(two)
        assert sink.deliver(two).accepted == [("inc-2", 1)]
        assert sink.deliver(one).accepted == [("inc-1", 1)]
        assert len(posts(service)) == 2


@dataclass
class Told:
    document: dict
    kind = "incident"
    tenant = "t"

    @property
    def id(self):
        return self.document["incident_id"]

    @property
    def revision(self):
        return self.document["revision"]


def test_waiting_for_the_indexers_is_a_pace_and_no_failure():
    seconds = [0.0]
    with splunk(acknowledges=3) as (sink, service, _):
        handing = Handing("splunk.main", sink, monotonic=lambda: seconds[0])
        left = [Told(document) for document in revisions(20)]
        for _ in range(10):
            if not left:
                break
            done = handing.hand(left)
            assert not done.failed
            left = left[done.taken :]
            seconds[0] += done.again or 0.0
        assert not left
        assert seconds[0] < 5
        assert len(service.indexed) == 20


def test_a_token_without_acknowledgement_is_told():
    with splunk(acknowledges=1) as (sink, service, _):
        service.acknowledges = None
        with pytest.raises(FatalError, match="switch it on in Splunk or set acknowledged to false"):
            sink.deliver(revisions(1))
    with splunk() as (sink, service, _):
        service.acknowledges = 1
        with pytest.raises(FatalError, match="set acknowledged to true"):
            sink.deliver(revisions(1))


def test_bad_events_are_rejected_with_acknowledgement_too():
    wanted = revisions(5)
    with splunk(acknowledges=0) as (sink, service, receiver):
        service.refused = {("inc-1", 3)}
        accepted, rejected, left = [], [], wanted
        for _ in range(20):
            done = sink.deliver(left)
            accepted += done.accepted
            rejected += done.rejected
            left = [d for d in left if key_of(d) not in {*accepted, *rejected}]
            receiver.wait(1)
        assert rejected == [("inc-1", 3)]
        assert accepted == [("inc-1", n) for n in (1, 2, 4, 5)]
        assert set(service.accepted()) == set(accepted)


def test_health_is_asked_without_sending_anything():
    with splunk() as (sink, service, _):
        sink.check()
        service.reply = 18
        with pytest.raises(RetriableError, match="its queues are full"):
            sink.check()
        assert not posts(service)


@pytest.mark.parametrize(
    ("reply", "kind", "told"),
    [
        (Reply(502, body=b"<html>Bad Gateway</html>"), RetriableError, "HTTP 502"),
        (Reply(429, headers={"Retry-After": "11"}), RetriableError, "asked too often"),
        (Reply(302, headers={"Location": "https://elsewhere"}), FatalError, "another address"),
        (Reply(404, body=b"[1]"), FatalError, "check the address"),
        (Reply(400, body=b"<html>Bad Request</html>"), FatalError, "what stands in between"),
        (Reply(407), AuthError, "HTTPS_PROXY"),
    ],
)
def test_what_stands_in_between_is_told(reply, kind, told):
    with splunk() as (sink, service, _):
        service.broken = reply
        with pytest.raises(kind, match=told) as caught:
            sink.deliver(revisions(1))
        if reply.status == 429:
            assert caught.value.retry_after == 11


def test_nobody_listening_is_told():
    with splunk() as (sink, _, receiver):
        address = receiver.service.root
    sink = SplunkSink(address, lambda: TOKEN)
    with pytest.raises(RetriableError, match="check the network"):
        sink.deliver(revisions(1))
    sink.close()


def test_a_new_token_counts_at_the_next_request():
    tokens = ["an old token", TOKEN]
    with splunk() as (_, service, receiver):
        sink = SplunkSink(service.root, lambda: tokens[0], name="splunk.main")
        with pytest.raises(AuthError, match=r"^splunk\.main: it does not know the token"):
            sink.deliver(revisions(1))
        del tokens[0]
        assert sink.deliver(revisions(1)).accepted
        sink.close()
        assert receiver.accepted() == [("inc-1", 1)]


@pytest.mark.parametrize("token", ["two\nlines-4Kd", "umlaut-ä-4Kd", " blank-4Kd ", "\u20ac-4Kd"])
def test_a_token_that_no_header_can_hold_is_told_and_not_shown(token):
    with splunk() as (_, service, _receiver):
        sink = SplunkSink(service.root, lambda: token)
        with pytest.raises(FatalError, match="check the file") as caught:
            sink.deliver(revisions(1))
        assert "4Kd" not in "".join(traceback.format_exception(caught.value))
        assert not service.requests
        sink.close()


def test_a_lost_answer_in_the_middle_keeps_what_was_answered():
    wanted = [record(f"inc-{n}", 1) for n in range(6)]
    with splunk(most_bytes=splunk_case.SMALL) as (sink, _, receiver):
        receiver.fail(CUT, after=1)
        done = sink.deliver(wanted)
        assert 0 < len(done.accepted) < 6
        receiver.fail(None)
        rest = [d for d in wanted if key_of(d) not in done.accepted]
        sink.deliver(rest)
        twice = [key for key, count in Counter(receiver.accepted()).items() if count == 2]
        assert twice
        assert not set(twice) & set(done.accepted)
