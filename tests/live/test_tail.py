"""Records that are kept packed are the records that came."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from pipeline.runtime.live import tail as tails
from pipeline.runtime.live.engine import Engine
from pipeline.runtime.live.freezing import freeze, thaw
from pipeline.runtime.live.messages import Kind, Message, pack_events
from pipeline.runtime.live.parts import GroundPart
from pipeline.runtime.live.pieces import Piece
from pipeline.runtime.live.tail import Tail
from pipeline.runtime.live.tenant import Tenant
from pipeline.runtime.live.times import microseconds
from tests.live.small_tenant import HOUR, MONDAY, SETTINGS, table, usual


def ids(events):
    return sorted(events.column("event_id").to_pylist())


def keep(tail, events, **how):
    tail.keep(events, microseconds(events, "event_time"), **how)


def held(tail):
    return [piece.held for piece in tail.pieces]


@pytest.fixture
def _few(monkeypatch):
    """Batches of a hundred records count as full ones."""
    monkeypatch.setattr(tails, "_SMALL_ROWS", 100)
    monkeypatch.setattr(tails, "_MOST_SMALL", 4)
    monkeypatch.setattr(tails, "_PIECE_ROWS", 1_500)


@pytest.mark.usefixtures("_few")
@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_done_with_them_the_records_are_those_that_came(seed):
    rng = random.Random(seed)
    pool = table([row for hour in range(72) for row in usual(hour)])
    pool = pool.take(pa.array(np.random.default_rng(seed).permutation(pool.num_rows)))
    first = MONDAY
    tail, came, at = Tail([]), [], 0
    for _ in range(120):
        done = rng.choice(["keep"] * 5 + ["join", "forget", "hold", "hold nothing", "store"])
        if done == "keep":
            some = pool.slice(at, rng.choice([1, 7, 60, 150, 400]))
            at += some.num_rows
            some = some.filter(pa.array(microseconds(some, "event_time") >= us(first)))
            if some.num_rows:
                keep(tail, some, bodies=(pack_events(some),) if rng.random() < 0.7 else ())
                came.append(some)
        elif done == "join":
            tail.join()
        elif done == "forget":
            first = max(first, MONDAY + rng.randrange(72) * HOUR / 3)
            tail.forget_before(first)
        elif done == "hold":
            tail.hold_from(MONDAY + rng.randrange(72) * HOUR)
        elif done == "hold nothing":
            tail.hold_from(None)
        else:
            frozen = freeze(GroundPart(tail=tail.pieces))
            tail = Tail(thaw(frozen.body, frozen.parts, GroundPart).tail)
        whole = pa.concat_tables([pool.slice(0, 0), *came])
        time = microseconds(whole, "event_time")
        mine = whole.filter(pa.array(time >= us(first)))
        assert len(tail) == mine.num_rows
        if len(tail):
            left = microseconds(mine, "event_time")
            assert (tail.oldest, tail.newest) == (left.min(), left.max())
        start = MONDAY + rng.randrange(-3, 72) * HOUR
        until = start + rng.randrange(1, 30) * HOUR
        asked = (time >= us(max(start, first))) & (time < us(until))
        assert ids(tail.between(start, until)) == ids(whole.filter(pa.array(asked)))
    assert at < pool.num_rows


def us(moment):
    return int(moment.timestamp() * 1_000_000)


@pytest.mark.usefixtures("_few")
def test_a_full_batch_stays_as_it_came_and_small_ones_become_one():
    tail, full = Tail([]), table(usual(1) + usual(2))
    body = pack_events(full)
    keep(tail, full, bodies=(body,))
    assert [p.bodies for p in tail.pieces] == [(body,)]
    assert held(tail) == [False]
    for hour in (3, 4):
        events = table(usual(hour)[:40])
        keep(tail, events, bodies=(pack_events(events),))
    assert held(tail) == [False, True, True]
    keep(tail, table(usual(5)[:40]))
    assert [(p.rows, len(p.bodies), p.held) for p in tail.pieces] == [
        (full.num_rows, 1, False),
        (120, 1, False),
    ]


@pytest.mark.usefixtures("_few")
def test_a_record_is_written_again_only_when_its_piece_has_grown_by_half():
    tail, known, written, rows = Tail([]), {}, 0, 0
    for hour in range(60):
        events = table(usual(hour))
        keep(tail, events, bodies=(pack_events(events),))
        tail.join()
        fresh = freeze(GroundPart(tail=tail.pieces), known).parts
        written += sum(map(len, fresh.values()))
        known |= fresh
        rows += events.num_rows
    assert rows == len(tail) > 8_000
    assert len(tail.pieces) < 20
    once = sum(len(body) for piece in tail.pieces for body in piece.bodies)
    # Of 170 records an hour and 1,500 a piece: 2 and then some steps by half.
    assert written < 5 * once


@pytest.mark.usefixtures("_few")
def test_tables_are_held_for_the_hours_that_are_read_each_minute_only():
    engine = Engine(SETTINGS, lambda _: Tenant(SETTINGS))
    tail = engine.tenant("t").ground.tail

    def come(hour):
        body = pack_events(table(usual(hour)))
        engine.take(Message("t", Kind.EVENTS, MONDAY + (hour + 1) * HOUR, body))
        return body

    bodies = [come(hour) for hour in range(10)]
    assert [p.bodies for p in tail] == [(b,) for b in bodies]
    assert not any(p.held for p in tail), "nobody judges a backlog each minute"
    engine.judge("t")
    since = [p.first >= us(MONDAY + 6 * HOUR) for p in tail]
    assert sum(since) == 4
    assert [p.held for p in tail] == since
    come(10)
    assert tail[-1].held
    come(11)
    engine.judge("t")
    assert [p.held for p in tail] == [False] * 8 + [True] * 4


def test_what_an_older_version_packed_is_packed_anew():
    tenant, events = Tenant(SETTINGS), table([r for hour in range(8) for r in usual(hour)])
    assert events.num_rows > 1_000
    plain = pa.BufferOutputStream()
    with pa.ipc.new_stream(plain, events.schema) as writer:
        writer.write_table(events)
    engine = Engine(SETTINGS, lambda _: tenant)
    engine.take(Message("t", Kind.EVENTS, MONDAY + 9 * HOUR, plain.getvalue().to_pybytes()))
    (piece,) = tenant.ground.tail
    assert piece.bodies == (pack_events(events),)
    assert ids(piece.read()) == ids(events)


def test_of_a_batch_with_records_that_are_refused_the_others_are_packed_anew():
    tenant = Tenant(SETTINGS)
    early = table([r for hour in range(8) for r in usual(hour)])
    late = table([r for hour in range(8) for r in usual(hour + 480)])
    both = pa.concat_tables([early, late])
    tenant.take(both, MONDAY + 9 * HOUR, (pack_events(both),))
    assert tenant.ground.too_new == late.num_rows
    (piece,) = tenant.ground.tail
    assert not piece.held
    assert ids(piece.read()) == ids(early)


def test_a_piece_that_is_held_is_read_without_unpacking_it():
    events = table(usual(3))
    piece = Piece.of(events)
    assert piece.read() is events
    piece.let_go()
    assert piece.read() is not piece.read()
    assert piece.read(hold=True) is piece.read()
