"""A small stream of three tenants, whoever works on it, and what came of it."""

from __future__ import annotations

import json
import time
from collections import Counter

import structlog
from kafka import TopicPartition

from pipeline.model.clock import SystemClock
from pipeline.model.contracts import Poll
from pipeline.runtime.kafka.client import Topics, consumer
from pipeline.runtime.kafka.collect import Collector
from pipeline.runtime.kafka.detect import Detector
from pipeline.runtime.metrics import Metrics
from tests.live.small_tenant import HOUR, LEARNED, MONDAY, SETTINGS, outage, table, usual

TENANTS = [f"tenant-{n}" for n in range(3)]
HOURS = LEARNED + 9
WARM_UP = 96


def rows_of(number, hour):
    bad = hour - LEARNED in {2 + number % 2, 3 + number % 3}
    return usual(hour + 24 * number) if not bad else usual(hour) + outage(hour, share=0.5)


def events_of(number, start, until):
    rows = [r for h in range(start, until) for r in at_hour(number, h)]
    made = table(rows)
    at = made.schema.get_field_index("tenant")
    values = made.column("tenant").combine_chunks()
    renamed = type(values).from_arrays(values.indices, [TENANTS[number]])
    return made.set_column(at, made.schema.field(at), renamed)


def at_hour(number, hour):
    return [(hour * 60 + r[0] % 60, *r[1:]) for r in rows_of(number, hour)]


# A day a poll while the baseline is learned, three hours in what is asked about.
EDGES = [*range(0, LEARNED + 1, 24), *range(LEARNED + 3, HOURS + 1, 3)]


class Logs:
    """A bounded source: one stretch of one tenant a poll."""

    def poll(self, cursor):
        at = 0 if cursor is None else cursor["at"]
        stretch, number = divmod(at, len(TENANTS))
        if stretch + 1 >= len(EDGES):
            return Poll((), (), {"at": at}, finished=True)
        start, until = EDGES[stretch : stretch + 2]
        batch = events_of(number, start, until)
        return Poll((batch,), (), {"at": at + 1}, read_at=MONDAY + until * HOUR)


def collector_of(config):
    return Collector(
        config,
        "logs",
        {"logs": Logs()},
        feeds={},
        unnamed=lambda: "t",
        clock=SystemClock(),
        metrics=Metrics(),
    )


def send_all(config):
    collector = collector_of(config)
    while not collector.finished:
        collector.step()
    collector.close()


def worker(config, name):
    return Detector(
        config,
        SETTINGS,
        name,
        clock=SystemClock(),
        metrics=Metrics(),
        log=structlog.get_logger(),
    )


def read_all(config, topic):
    reader = consumer(config)
    places = [TopicPartition(topic, n) for n in range(config.partitions)]
    reader.assign(places)
    reader.seek_to_beginning(*places)
    ends = reader.end_offsets(places)
    found = []
    until = time.monotonic() + 20
    while any(reader.position(p) < ends[p] for p in places):
        assert time.monotonic() < until, "an open transaction hides the end of the topic"
        for records in reader.poll(timeout_ms=100).values():
            found += records
    reader.close()
    return found


def told(config):
    return [json.loads(r.value) for r in read_all(config, Topics(config.prefix).flags)]


def finals(documents):
    newest = {d["flag_id"]: d["state"] for d in documents}
    return {k: s for k, s in newest.items() if s != "retracted"}


def each_once(documents):
    seen = Counter((d["flag_id"], d["revision"]) for d in documents)
    assert set(seen.values()) <= {1}
    newest = Counter(d["flag_id"] for d in documents)
    assert all((k, r) in seen for k, n in newest.items() for r in range(1, n + 1))


def done(config, seconds=60):
    """Wait until the group has consumed everything."""
    topic = Topics(config.prefix).events
    reader = consumer(config, group_id=f"{config.prefix}-detect")
    places = [TopicPartition(topic, n) for n in range(config.partitions)]
    ends = reader.end_offsets(places)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            stood = {p: reader.committed(p) or 0 for p in places}
            # The last offset of a partition is the mark of a transaction.
            if all(stood[p] >= ends[p] - 1 for p in places):
                return True
            time.sleep(0.2)
    finally:
        reader.close()
    return False
