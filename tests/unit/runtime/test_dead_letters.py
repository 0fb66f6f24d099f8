"""Looking at dead letters: sums, what is worth trying again, and what to do about each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest

from pipeline.model import dead_letter
from pipeline.model.clock import to_us
from pipeline.model.dead_letter import DOCUMENT, RECORD, DeadLetter, DeadLetterDocument
from pipeline.model.documents import from_json, to_json
from pipeline.model.errors import ConfigError, StateError
from pipeline.model.json_schema import schema_of
from pipeline.model.reject import RejectReason
from pipeline.runtime.dead_letters import (
    Outcome,
    Wish,
    choose,
    document_of,
    message_of,
    prospect,
    prospect_of_body,
    survey,
)
from pipeline.runtime.live.messages import Kind, Message, UnreadableMessageError, pack_events
from pipeline.runtime.remedies import remedy
from tests.live.small_tenant import HOUR, MONDAY, table, usual

ALL = Wish(every=True)


def letter(seq=1, reason="unreadable_message", **changed):
    made = DeadLetter(seq, to_us(MONDAY), "t", reason, "why", "here", "events", b"?")
    return replace(made, **changed)


def events(hour=30, rows=None):
    made = Message("t", Kind.EVENTS, MONDAY, pack_events(table(rows or usual(hour))))
    return letter(body=made.body, headers=tuple(made.headers()))


def test_every_reason_has_a_remedy():
    others = (n for n in dir(dead_letter) if n.isupper())
    reasons = {getattr(dead_letter, n) for n in others} - {"record", "document", "messages"}
    assert len(reasons) == 3
    for reason in {*map(str, RejectReason), *reasons}:
        assert remedy(reason) != remedy("nobody knows it")
        assert remedy(reason).meaning
        assert remedy(reason).remedy


def test_the_guide_tells_every_reason_of_a_replay_and_every_outcome():
    text = (Path(__file__).parents[3] / "docs" / "operating.md").read_text("utf-8")
    reasons = ("unreadable_message", "judging_failed", "refused_by_sink")
    assert [n for n in (*reasons, *Outcome) if f"| `{n}` |" not in text] == []


def test_only_letters_that_hold_what_they_are_about_may_be_tried_again():
    assert not any(remedy(r).replay for r in RejectReason)
    assert all(remedy(r).replay for r in ("unreadable_message", "refused_by_sink"))


def test_the_document_of_a_letter_follows_its_schema_and_comes_back():
    whole = letter(sink="siem", replayed_at=to_us(MONDAY), partition=3).document()
    bare = letter(tenant=None, body=None).document()
    for document in (whole, bare):
        told = to_json(document)
        jsonschema.validate(told, schema_of(DeadLetterDocument))
        assert told["schema"] == "outrider.dead/1"
        assert from_json(DeadLetterDocument, told) == document
    assert (whole.letter_id, whole.body_bytes) == ("3/1", 1)
    assert "body_bytes" not in to_json(bare)


def test_letters_are_counted_by_reason_the_most_first():
    hour = timedelta(hours=1) // timedelta(microseconds=1)
    letters = [letter(n, "not_json", at=n * hour, kind=RECORD) for n in range(5)]
    letters += [letter(9, at=9 * hour), letter(8, at=8 * hour, replayed_at=1)]
    letters += [letter(10, at=10 * hour, queued_at=1)]
    found = survey(letters, limit=3)
    first, second = found.groups
    assert (first.reason, first.letters, first.waiting) == ("not_json", 5, 5)
    assert (second.waiting, second.queued, second.replayed) == (1, 1, 1)
    assert (second.first_at.hour, second.last_at.hour) == (8, 10)
    assert [d.seq for d in found.newest] == [8, 9, 10]
    assert [g.letters for g in survey(letters, reason="not_json", limit=0).groups] == [5]


def test_a_wish_says_one_thing():
    for wrong in ({}, {"ids": ("1",), "every": True}, {"reason": "x", "every": True}):
        with pytest.raises(ConfigError, match="--reason"):
            Wish(**wrong)


def test_of_a_reason_only_what_waits_is_chosen():
    letters = [letter(1), letter(2, replayed_at=5), letter(3, queued_at=5), letter(4, "not_json")]
    assert [d.seq for d in choose(letters, Wish(reason="unreadable_message"))] == [1]
    again = Wish(reason="unreadable_message", again=True)
    assert [d.seq for d in choose(letters, again)] == [1, 2]
    assert [d.seq for d in choose(letters, ALL)] == [1, 4]
    assert [d.seq for d in choose(letters, Wish(ids=("3", "2", "3")))] == [3, 2]
    with pytest.raises(ConfigError, match="no dead letter '7'"):
        choose(letters, Wish(ids=("7",)))


def test_what_was_replayed_is_refused_unless_it_is_wanted_again():
    done = letter(replayed_at=to_us(MONDAY))
    named = Wish(ids=("1",))
    assert prospect(done, named).outcome is Outcome.BEFORE
    assert "--again" in prospect(done, named).text
    assert prospect(done, replace(named, again=True)).outcome is None
    assert prospect(letter(queued_at=1), replace(named, again=True)).outcome is Outcome.BEFORE


def test_a_refused_record_names_its_file_and_how_it_is_read_again():
    found = prospect(letter(reason="not_json", kind=RECORD, place="a.json line 3"), ALL)
    assert found.outcome is Outcome.FILE
    assert "a.json line 3: export the file again" in found.text
    assert "read again" in found.text


def test_what_this_version_cannot_read_stays_unless_it_is_forced():
    for body in (b"no arrow", b""):
        found = prospect_of_body(letter(body=body), None)
        assert found.outcome is Outcome.UNREADABLE
        assert "--force" in found.text
    assert prospect_of_body(letter(body=b"no arrow"), None, force=True).outcome is None
    foreign = letter(kind="nonsense")
    assert prospect_of_body(foreign, None).outcome is Outcome.UNREADABLE


def test_records_that_come_too_late_are_told_of():
    whole = events(30)
    count = len(usual(30))
    before, after = MONDAY + 30 * HOUR, MONDAY + 31 * HOUR
    assert prospect_of_body(whole, before) == (None, f"{count:,} records")
    gone = prospect_of_body(whole, after)
    assert gone.outcome is Outcome.TOO_LATE
    assert "2026-03-03T07:00:00Z" in gone.text
    assert "backfill" in gone.text
    assert prospect_of_body(whole, after, force=True).outcome is None
    some = prospect_of_body(events(rows=usual(29) + usual(30)), before)
    assert some.outcome is None
    assert f"{len(usual(29)):,} of these" in some.text


def test_a_letter_is_the_message_again():
    made = events()
    assert message_of(made) == Message("t", Kind.EVENTS, MONDAY, made.body)
    old = replace(made, headers=())
    assert message_of(old) == Message("t", Kind.EVENTS, None, made.body)
    with pytest.raises(UnreadableMessageError):
        message_of(replace(old, kind="nonsense"))


def test_a_refused_document_is_the_flag_or_incident_again():
    held = letter(kind=DOCUMENT, sink="siem", body=b'{"incident_id": "i-1", "revision": 3}')
    document = document_of(held)
    assert (document.kind, document.id, document.revision) == ("incident", "i-1", 3)
    assert prospect_of_body(held, None) == (None, "for siem")
    with pytest.raises(StateError, match="dead letter 1"):
        document_of(replace(held, body=b"[]"))
    assert prospect_of_body(replace(held, body=b"x"), None).outcome is Outcome.UNREADABLE
