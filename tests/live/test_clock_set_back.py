"""A machine's clock that is set back, by hours in places, stops nothing until it is there again."""

from __future__ import annotations

from datetime import timedelta

from pipeline.model.clock import ManualClock
from pipeline.model.contracts import Poll
from pipeline.model.errors import RetriableError
from pipeline.model.feed import FeedState
from pipeline.runtime.live.messages import Kind
from pipeline.runtime.live.reading import Reading
from tests.live.small_tenant import table, usual
from tests.live.test_feeds import MINUTE, NOON, Log, Run, live


def test_a_clock_that_was_set_back_stops_no_time():
    run = Run(live(Log(range(0))))
    run.read()
    run.read(after=timedelta(hours=5))
    run.clock.advance(-timedelta(hours=5))
    ticks = [run.read(after=MINUTE / 2).messages for _ in range(4)]
    assert [[m.read_at for m in told if m.kind is Kind.CLOCK] for told in ticks] == [
        [NOON + MINUTE / 2], [], [NOON + 3 * MINUTE / 2], [],
    ]  # fmt: skip


def test_a_clock_that_was_set_back_silences_no_trouble():
    log = Log(hours=())
    log.trouble = RetriableError("no answer", retry_after=10)
    run = Run(live(log))
    before = [run.notices(run.read(after=MINUTE)) for _ in range(4)]
    run.clock.advance(-timedelta(hours=5))
    after = [run.notices(run.read(after=MINUTE)) for _ in range(6)]
    assert [len(told) for told in (*before, *after)] == [0, 0, 1, 0, 1, 0, 0, 0, 0, 1]
    notices = [n for told in (*before, *after) for n in told]
    assert {n.state for n in notices} == {FeedState.FAILING}
    assert all(n.since <= n.at and n.complete_to <= n.at for n in notices)


def test_time_goes_on_beside_a_source_that_is_at_its_end_when_the_clock_was_set_back():
    class Quiet(Log):
        def poll(self, _cursor):
            return Poll((), (), {"v": 1})

    clock = ManualClock(NOON)
    reading = Reading({"log": Quiet()}, {}, unnamed=lambda: "t", clock=clock)

    def ticks():
        harvest = reading.read({}.get, {"t"})
        reading.keep(harvest)
        return [m.read_at for m in harvest.messages]

    assert ticks() == [NOON]
    clock.advance(-timedelta(hours=5))
    assert ticks() == [NOON - timedelta(hours=5)]
    assert ticks() == []
    clock.advance(MINUTE)
    assert ticks() == [NOON - timedelta(hours=5) + MINUTE]


def test_a_replay_of_another_day_tells_no_time_again_and_again():
    class Replay(Log):
        def poll(self, cursor):
            at = (cursor or {"at": 0})["at"]
            batches = [table(usual(0))] if at == 0 else []
            return Poll(batches, (), {"v": 1, "at": at + 1}, read_at=self.day)

    past, present = Replay(), Replay()
    past.day, present.day = NOON - timedelta(days=5), NOON
    sources, cursors = {"past": past, "present": present}, {}
    reading = Reading(sources, {}, unnamed=lambda: "t", clock=ManualClock(NOON))
    told = []
    for _ in range(4):
        harvest = reading.read(cursors.get, {"t"})
        reading.keep(harvest)
        cursors |= harvest.cursors
        told.append([m.kind for m in harvest.messages])
    assert told == [[Kind.EVENTS, Kind.EVENTS], [], [], []]
