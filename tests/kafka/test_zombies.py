"""Workers that stood still while others took over, and two that think they are the same one."""

from __future__ import annotations

import threading
import time

import pytest

from pipeline.model.errors import FatalError, RetriableError
from pipeline.runtime.live.engine import Engine
from tests.kafka.publishing import fresh, until
from tests.kafka.stream import done, each_once, send_all, told, worker


@pytest.fixture
def config(cluster):
    return fresh(cluster, snapshot_rows=3000)


def all_taken(config, one):
    """Let a worker take and commit everything, and judge nothing yet."""
    taken = threading.Event()
    watcher = threading.Thread(target=lambda: done(config) and taken.set())
    watcher.start()
    until(taken.is_set, one.step)
    watcher.join()


def test_who_tells_without_having_moved_is_refused_once_another_has_taken_over(config, monkeypatch):
    send_all(config)
    due = Engine.due
    monkeypatch.setattr(Engine, "due", lambda *_, **__: [])
    first = worker(config, "first")
    all_taken(config, first)
    # It stands still, and says nothing to its group any more.
    first._consumer._coordinator._disable_heartbeat()
    second = worker(config, "second")
    until(lambda: len(second.partitions) == config.partitions, second.step)
    monkeypatch.setattr(Engine, "due", due)
    until(lambda: told(config), second.step)
    before = told(config)
    # It goes on behind a poll that brought nothing.
    monkeypatch.setattr(first._consumer, "poll", lambda **_: {})
    with pytest.raises(RetriableError):
        first.step()
    second.close()
    assert told(config) == before
    each_once(before)


def test_of_two_workers_of_one_name_the_older_ends(config):
    send_all(config)
    first, second = worker(config, "same"), worker(config, "same")
    until(lambda: first.partitions, first.step)
    ended = []

    def work():
        try:
            while not ended:
                first.step()
        except FatalError as error:
            ended.append(str(error))

    older = threading.Thread(target=work)
    older.start()
    ends = time.monotonic() + 30
    while not ended and time.monotonic() < ends:
        second.step()
    older.join(10)
    assert ended == ["another worker named 'same' has taken over; give each a name of its own"]
    until(lambda: len(second.partitions) == config.partitions, second.step)
    first.close()
    second.close()
