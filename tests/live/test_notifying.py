"""Telling people: killed anywhere, down for a day, refused; each notice once and in order."""

from __future__ import annotations

import os
import random
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from pipeline.ledger.followed import FollowedLedger
from pipeline.model.clock import ManualClock, to_us
from pipeline.model.contracts import Delivery
from pipeline.model.documents import from_json
from pipeline.model.errors import RetriableError
from pipeline.model.notice import Notice
from pipeline.runtime.metrics import Metrics
from tests.live.notified import (
    KilledError,
    Quick,
    Receiver,
    add,
    notifier,
    play,
    receivers,
    story,
)
from tests.unit.notify.playing import MONDAY, World, everything

KILLS = 100 if os.environ.get("OUTRIDER_TEST_LONG") else 30
SLACK = everything("slack.team")
STEPS = (
    "documents",
    "put_threads",
    "put_notices",
    "put_cursor",
    "outbox",
    "bury",
    "settle",
    "transaction",
)
# Before these nothing has been handed over.
DECIDING = ("documents", "put_threads", "put_notices", "put_cursor")


@pytest.fixture
def ledger(tmp_path):
    held = Quick(tmp_path / "ledger.sqlite")
    yield held
    held.close()


@pytest.fixture
def clock():
    return ManualClock(MONDAY)


def straight(path, told):
    """What an undisturbed run tells, by destination."""
    sinks = receivers()
    assert play(path, told, sinks) == 0
    return {name: sink.held for name, sink in sinks.items()}


def same(sinks, expected):
    assert {name: sink.held for name, sink in sinks.items()} == expected
    assert {n: list(s.held) for n, s in sinks.items()} == {n: list(h) for n, h in expected.items()}
    assert all(sink.in_order() for sink in sinks.values())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A story, and what an undisturbed run tells of it."""
    told = story(7, 30)
    expected = straight(tmp_path_factory.mktemp("straight") / "ledger.sqlite", told)
    assert sum(map(len, expected.values())) > 20
    return told, expected


@pytest.mark.parametrize("where", STEPS)
def test_killed_at_each_step_it_tells_the_same_and_once(tmp_path, undisturbed, where):
    told, expected = undisturbed
    chance = random.Random(where)

    class Fragile(Quick):
        def __getattribute__(self, name):
            if name == where and chance.random() < 0.3:
                raise KilledError
            return super().__getattribute__(name)

    sinks = receivers()
    assert play(tmp_path / "killed.sqlite", told, sinks, Fragile) > 5
    same(sinks, expected)
    if where in DECIDING:
        assert not any(sink.again for sink in sinks.values())


def test_killed_between_delivery_and_the_word_of_it_a_key_comes_again_and_is_known(
    tmp_path, undisturbed
):
    told, expected = undisturbed
    sinks, chance = receivers(), random.Random(3)

    def kill():
        if chance.random() < 0.2:
            raise KilledError

    for sink in sinks.values():
        sink.kill = kill
    assert play(tmp_path / "killed.sqlite", told, sinks) > 10
    same(sinks, expected)
    assert any(sink.again for sink in sinks.values())


@pytest.mark.parametrize("seed", [1])
def test_killed_at_random_a_hundred_times_nothing_is_lost_or_told_twice(tmp_path, seed):
    told, chance, kills = story(seed, 3 * KILLS), random.Random(seed), 0
    expected = straight(tmp_path / "straight.sqlite", told)

    def maybe():
        nonlocal kills
        if kills < KILLS and chance.random() < 0.05:
            kills += 1
            raise KilledError

    class Fragile(Quick):
        def __getattribute__(self, name):
            if name in STEPS:
                maybe()
            return super().__getattribute__(name)

    sinks = receivers()
    for sink in sinks.values():
        sink.kill = maybe
    assert play(tmp_path / "killed.sqlite", told, sinks, Fragile) == KILLS
    same(sinks, expected)


@effort(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), every=st.integers(2, 9))
def test_any_story_told_with_any_kills_is_the_same(tmp_path, seed, every):
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    told, chance = story(seed, 12), random.Random(every)
    expected = straight(folder / "straight.sqlite", told)

    class Fragile(Quick):
        def __getattribute__(self, name):
            if name in STEPS and chance.random() < 0.3 / every:
                raise KilledError
            return super().__getattribute__(name)

    sinks = receivers()
    play(folder / "killed.sqlite", told, sinks, Fragile)
    same(sinks, expected)


def test_every_notice_is_a_document_of_its_schema(tmp_path):
    for held in straight(tmp_path / "straight.sqlite", story(9, 40)).values():
        for (name, revision), document in held.items():
            notice = from_json(Notice, document)
            assert (notice.notice_id, notice.revision) == (name, revision)
            assert notice.incidents


def test_a_destination_that_is_down_for_a_day_loses_nothing_and_keeps_the_order(tmp_path):
    told = story(10, 60)
    expected = straight(tmp_path / "straight.sqlite", told)
    sinks, clock = receivers(), ManualClock(MONDAY)
    ledger = Quick(tmp_path / "down.sqlite")
    running = notifier(ledger, sinks, clock)
    slack = sinks["slack.team"]
    for stretch, documents, answer in told:
        clock.advance(stretch)
        slack.down = timedelta(hours=2) < clock.now() - MONDAY < timedelta(hours=26)
        add(ledger, *documents)
        with ledger.transaction():
            if answer is not None:
                (ledger.put_ack if hasattr(answer, "incident_id") else ledger.put_silence)(answer)
        running.step()
        if slack.down:
            assert running.problem == "slack.team: slack.team is down"
    slack.down = False
    while running.outstanding:
        running.step()
    same(sinks, expected)
    assert ledger.outbox_counts() == {}
    assert running.problem is None
    ledger.close()


def test_a_first_start_on_an_old_ledger_tells_what_goes_on_and_no_history(ledger, clock):
    world = World(SLACK)
    for number in range(1500):
        name = f"old-{number}"
        first = world.incident(name)
        add(ledger, first, world.incident(name, reason="resolved", state="resolved"))
    add(ledger, world.incident("inc-now"))
    sink = Receiver("slack.team")
    running = notifier(ledger, {"slack.team": sink}, clock, SLACK)
    running.step()
    assert sink.keys == [("inc-now", 1)]
    assert set(ledger.threads()["incident"]) == {"inc-now"}
    assert running.position == 3001


def test_what_a_destination_refuses_is_a_dead_letter_and_can_be_tried_again(ledger, clock):
    world, sink, metrics = World(SLACK), Receiver("slack.team"), Metrics()
    sink.refuses.add(("inc-1", 1))
    add(ledger, world.incident("inc-1"), world.incident("inc-2"))
    running = notifier(ledger, {"slack.team": sink}, clock, SLACK, metrics=metrics)
    running.step()
    (letter,) = ledger.dead()
    assert letter.detail == "slack.team refused notice inc-1 revision 1; see its own log"
    assert sink.keys == [("inc-2", 1)]
    assert [h.outcome for h in ledger.handed("inc-1")] == ["refused"]
    sink.refuses.clear()
    with ledger.transaction():
        ledger.queue([letter.seq], 5)
    assert running.outstanding
    running.step()
    assert sink.keys == [("inc-2", 1), ("inc-1", 1)]
    read = metrics.registry.get_sample_value
    assert read("outrider_dead_letters_total", {"reason": "refused_by_sink"}) == 1
    assert read("outrider_delivered_total", {"sink": "slack.team"}) == 2
    assert read("outrider_documents_total", {"kind": "notice"}) == 2


def test_what_was_handed_over_is_kept_for_each_incident(ledger, clock):
    section = SLACK | {"group_by": ["tenant"]}
    world, sink = World(section), Receiver("slack.team")
    add(ledger, world.incident("inc-1"), world.incident("inc-2"))
    running = notifier(ledger, {"slack.team": sink}, clock, section)
    running.step()
    clock.advance(timedelta(seconds=30))
    running.step()
    for name in ("inc-1", "inc-2"):
        (handed,) = ledger.handed(name)
        assert (handed.sink, handed.reason, handed.outcome) == ("slack.team", "opened", "accepted")
        assert handed.settled == to_us(clock.now())
    clock.advance(timedelta(days=401))
    running.step()
    assert [(h.revision, h.reason) for h in ledger.handed("inc-1")] == [(2, "reminder")]


def test_a_full_disk_decides_nothing_and_the_next_step_does(ledger, clock):
    world, sink = World(SLACK), Receiver("slack.team")
    running = notifier(ledger, {"slack.team": sink}, clock, SLACK)
    running.step()
    add(ledger, *(world.incident(f"inc-{n}", headline="x" * 4000) for n in range(30)))
    ledger.limit_pages(ledger.size())
    with pytest.raises(RetriableError, match="cannot write"):
        running.step()
    assert sink.keys == []
    ledger.limit_pages(2**30)
    running.step()
    assert len(sink.keys) == 30


def test_without_destinations_nothing_is_remembered(ledger, clock):
    add(ledger, World().incident())
    running = notifier(ledger, {}, clock, {})
    assert not running.step()
    assert ledger.threads() == {}
    assert running.settled > 10**9
    assert not running.outstanding


def test_notices_for_a_destination_that_is_gone_are_dropped_with_a_word(ledger, clock):
    world, sinks = World(SLACK), receivers(("slack.team", "email.list"))
    sinks["email.list"].down = True
    add(ledger, world.incident())
    section = everything("slack.team", "email.list")
    notifier(ledger, sinks, clock, section).step()
    assert ledger.outbox_counts() == {"email.list": 1}
    running = notifier(ledger, {"slack.team": sinks["slack.team"]}, clock, SLACK)
    running.step()
    assert ledger.outbox_counts() == {}
    assert {h.sink: h.outcome for h in ledger.handed("inc-1")} == {
        "email.list": "dropped",
        "slack.team": "accepted",
    }


def test_a_slow_destination_holds_up_nobody_else(ledger, clock):
    world, quick, let_go = World(SLACK), Receiver("slack.team"), threading.Event()

    class Slow:
        def deliver(self, documents):
            assert let_go.wait(30)
            return Delivery([(d["notice_id"], d["revision"]) for d in documents])

    add(ledger, world.incident())
    section = everything("slack.team", "email.list")
    with ThreadPoolExecutor(2) as pool:
        sinks = {"email.list": Slow(), "slack.team": quick}
        running = notifier(ledger, sinks, clock, section, pool=pool)
        while not quick.keys:
            running.step()
        assert ledger.outbox_counts()["email.list"] == 1
        let_go.set()
        running.last()
    assert ledger.outbox_counts() == {}


def test_a_ledger_that_follows_topics_serves_as_well(tmp_path, clock):
    ledger, world = FollowedLedger(tmp_path / "followed.sqlite"), World(SLACK)
    sink = Receiver("slack.team")
    running = notifier(ledger, {"slack.team": sink}, clock, SLACK)
    first = world.incident()
    add(ledger, first)
    running.step()
    add(ledger, first, world.incident(reason="resolved", state="resolved"))
    running.step()
    assert sink.keys == [("inc-1", 1), ("inc-1", 2)]
    ledger.close()


def test_what_is_no_incident_in_a_topic_is_left_out(ledger, clock):
    world, sink = World(SLACK), Receiver("slack.team")
    odd = [
        world.incident("odd-1") | {"severity": "huge"},
        world.incident("odd-2") | {"published_at": "yesterday"},
        world.incident("odd-3") | {"clients": None},
        world.incident("odd-4") | {"onset_at": 7},
    ]
    add(ledger, *odd, world.incident("inc-1"))
    notifier(ledger, {"slack.team": sink}, clock, SLACK).step()
    assert sink.keys == [("inc-1", 1)]
