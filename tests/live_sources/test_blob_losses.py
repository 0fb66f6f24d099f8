"""Blobs that are replaced, cut or deleted, and answers that are none: told, and gone on from."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from connectors.http.budget import Budget
from connectors.sources import blobs as source_module
from pipeline.model.errors import (
    PacedError,
    RetriableError,
    ThrottledError,
)
from tests.live_sources.storage_account import (
    HOUR,
    SIGNINS,
    START,
    account,
    again,
    everything,
    lines,
    reader,
    refusal,
)
from tests.services import diagnostics as d
from tests.services.blobs import error
from tests.services.server import Reply


def test_a_blob_that_was_replaced_is_told_and_read_anew():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1, 2))
        source = reader(world)
        first = source.poll(None)
        world.storage.put(SIGNINS, START, lines(7, 8, 9))
        second = source.poll(first.cursor)
        assert d.numbers_of([second]) == [7, 8, 9]
        (lost,) = second.missing
        assert (lost.start, lost.end) == (START, START + HOUR)
        assert "it was replaced by another; what it held behind the" in lost.reason
        assert source.poll(second.cursor).missing == second.missing
        world.clock.advance(timedelta(days=8, hours=2))
        assert not source.poll(second.cursor).missing


def test_a_blob_that_was_replaced_by_one_of_the_same_size_is_noticed():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1))
        source = reader(world)
        first = source.poll(None)
        first_id, second_id = (str(uuid.UUID(int=n)).encode() for n in (1, 2))
        world.storage.put(SIGNINS, START, lines(1).replace(first_id, second_id))
        second = source.poll(first.cursor)
        assert d.numbers_of([second]) == [2]
        assert len(second.missing) == 1


def test_a_blob_that_was_only_touched_is_not_read_again():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1))
        source = reader(world)
        first = source.poll(None)
        world.storage.append(SIGNINS, START, b"")
        second = source.poll(first.cursor)
        assert (second.received, second.missing) == (0, ())


def test_a_blob_that_shrank_is_told_and_read_anew():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1, 2, 3))
        source = reader(world)
        first = source.poll(None)
        world.storage.put(SIGNINS, START, lines(9))
        second = source.poll(first.cursor)
        assert d.numbers_of([second]) == [9]
        assert "it has become shorter" in second.missing[0].reason


def test_a_blob_that_is_deleted_before_it_is_read_to_its_end_is_told(monkeypatch):
    monkeypatch.setattr(source_module, "_PIECE_BYTES", 5000)
    with account() as world:
        world.storage.append(SIGNINS, START, lines(*range(20)))
        source = reader(world, most_records=1)
        first = source.poll(None)
        world.storage.remove(SIGNINS, START)
        second = source.poll(first.cursor)
        assert "deleted before it was read to its end" in second.missing[0].reason
        assert second.complete_to == START


def test_a_blob_that_was_read_may_be_deleted():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1))
        source = reader(world)
        first = source.poll(None)
        world.storage.remove(SIGNINS, START)
        assert not source.poll(first.cursor).missing


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s, name: s.containers[SIGNINS].pop(name), "it was deleted before it was read"),
        (
            lambda s, name: setattr(s.containers[SIGNINS][name], "archived", True),
            "it was moved to the archive before it was read",
        ),
    ],
)
def test_a_blob_that_goes_between_list_and_reading_is_told(change, words):
    with account() as world:
        world.storage.append(SIGNINS, START - HOUR, lines(1))
        world.storage.append(SIGNINS, START, lines(2))
        show = world.storage.show

        def listed(container, query):
            reply = show(container, query)
            if "delimiter" not in query:
                change(world.storage, min(world.storage.containers[SIGNINS]))
                world.storage.show = show
            return reply

        world.storage.show = listed
        poll = reader(world).poll(None)
        assert d.numbers_of([poll]) == [2]
        assert words in poll.missing[0].reason
        assert (poll.missing[0].start, poll.complete_to) == (START - HOUR, START)


def test_a_blob_that_shrinks_between_list_and_reading_is_tried_again():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1, 2))
        show = world.storage.show

        def listed(container, query):
            reply = show(container, query)
            if "delimiter" not in query:
                world.storage.put(SIGNINS, START, lines(3))
            return reply

        world.storage.show = listed
        source = reader(world)
        assert "became shorter while it was read" in refusal(RetriableError, source)
        world.storage.show = show
        assert d.numbers_of([source.poll(None)]) == [3]


# Bounds and faults.


def test_what_was_read_before_a_failure_is_kept():
    with account() as world:
        for hour in (0, 1):
            world.storage.append(SIGNINS, START - hour * HOUR, lines(hour))
        get = world.storage.get
        world.storage.get = lambda c, n, r: (
            error(500, "InternalError") if "h=08" in n else get(c, n, r)
        )
        source = reader(world, lookback=2 * HOUR)
        first = source.poll(None)
        assert (d.numbers_of([first]), first.complete_to) == ([1], START)
        assert "HTTP 500, InternalError" in refusal(RetriableError, source, first.cursor)
        world.storage.get = get
        assert d.numbers_of([source.poll(first.cursor)]) == [0]


def test_an_account_that_is_asked_too_often_is_left_alone_for_a_while():
    with account() as world:
        budget = Budget(1000, 1.0, "storage", monotonic=lambda: 0.0)
        source = reader(world, budget=budget)
        world.storage.broken = error(503, "ServerBusy")
        assert "asked too often" in refusal(ThrottledError, source)
        world.storage.broken = None
        before = len(world.storage.requests)
        assert "asked for a pause" in refusal(PacedError, source)
        assert len(world.storage.requests) == before


def test_a_budget_that_is_used_up_in_the_middle_gives_what_is_there():
    with account() as world:
        for hour in range(3):
            world.storage.append(SIGNINS, START - hour * HOUR, lines(hour))
        now = [0.0]
        budget = Budget(4, 10.0, "storage", monotonic=lambda: now[0])
        source = reader(world, budget=budget, lookback=3 * HOUR)
        polls = [source.poll(None)]  # two for the folders, one for the day, one for a blob
        assert d.numbers_of(polls) == [2]
        with pytest.raises(ThrottledError):
            source.poll(polls[-1].cursor)
        for _ in range(2):
            now[0] += 10
            polls.append(source.poll(again(polls[-1].cursor)))
        assert d.numbers_of(polls) == [2, 1, 0]


def test_a_poll_begins_nothing_more_when_its_time_is_over():
    with account() as world:
        for hour in range(5):
            world.storage.append(SIGNINS, START - hour * HOUR, lines(hour))
        ticks = iter(range(1000))
        source = reader(world, lookback=6 * HOUR, seconds=2.5, monotonic=lambda: next(ticks))
        polls = everything(source)
        assert d.numbers_of(polls) == [4, 3, 2, 1, 0]
        assert [p.received for p in polls] == [3, 2, 0]


def test_a_proxy_that_gives_whole_blobs_does_no_harm():
    with account() as world:
        world.storage.whole = True
        world.storage.append(SIGNINS, START, lines(1, 2))
        source = reader(world)
        first = source.poll(None)
        world.storage.append(SIGNINS, START, lines(3))
        second = source.poll(first.cursor)
        assert (d.numbers_of([first]), d.numbers_of([second])) == ([1, 2], [3])


ODD = {
    "a page of a proxy": Reply(body=b"<html>Sign in</html>", headers={"Content-Type": "text/html"}),
    "something else": Reply(body=b"\x00\x01"),
    "a document type": Reply(
        body=b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><EnumerationResults>&a;'
        b"</EnumerationResults>"
    ),
    "half a list": Reply(body=b"<EnumerationResults><Blobs><Blob><Name>x"),
    "a size that is none": Reply(
        body=b"<EnumerationResults><Blobs><Blob><Name>x</Name><Properties><Content-Length>x"
        b"</Content-Length></Properties></Blob></Blobs></EnumerationResults>"
    ),
    "another address": Reply(302, headers={"Location": "https://elsewhere.example.net/"}),
    "a list that never ends": Reply(
        body=b"<EnumerationResults><Blobs/><NextMarker>m</NextMarker></EnumerationResults>"
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_an_answer_that_is_no_list_is_tried_again(case):
    with account() as world:
        world.storage.broken = ODD[case]
        message = refusal(RetriableError, reader(world))
        assert f"storage account at {world.storage.root[7:]}" in message


def test_another_part_of_a_blob_than_was_asked_for_is_not_taken():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1))
        told = {"Content-Range": "bytes 5-9/100"}
        world.storage.get = lambda *_: Reply(206, body=b"12345", headers=told)
        assert "another part of a blob" in refusal(RetriableError, reader(world))
