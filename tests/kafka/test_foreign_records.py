"""Records in the events of a real broker that no part of the program has written."""

from __future__ import annotations

import structlog

from pipeline.model.clock import SystemClock
from pipeline.runtime.kafka.client import Topics, producer
from pipeline.runtime.kafka.detect import Detector
from pipeline.runtime.kafka.letters import read_letters
from pipeline.runtime.kafka.states import held_on, home
from pipeline.runtime.live.messages import Kind, Message, pack_events
from pipeline.runtime.metrics import Metrics
from tests.live.small_tenant import HOUR, MONDAY, SETTINGS, table, usual

CLOCK = Message("t", Kind.CLOCK, MONDAY).headers()
DEEP = b"[" * 200_000
FOREIGN = [
    {"key": None, "value": b"x"},
    {"key": None, "headers": CLOCK, "value": b""},
    {"key": b"", "headers": CLOCK},
    {"key": b"\xff", "headers": CLOCK},
    {"key": b"t\0ground", "headers": CLOCK},
    {"key": b"t", "headers": [("kind", b"advisories")], "value": DEEP},
    {"key": b"t", "headers": [("kind", b"feed")], "value": DEEP},
]


def test_a_worker_buries_what_is_none_of_ours_and_goes_on(config):
    good = Message("t", Kind.EVENTS, MONDAY + 3 * HOUR, pack_events(table(usual(2))))
    ours = {"key": b"t", "value": good.body, "headers": good.headers()}
    place = home("t", config.partitions)
    writer = producer(config, f"{config.prefix}-test")
    writer.begin_transaction()
    for record in [*FOREIGN, ours]:
        writer.send(Topics(config.prefix).events, partition=place, **record)
    writer.commit_transaction()
    writer.close()
    worker = Detector(
        config, SETTINGS, "w", clock=SystemClock(), metrics=Metrics(), log=structlog.get_logger()
    )
    for _ in range(200):
        worker.step()
        if worker.partitions and len(read_letters(config)) == len(FOREIGN):
            break
    worker.stop()
    letters = read_letters(config)
    assert [d.reason for d in letters] == ["unreadable_message"] * len(FOREIGN)
    assert [d.place.rpartition(" ")[2] for d in letters] == [str(n) for n in range(len(FOREIGN))]
    assert held_on(config, "t").behind == 0
