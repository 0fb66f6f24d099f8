"""Records of the dead topic that are none of ours: each is a letter that says so, and stops nobody."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import structlog
from kafka import TopicPartition

from pipeline.ledger.followed import FollowedLedger
from pipeline.model.clock import SystemClock, to_us
from pipeline.model.dead_letter import DeadLetter
from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka import letters
from pipeline.runtime.kafka.client import Topics
from pipeline.runtime.kafka.follow import Follower
from pipeline.runtime.kafka.letters import read_letters, record_of, replay_mark
from pipeline.runtime.metrics import Metrics

CONFIG = Kafka(prefix="x", partitions=1)
NOW = SystemClock().now()
DEEP = b"[" * 200_000
OURS = DeadLetter(0, to_us(NOW), "t", "not_json", "d", "p", "record", b"body")
EARLY = "0001-01-01T00:00:00+23:00"


def told(**changed):
    """The header of a letter, with other words in it."""
    return json.dumps(json.loads(record_of(OURS)["headers"][0][1]) | changed).encode()


def mark(**changed):
    """The header of the word that a letter was tried again, with other words in it."""
    return json.dumps({"letter_id": "0/0", "at": "2026-03-09T12:00:00Z"} | changed).encode()


FOREIGN = {
    "nothing": [],
    "no value": [("letter", None)],
    "deep": [("letter", DEEP)],
    "no object": [("letter", b"[1]")],
    "a time before all time": [("letter", told(at=EARLY))],
    "a time of another kind": [("letter", told(at=5))],
    "half a surrogate pair": [("letter", told(reason="\ud800"))],
    "a reason of another kind": [("letter", told(reason=["not_json"]))],
    "no reason": [("letter", told(reason=None))],
    "a tenant of another kind": [("letter", told(tenant=0))],
    "a mark without a value": [("replayed", None)],
    "a deep mark": [("replayed", DEEP)],
    "a mark that is no object": [("replayed", b"17")],
    "a mark before all time": [("replayed", mark(at=EARLY))],
    "a mark of another kind": [("replayed", mark(letter_id=["0/0"]))],
    "a mark of half a surrogate pair": [("replayed", mark(letter_id="\ud800"))],
}


def record(offset, headers, timestamp=None, value=b"x"):
    return SimpleNamespace(
        topic=Topics("x").dead,
        partition=0,
        offset=offset,
        key=None,
        value=value,
        headers=headers,
        timestamp=to_us(NOW) // 1000 if timestamp is None else timestamp,
    )


def between_ours(headers, timestamp=None):
    """A letter of ours, a foreign record, and the word that the letter was tried again."""
    return [
        record(0, record_of(OURS)["headers"]),
        record(1, headers, timestamp),
        record(2, replay_mark(OURS_IN_TOPIC, NOW)["headers"], value=None),
    ]


OURS_IN_TOPIC = DeadLetter(0, 0, "t", "not_json", "d", "p", "record", partition=0)


@pytest.fixture
def listed(monkeypatch):
    """What 'dead list --kafka' reads of some records."""

    def read(records):
        monkeypatch.setattr(letters, "committed_records", lambda *_args: iter(records))
        monkeypatch.setattr(letters, "partitions_of", lambda *_args: 1)
        return {d.letter_id: (d.reason, d.replayed) for d in read_letters(CONFIG)}

    return read


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_record_is_listed_as_such_and_hides_no_other(listed, name):
    found = listed(between_ours(FOREIGN[name]))
    assert found == {"0/0": ("not_json", True), "0/1": ("unknown_letter", False)}


@pytest.mark.parametrize("timestamp", [-1, 2**55, 2**63 - 1, -(2**63)])
def test_a_time_that_no_calendar_has_stops_no_list(listed, timestamp):
    found = listed(between_ours([], timestamp))
    assert found["0/1"] == ("unknown_letter", False)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_follower_keeps_it_counts_it_and_goes_on(tmp_path, name):
    ledger, metrics = FollowedLedger(tmp_path / "followed.sqlite"), Metrics()
    one = Follower(CONFIG, ledger, clock=SystemClock(), metrics=metrics, log=structlog.get_logger())
    place = TopicPartition(Topics("x").dead, 0)
    with structlog.testing.capture_logs() as lines:
        one._keep({place: between_ours(FOREIGN[name])})
    kept = [(d.reason, d.replayed) for d in ledger.dead()]
    ledger.close()
    assert kept == [("not_json", True), ("unknown_letter", False)]
    counted = metrics.registry.get_sample_value
    assert counted("outrider_dead_letters_total", {"reason": "unreadable_message"}) == 1
    assert [line["unreadable"] for line in lines if line["event"] == "follow"] == [1]
