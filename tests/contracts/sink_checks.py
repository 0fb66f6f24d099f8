"""What every sink must do, as a plain list of checks; :mod:`tests.contracts.sink_cases` has the cases."""

from __future__ import annotations

import copy
import logging
import random
import threading
import time
import traceback
from collections import Counter
from typing import TYPE_CHECKING, Final
from unittest import mock

from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.encoders.text import MARK
from pipeline.model.errors import FatalError, RetriableError
from tests.contracts.sink_cases import (
    BUSY,
    CUT,
    DENIED,
    DOWN,
    EVERYTHING,
    REFUSE,
    SinkCase,
    documents,
    in_order,
    keys,
    needs,
    play,
    ready,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# A case and its troubles are known under this module as well.
__all__ = [
    "BUSY", "CUT", "DENIED", "DOWN", "EVERYTHING", "REFUSE", "SINK_CHECKS", "SinkCase",
    "checks_for", "documents", "in_order", "keys", "play", "ready",
]  # fmt: skip
_ROUNDS_OF_TROUBLE: Final = 100
HOSTILE: Final = (
    "\"quoted\" 'single' \\back\\slash | pipe = equals",
    "line\nline\r\nline\ttab\x00nul\x1b[31mred\x7f\x85",
    "gpj\u202eexe.\u2066turned\u2069 \u200bzero \ufeff \u2028 \u2029",
    "<script>alert(1)</script> <!channel> @everyone [a](http://b) **bold** {{x}} ${y} %s",
    '{"event": "x"}\n{"create": {}}\n',
    "half of a pair \ud800 and a whole one \U0001f600",
    "\u0416" * 32_768,  # 64 kB in UTF-8
)


def checks_for(can: frozenset[str]) -> list[Callable[[SinkCase], None]]:
    """The checks that a destination with these troubles is held to."""
    return [check for check in SINK_CHECKS if getattr(check, "needs", frozenset()) <= can]


def everything_arrives_once(case: SinkCase) -> None:
    with ready(case) as (sink, receiver):
        wanted = documents(case)
        played = play(sink, receiver, wanted)
        assert Counter(receiver.accepted()) == Counter(keys(wanted))
        assert sorted(played.accepted) == sorted(keys(wanted))
        assert not played.rejected
        assert not played.problems


def revisions_of_an_id_arrive_in_order(case: SinkCase) -> None:
    with ready(case) as (sink, receiver):
        wanted = documents(case, ids=3, revisions=8)
        play(sink, receiver, wanted)
        assert len(receiver.accepted()) == len(wanted)
        assert in_order(receiver.accepted())


def it_settles_what_it_was_handed_and_each_once(case: SinkCase) -> None:
    with ready(case) as (sink, receiver):
        wanted = documents(case)
        played = play(sink, receiver, wanted)
        assert len(played.accepted) == len(wanted)
        assert set(played.accepted) == set(keys(wanted))


def nothing_handed_over_settles_nothing(case: SinkCase) -> None:
    with ready(case) as (sink, receiver):
        done = sink.deliver([])
        assert not done.accepted
        assert not done.rejected
        assert not receiver.accepted()


def documents_are_left_as_they_are(case: SinkCase) -> None:
    with ready(case) as (sink, receiver):
        wanted = documents(case)
        kept = copy.deepcopy(wanted)
        play(sink, receiver, wanted)
        assert wanted == kept


@needs(DOWN)
def a_receiver_that_is_down_is_told_and_loses_nothing(case: SinkCase) -> None:
    with ready(case) as (sink, receiver):
        wanted = documents(case)
        receiver.fail(DOWN)
        played = play(sink, receiver, wanted, rounds=3)
        assert len(played.problems) == 3
        assert all(error.retry_after is None or error.retry_after > 0 for error in played.problems)
        assert not played.accepted
        assert not played.rejected
        receiver.fail(None)
        play(sink, receiver, wanted)
        assert Counter(receiver.accepted()) == Counter(keys(wanted))


@needs(BUSY)
def a_busy_receiver_loses_nothing_and_gets_nothing_twice(case: SinkCase) -> None:
    with ready(case) as (sink, receiver):
        wanted = documents(case, ids=5, revisions=4)
        receiver.fail(BUSY, after=1)
        first = play(sink, receiver, wanted, rounds=2)
        assert first.problems or first.put_off, "nobody was told that it is busy"
        assert set(first.accepted) <= set(receiver.accepted()), "settled is what has arrived"
        receiver.fail(None)
        rest = [d for d in wanted if key_of(d) not in set(first.accepted)]
        play(sink, receiver, rest)
        assert Counter(receiver.accepted()) == Counter(keys(wanted))
        assert in_order(receiver.accepted())


@needs(REFUSE)
def a_refused_document_is_rejected_and_the_others_go_on(case: SinkCase) -> None:
    with ready(case) as (sink, receiver):
        wanted = documents(case, ids=5, revisions=2)
        wanted[3] = receiver.refuse(wanted[3])
        played = play(sink, receiver, wanted)
        bad = key_of(wanted[3])
        assert played.rejected == [bad]
        assert set(played.accepted) == set(keys(wanted)) - {bad}
        assert set(receiver.accepted()) == set(keys(wanted)) - {bad}
        assert in_order(receiver.accepted())


@needs(CUT)
def a_lost_answer_repeats_the_same_key_and_no_other(case: SinkCase) -> None:
    with ready(case) as (sink, receiver):
        wanted = documents(case)
        receiver.fail(CUT)
        cut = play(sink, receiver, wanted, rounds=1)
        assert not cut.accepted, "accepted without an answer"
        assert not cut.rejected
        receiver.fail(None)
        # A restart: the new one knows nothing of what the old one has sent.
        played = play(receiver.sink(), receiver, wanted)
        assert set(played.accepted) == set(keys(wanted))
        assert set(receiver.accepted()) == set(keys(wanted))
        assert max(Counter(receiver.accepted()).values()) <= 2
        assert in_order(receiver.accepted())


@needs(DENIED)
def a_wrong_credential_is_told_with_its_remedy(case: SinkCase) -> None:
    with ready(case) as (sink, receiver):
        wanted = documents(case)
        receiver.fail(DENIED)
        try:
            done = sink.deliver(wanted)
        except FatalError as error:
            message = str(error)
        else:
            raise AssertionError(f"took a refusal of everything for {done}")
        place, _, remedy = message.rpartition("; ")
        assert place
        assert remedy
        receiver.fail(None)
        play(sink, receiver, wanted)
        assert Counter(receiver.accepted()) == Counter(keys(wanted))


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def nothing_secret_shows(case: SinkCase) -> None:
    handler, root = _Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    shown: list[str] = []
    try:
        with ready(case) as (sink, receiver):
            wanted = documents(case)
            for kind in (*sorted(case.can - {REFUSE}), None):
                receiver.fail(kind)
                try:
                    shown.append(repr(sink.deliver(wanted)))
                except (RetriableError, FatalError) as error:
                    shown += [repr(error), "".join(traceback.format_exception(error))]
            shown += [repr(sink), repr(getattr(sink, "__dict__", ""))]
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    text = "\n".join([*shown, *handler.lines])
    assert not [secret for secret in case.secrets if secret in text]


def hostile_text_arrives_whole_or_visibly_cut(case: SinkCase) -> None:
    for number, text in enumerate(HOSTILE):
        with ready(case) as (sink, receiver):
            played = play(sink, receiver, [case.document("inc-1", 1, text)])
            assert played.accepted == [("inc-1", 1)], f"text {number} was not taken"
            assert receiver.accepted() == [("inc-1", 1)]
            found, meant = receiver.text(("inc-1", 1)), case.shown(text)
            if found not in {text, meant}:
                assert found.endswith(MARK.strip()), f"text {number} arrived as {found[:200]!r}"
                kept = found.removesuffix(MARK.strip()).rstrip()
                assert len(kept) >= 20
                assert meant.startswith(kept) or text.startswith(kept)


def it_never_sleeps(case: SinkCase) -> None:
    caller, sleep = threading.current_thread(), time.sleep

    def refused(seconds: float) -> None:
        assert threading.current_thread() is not caller, "a sink slept"
        sleep(seconds)

    with ready(case) as (sink, receiver), mock.patch("time.sleep", refused):
        wanted = documents(case)
        for kind in (*sorted(case.can & {DOWN, BUSY}), None):
            receiver.fail(kind)
            try:
                sink.deliver(wanted)
            except RetriableError:
                continue


@needs(DOWN, BUSY, CUT)
def a_hundred_troubles_and_kills_leave_one_recognisable_delivery_each(case: SinkCase) -> None:
    chance = random.Random(7)
    with ready(case) as (first, receiver):
        sink, at, handed = first, 0, 0
        wanted = documents(case, ids=6, revisions=60)
        for _ in range(_ROUNDS_OF_TROUBLE):
            kind = chance.choice((DOWN, BUSY, CUT, "killed"))
            receiver.fail(None if kind == "killed" else kind, after=chance.randrange(3))
            portion = wanted[at : at + chance.randrange(1, 7)]
            handed = max(handed, at + len(portion))
            played = play(sink, receiver, portion, rounds=2)
            assert not played.rejected
            if kind == "killed":
                # Before what was settled is noted: all of it comes again, to a new one.
                sink = receiver.sink()
                continue
            unsettled = [d for d in portion if key_of(d) not in set(played.accepted)]
            at += portion.index(unsettled[0]) if unsettled else len(portion)
        receiver.fail(None)
        play(sink, receiver, wanted[at:handed])
        assert len(wanted) > handed > 20
        assert set(receiver.accepted()) == set(keys(wanted[:handed]))
        assert in_order(receiver.accepted())


SINK_CHECKS: list[Callable[[SinkCase], None]] = [
    everything_arrives_once,
    revisions_of_an_id_arrive_in_order,
    it_settles_what_it_was_handed_and_each_once,
    nothing_handed_over_settles_nothing,
    documents_are_left_as_they_are,
    a_receiver_that_is_down_is_told_and_loses_nothing,
    a_busy_receiver_loses_nothing_and_gets_nothing_twice,
    a_refused_document_is_rejected_and_the_others_go_on,
    a_lost_answer_repeats_the_same_key_and_no_other,
    a_wrong_credential_is_told_with_its_remedy,
    nothing_secret_shows,
    hostile_text_arrives_whole_or_visibly_cut,
    it_never_sleeps,
    a_hundred_troubles_and_kills_leave_one_recognisable_delivery_each,
]
