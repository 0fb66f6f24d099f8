"""Live sources into the topics: where each reads on is kept by itself, whoever else collects."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.model.clock import ManualClock
from pipeline.model.errors import ConfigError
from pipeline.runtime.kafka.collect import Collector
from pipeline.runtime.kafka.stored import read_cursors
from pipeline.runtime.live.feeds import Feeds
from pipeline.runtime.metrics import Metrics
from tests.kafka.publishing import LOG
from tests.live.test_feeds import Advisories, Log, live

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def collector(config, *sources, name="live", advisories=()):
    clock, metrics = ManualClock(NOON), Metrics()
    feeds = Feeds(
        sources, advisories, unnamed=lambda: "t", clock=clock, metrics=metrics, log=LOG, pool=None
    )
    made = Collector(
        config, name, {}, feeds={}, unnamed=lambda: "t", clock=clock, metrics=metrics, live=feeds
    )
    made.clock = clock
    return made


def test_a_collector_that_starts_anew_reads_every_source_on_where_it_stood(config):
    first, second = Log(), Log()
    made = collector(config, live(first, tenant="a"), live(second, tenant="b"))
    made.step()
    second.trouble = RuntimeError
    made.close()
    again = (Log(), Log())
    made = collector(config, *(live(s, tenant=n) for s, n in zip(again, "ab", strict=True)))
    made.step()
    made.close()
    assert [s.asked for s in again] == [[{"v": 1, "at": 1}], [{"v": 1, "at": 1}]]


def test_each_source_is_a_record_of_its_own_and_is_written_when_it_moves(config):
    quiet = Log(hours=())
    made = collector(config, live(Log(), tenant="a"), live(quiet, tenant="b"))
    for _ in range(2):
        made.clock.advance(timedelta(minutes=1))
        made.step()
    made.close()
    kept = {k: json.loads(v) for k, v in read_cursors(config).items()}
    assert kept["live/graph_signins/a"] == {"v": 1, "at": 2}
    assert kept["live/graph_signins/b"] == {"v": 1, "at": 0}
    assert kept["live"] == ["a", "b", "t"]


def test_collectors_do_not_read_each_others_places(config):
    made = collector(config, live(Log()))
    made.step()
    made.close()
    other = Log()
    made = collector(config, live(other), name="liver")
    made.step()
    made.close()
    assert other.asked == [None]


def test_who_was_given_the_advisories_is_kept_too(config):
    made = collector(config, advisories=[live(Advisories(), "service_health", "t")])
    made.step()
    made.close()
    again = Advisories()
    made = collector(config, advisories=[live(again, "service_health", "t")])
    made.step()
    made.close()
    assert again.asked == [{"v": 1, "n": 2}]


def test_a_name_with_a_slash_is_refused(config):
    with pytest.raises(ConfigError, match=r"--name a/b: write it without a slash"):
        collector(config, name="a/b")
