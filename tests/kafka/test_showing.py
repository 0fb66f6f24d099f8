"""What workers show arrives in a followed ledger: the same as an embedded run of the same logs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.ledger.reading import Reader
from pipeline.ledger.store import Ledger
from pipeline.model.clock import SystemClock
from pipeline.runtime.kafka.client import Topics, producer
from pipeline.runtime.kafka.collect import Collector
from pipeline.runtime.kafka.detect import Detector
from pipeline.runtime.kafka.topics import wanted
from pipeline.runtime.kafka.view import pack, unpack
from pipeline.runtime.live.answering import answer
from pipeline.runtime.live.messages import UnreadableMessageError
from pipeline.runtime.live.showing import Part
from pipeline.runtime.metrics import Metrics
from tests.kafka.publishing import LOG, follower, until
from tests.live import test_showing as small
from tests.live.small_tenant import SETTINGS


def detector(config, name="worker-1"):
    return Detector(config, SETTINGS, name, clock=SystemClock(), metrics=Metrics(), log=LOG)


def collect(config):
    collector = Collector(
        config,
        "files",
        {"logs": small.Logs()},
        feeds={"feed": small.Feed()},
        unnamed=lambda: "t",
        clock=SystemClock(),
        metrics=Metrics(),
    )
    while not collector.finished:
        collector.step()
    collector.close()


def follow(config, ledger, metrics=None):
    one = follower(config, ledger, metrics)
    until(lambda: one.caught_up, one.step)
    one.close()
    while answer(ledger, LOG):
        pass


def test_what_workers_show_is_what_an_embedded_run_shows(config, ledger, tmp_path):
    collect(config)
    # The first worker ends in the middle; the second one goes on from its state.
    first = detector(config)
    for _ in range(4):
        first.step()
    first.close()
    second = detector(config, "worker-2")
    idle = 0
    while idle < 8:
        idle = 0 if second.step() else idle + 1
    second.stop()
    follow(config, ledger)
    own = Ledger(tmp_path / "ledger.sqlite")
    small.play(small.loop(own), own)
    found, wanted = (small.views(Reader(held.path)) for held in (ledger, own))
    assert found["hours"]
    assert {k: v for k, v in found.items() if k != "sources"} == {
        k: v for k, v in wanted.items() if k != "sources"
    }
    (there,), (here,) = found["sources"], wanted["sources"]
    assert (there.tenant, there.at, there.feeds) == (here.tenant, here.at, here.feeds)
    assert [(g.source, g.completeness) for g in there.logs] == [
        (g.source, g.completeness) for g in here.logs
    ]
    own.close()


def test_what_is_nothing_to_show_is_left_out_and_stops_nobody(config, ledger):
    topics, metrics = Topics(config.prefix), Metrics()
    good = Part("watched", "", {"day": 1, "effects": [["exchange_online", "owa", 0.2]]})
    odd = [
        Part("watched", "", {"day": 1, "effects": [["exchange_online", {"a": 1}, 0.2]]}),
        Part("hour", "3600", {"hour": 3600, "lanes": [["a", "b"]], "gaps": []}),
        Part("now", "", {"at": "soon"}),
        Part("nothing", "", {}),
    ]
    writer = producer(config, "writer")
    writer.begin_transaction()
    bad = [m for n, p in enumerate(odd) for m in pack(f"t{n}", [p], set())]
    for key, value in [*pack("t", [good], set()), *bad, (b"t\0now\0", b"no zstd"), (b"", b"")]:
        writer.send(topics.view, key=key, value=value, partition=0)
    writer.commit_transaction()
    writer.close()
    follow(config, ledger, metrics)
    rows = ledger._db.execute("SELECT tenant, client, effect FROM watched").fetchall()
    assert rows == [("t", "owa", 0.2)]
    assert ledger._db.execute("SELECT count(*) FROM lanes").fetchone() == (0,)
    read = metrics.registry.get_sample_value
    assert read("outrider_dead_letters_total", {"reason": "unreadable_message"}) == 6


def test_a_version_of_an_advisory_stands_once_in_a_partition():
    parts = [Part("advisory", "EX1/a", {"id": "EX1"}), Part("heard", "EX1/a", {"id": "EX1"})]
    told = set()
    first, second = (list(pack(t, parts, told)) for t in ("t", "u"))
    assert [unpack(*m).tenant for m in first] == ["", "t"]
    assert [unpack(*m).part.what for m in second] == ["heard"]
    with pytest.raises(UnreadableMessageError, match="nothing to show"):
        unpack(b"\0advisory\0EX1", None)


def test_the_topic_forgets_what_the_timeline_does(config):
    view = wanted(config)[Topics(config.prefix).view]
    assert view["cleanup.policy"] == "compact,delete"
    assert timedelta(milliseconds=int(view["retention.ms"])) == timedelta(days=90)
