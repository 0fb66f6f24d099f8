"""The desk of the people on call, in a ledger."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.ledger.desk import ACCEPTED, REFUSED
from pipeline.ledger.reading import Reader
from pipeline.ledger.store import Ledger
from pipeline.model.clock import to_us
from pipeline.model.notice import Ack, Silence
from tests.unit.notify.playing import MONDAY, World, everything


@pytest.fixture
def ledger(tmp_path):
    held = Ledger(tmp_path / "ledger.sqlite")
    yield held
    held.close()


def notices(*names):
    world = World(everything("slack.team", "email.list"))
    for name in names:
        world.tell(name)
    return world.told


def silence(name, hours):
    return Silence(name, ("tenant=t",), MONDAY, MONDAY + timedelta(hours=hours), "ben", "known")


def test_notices_wait_in_their_order_each_once_for_each_destination(ledger):
    told = notices("inc-2", "inc-1")
    with ledger.transaction():
        ledger.put_notices(told)
        ledger.put_notices(told)
    assert [d.id for d in ledger.outbox("slack.team", 10)] == ["inc-2", "inc-1"]
    assert ledger.outbox_counts() == {"email.list": 2, "slack.team": 2}
    (first,) = ledger.outbox("slack.team", 1)
    assert (first.kind, first.tenant, first.at) == ("notice", "contoso", to_us(MONDAY))


def test_what_is_settled_moves_to_the_log_of_its_incident(ledger):
    with ledger.transaction():
        ledger.put_notices(notices("inc-1", "inc-2"))
        portion = ledger.outbox("slack.team", 10)
        ledger.settle("slack.team", zip(portion, [ACCEPTED, REFUSED], strict=True), 9)
    assert ledger.outbox_counts() == {"email.list": 2}
    (handed,) = ledger.handed("inc-2")
    assert (handed.sink, handed.reason, handed.outcome, handed.settled) == (
        "slack.team",
        "opened",
        "refused",
        9,
    )
    ledger.tidy_desk(10)
    assert ledger.handed("inc-1") == []


def test_the_newest_acknowledgement_counts_in_whatever_order_they_come(ledger):
    late = Ack("inc-1", MONDAY + timedelta(hours=1), "ana", "mine")
    for ack in (late, Ack("inc-1", MONDAY, "ben", "")):
        ledger.put_ack(ack)
    assert ledger.acks() == {"inc-1": late}


def test_silences_are_listed_until_they_end_and_may_end_earlier(ledger):
    ledger.put_silence(silence("sil-1", 2))
    ledger.put_silence(silence("sil-2", 1))
    assert [s.silence_id for s in ledger.silences(to_us(MONDAY))] == ["sil-2", "sil-1"]
    ledger.put_silence(silence("sil-1", 0))
    assert [s.silence_id for s in ledger.silences(to_us(MONDAY))] == ["sil-2"]


def test_what_is_remembered_is_changed_piece_by_piece(ledger):
    ledger.put_threads("incident", {"a": {"n": 1}, "b": {"n": 2}}, ())
    ledger.put_threads("incident", {"a": {"n": 3}}, ["b"])
    ledger.put_threads("thread", {"x": {}}, ())
    assert ledger.threads() == {"incident": {"a": {"n": 3}}, "thread": {"x": {}}}


def test_incidents_are_found_by_their_beginning(ledger):
    with ledger.transaction():
        rows = [(name, 1, "t", '{"n": 1}') for name in ("inc-1a", "inc-1b", "inc-2%")]
        ledger.add_documents("incident", [*rows, ("inc-1a", 2, "t", '{"n": 2}')])
        ledger.add_documents("flag", [("inc-1c", 1, "t", "{}")])
    assert ledger.incidents_named("inc-1", 5) == ["inc-1a", "inc-1b"]
    assert ledger.incidents_named("inc-2%", 5) == ["inc-2%"]
    assert ledger.incidents_named("%", 5) == []
    assert ledger.newest_revision("inc-1a") == {"n": 2}
    assert ledger.newest_revision("inc-9") is None
    assert ledger.last_document() == 5


def test_a_reader_sees_the_desk_while_it_is_written(ledger):
    reader = Reader(ledger.path)
    ledger.put_silence(silence("sil-1", 2))
    assert len(reader.silences()) == 1
    reader.close()
