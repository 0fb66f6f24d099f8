"""Blobs of diagnostic settings, from a storage account on loopback: each record once, by its bytes."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from connectors.sources import blobs as source_module
from pipeline.model.errors import (
    RetriableError,
)
from pipeline.model.reject import RejectReason
from tests.live_sources.storage_account import (
    AUDITS,
    FAULTS,
    HOUR,
    MARK,
    MINUTE,
    QUIET,
    SIGNINS,
    START,
    account,
    again,
    asked,
    everything,
    lines,
    reader,
)
from tests.services import diagnostics as d
from tests.services.server import Faults


@pytest.mark.parametrize("seed", [1, 2])
def test_every_record_comes_once_whatever_fails_and_however_often_the_collector_is_killed(seed):
    rng = random.Random(seed)
    with account(Faults(seed=seed, **FAULTS)) as world:
        world.storage.make(SIGNINS, QUIET, AUDITS)
        world.entra.lifetime = 1200
        stored, told, failed, killed = None, [], Counter(), 0
        number, half = 0, {}
        options = {"most_records": 40, "lookback": 2 * HOUR}
        source = reader(world, SIGNINS, QUIET, AUDITS, **options)
        for _ in range(120):  # four hours, two minutes a round
            for container in (SIGNINS, QUIET, AUDITS):
                body = half.pop(container, b"")
                begun = bool(body)
                fresh = rng.randrange(12)
                body += lines(*range(number, number + fresh))
                number += fresh
                now = world.clock.now()
                # Some is late, and goes to the hour before; some is written in the middle of a line.
                late = rng.random() < 0.1 and now.minute < 20 and not begun
                if not late and rng.random() < 0.3:
                    cut = rng.randrange(len(body) + 1)
                    body, rest = body[:cut], body[cut:]
                    if (now + 2 * MINUTE).hour == now.hour:
                        half[container] = rest
                    else:
                        body += rest
                world.storage.append(container, now - late * HOUR, body)
            for _ in range(2):
                if rng.random() < 0.15:
                    killed += 1
                    source = reader(world, SIGNINS, QUIET, AUDITS, **options)
                try:
                    poll = source.poll(stored)
                except RetriableError as failure:
                    failed[type(failure).__name__] += 1
                    continue
                if rng.random() < 0.15:
                    killed += 1  # before it could store anything
                    continue
                stored = again(poll.cursor)
                told.append(poll)
            world.clock.advance(2 * MINUTE)
        world.storage.faults = Faults()
        told += everything(source, stored)
        assert Counter(d.numbers_of(told)) == Counter(dict.fromkeys(range(number), 1))
        assert not any(poll.rejects or poll.missing for poll in told)
        moments = [poll.complete_to for poll in told]
        assert moments == sorted(moments)
        assert moments[-1] == world.clock.now()
        assert killed > 30
        assert failed["ThrottledError"] > 5
        assert failed["RetriableError"] > 5
        assert len(world.entra.issued) > 4


def test_after_each_single_poll_a_new_process_goes_on_without_loss_or_repetition():
    with account() as world:
        for hour in range(3):
            for container in (SIGNINS, QUIET):
                first = 1000 * hour + (500 if container == QUIET else 0)
                world.storage.append(
                    container, START + hour * HOUR, lines(*range(first, first + 30))
                )
        world.clock.advance(2 * HOUR + MINUTE)
        polls, cursor = [], None
        options = {"lookback": 3 * HOUR, "most_records": 1}
        while not polls or polls[-1].received:
            source = reader(world, SIGNINS, QUIET, **options)
            polls.append(source.poll(cursor))
            assert source.poll(cursor) == polls[-1] or polls[-1].batches
            cursor = again(polls[-1].cursor)
        expected = [1000 * h + c + n for h in range(3) for c in (500, 0) for n in range(30)]
        assert d.numbers_of(polls) == expected, "hour by hour, over all containers"
        assert len(polls) == 7


def test_a_blob_is_read_a_piece_at_a_time(monkeypatch):
    monkeypatch.setattr(source_module, "_PIECE_BYTES", 5000)
    with account() as world:
        world.storage.append(SIGNINS, START, lines(*range(50)))
        poll = reader(world).poll(None)
        assert d.numbers_of([poll]) == list(range(50))
        ranges = [r.headers["range"] for r in asked(world, "PT1H")]
        assert len(ranges) > 15
        assert all(int(r.split("-")[1]) - int(r[6:].split("-")[0]) < 5000 + MARK for r in ranges)


def test_only_what_a_blob_has_grown_by_is_fetched():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(*range(40)))
        source = reader(world)
        first = source.poll(None)
        world.storage.append(SIGNINS, START, lines(40))
        before = len(world.storage.requests)
        second = source.poll(first.cursor)
        assert d.numbers_of([second]) == [40]
        fetched = [r for r in world.storage.requests[before:] if "PT1H" in r.url]
        size = len(world.storage.containers[SIGNINS].popitem()[1].body)
        assert [r.headers["range"] for r in fetched] == [
            f"bytes={size - len(lines(40)) - MARK}-{size - 1}"
        ]
        third = source.poll(second.cursor)
        assert third.received == 0


def test_a_poll_that_finds_nothing_new_asks_for_a_list_and_nothing_else():
    with account(at=START + 6 * HOUR) as world:
        world.storage.append(SIGNINS, START + 6 * HOUR, lines(1))
        source = reader(world)
        cursor = source.poll(None).cursor
        before = len(world.storage.requests)
        assert source.poll(cursor).received == 0
        (request,) = world.storage.requests[before:]
        assert request.query["prefix"].endswith("/y=2026/m=03/d=19/")


def test_a_last_line_that_is_not_whole_waits_for_its_end():
    with account() as world:
        whole = lines(1, 2, 3)
        world.storage.append(SIGNINS, START, whole[:-100])
        source = reader(world)
        first = source.poll(None)
        assert (d.numbers_of([first]), first.rejects) == ([1, 2], ())
        before = len(world.storage.requests)
        second = source.poll(first.cursor)
        assert second.received == 0
        assert len(world.storage.requests) == before + 1, "it is not fetched again and again"
        world.storage.append(SIGNINS, START, whole[-100:])
        assert d.numbers_of([source.poll(second.cursor)]) == [3]


def test_a_last_line_without_an_end_of_line_is_whole_if_it_is_json():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1, 2).removesuffix(b"\n"))
        source = reader(world)
        first = source.poll(None)
        world.storage.append(SIGNINS, START, b"\r\n" + lines(3))
        second = source.poll(first.cursor)
        assert (d.numbers_of([first]), d.numbers_of([second])) == ([1, 2], [3])
        assert not second.rejects


def test_a_line_that_never_becomes_whole_is_told_when_its_hour_is_long_over():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1) + d.line(2)[:60])
        source = reader(world)
        cursor = source.poll(None).cursor
        world.clock.advance(6 * HOUR)
        assert not source.poll(cursor).rejects, "it may still be written on"
        world.clock.advance(HOUR)
        poll = source.poll(cursor)
        (reject,) = poll.rejects
        assert reject.reason is RejectReason.TRUNCATED
        assert reject.offset == len(lines(1))
        assert reject.path.startswith(f"blobs {SIGNINS}/tenantId=")
        assert poll.received == 1
        assert not source.poll(again(poll.cursor)).rejects


# What blobs hold.


def test_a_page_that_grows_at_its_end_is_read_as_it_grows():
    records = [json.dumps(d.record(n), indent=1).encode() for n in range(6)]
    with account() as world:
        source, polls, cursor = reader(world), [], None
        world.storage.make(SIGNINS)
        for count in (0, 1, 1, 3, 6):
            body = b'\xef\xbb\xbf{ "records":\n[' + b",\n".join(records[:count]) + b"]}\n"
            world.storage.put(SIGNINS, START, body)
            polls.append(source.poll(cursor))
            cursor = again(polls[-1].cursor)
        assert [d.numbers_of([p]) for p in polls] == [[], [0], [], [1, 2], [3, 4, 5]]
        assert not any(p.rejects or p.missing for p in polls)


def test_a_page_that_is_cut_off_waits_for_its_end():
    body = json.dumps({"records": [d.record(n) for n in range(3)]}).encode()
    with account() as world:
        source = reader(world)
        world.storage.put(SIGNINS, START, body[:-500])
        first = source.poll(None)
        world.storage.put(SIGNINS, START, body)
        second = source.poll(first.cursor)
        assert (d.numbers_of([first]), d.numbers_of([second])) == ([0, 1], [2])


def test_pages_one_after_the_other_are_read_too():
    with account() as world:
        world.storage.append(SIGNINS, START, d.page([1, 2]) + b"\n" + d.page([3]) + b"\n")
        source = reader(world)
        first = source.poll(None)
        world.storage.append(SIGNINS, START, d.page([4]) + b"\n")
        second = source.poll(first.cursor)
        assert (d.numbers_of([first]), d.numbers_of([second])) == ([1, 2, 3], [4])
        assert not first.rejects + second.rejects


def test_damaged_lines_become_rejects_with_their_place():
    damaged = d.line(5)[: len(d.line(5)) // 2] + b"\n"
    unusable = json.dumps({"id": d.v.USER}).encode() + b"\n"
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1) + damaged + lines(2) + unusable + lines(3))
        source = reader(world)
        poll = source.poll(None)
        assert d.numbers_of([poll]) == [1, 2, 3]
        at = [len(lines(1)), len(lines(1, 2)) + len(damaged)]
        assert [r.offset for r in poll.rejects] == at
        assert {r.path for r in poll.rejects} == {
            f"blobs {SIGNINS}/{next(iter(world.storage.containers[SIGNINS]))}"
        }
        assert poll.received == 5
        assert not [word for word in d.PERSONAL if word in repr(poll.rejects)]


def test_a_blob_of_thousands_of_lines_is_read_as_its_lines_are():
    with account() as world:
        world.storage.append(SIGNINS, START, lines(*range(3000)) + b"\n\n" + d.line(1)[:50])
        world.storage.append(QUIET, START, b"x" * 9000 + b"\n" + lines(*range(3000, 3020)))
        polls = everything(reader(world, SIGNINS, QUIET))
        assert sorted(d.numbers_of(polls)) == list(range(3020))
        (reject,) = (r for p in polls for r in p.rejects)
        assert (reject.reason, reject.offset) == (RejectReason.NOT_JSON, 0)


@pytest.mark.parametrize("start", [b'{"id": "', b'{"records": [{"id": "'])
def test_a_record_that_never_ends_is_passed(start):
    with account() as world:
        world.storage.append(SIGNINS, START, start + b"x" * 9 * 2**20)
        polls = everything(reader(world))
        assert {r.reason for p in polls for r in p.rejects} <= {
            RejectReason.TOO_LONG,
            RejectReason.NOT_JSON,
        }
        assert polls[0].rejects
        assert polls[-1].complete_to == START


def test_sign_ins_of_machines_are_counted_and_left_out():
    with account() as world:
        machine = json.dumps(d.machine(1)).encode() + b"\n"
        world.storage.append(SIGNINS, START, machine + lines(2))
        poll = reader(world).poll(None)
        assert (poll.received, poll.ignored, d.numbers_of([poll])) == (2, 1, [2])
