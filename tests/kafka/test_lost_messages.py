"""Messages that the broker removes while no worker comes: counted, told, and that once."""

from __future__ import annotations

import pytest
from kafka import TopicPartition

from pipeline.model.clock import SystemClock
from pipeline.runtime.kafka.client import Topics, admin, producer
from pipeline.runtime.kafka.detect import Detector
from pipeline.runtime.live.reading import event_messages
from pipeline.runtime.metrics import Metrics
from tests.kafka.publishing import LOG, until
from tests.live.small_tenant import HOUR, MONDAY, SETTINGS, table, usual

PLACE = 0


def send(config, hour, count):
    (message,) = event_messages([table(usual(hour))], "t", MONDAY + (hour + 1) * HOUR)
    writer = producer(config, "collector")
    writer.begin_transaction()
    for _ in range(count):
        writer.send(
            Topics(config.prefix).events,
            key=b"t",
            value=message.body,
            headers=message.headers(),
            partition=PLACE,
        )
    writer.commit_transaction()
    writer.close()


def remove(config):
    """As retention does with what is too old: all that is there."""
    operator = admin(config)
    operator.delete_records({TopicPartition(Topics(config.prefix).events, PLACE): -1})
    operator.close()


def worked(config):
    """What a worker says is lost that works all there is off, and stops."""
    metrics = Metrics()
    worker = Detector(config, SETTINGS, "worker", clock=SystemClock(), metrics=metrics, log=LOG)
    lag = {"sink": "", "partition": str(PLACE)}
    told = metrics.registry.get_sample_value
    until(lambda: told("outrider_lag_messages", lag) == 0, worker.step)
    worker.stop()
    return told("outrider_unseen_messages_total")


@pytest.fixture
def config(config):
    """A worker has taken everything that had come, and ended."""
    send(config, 0, 3)
    assert worked(config) == 0
    return config


def test_what_was_removed_before_a_worker_came_is_told_once(config):
    send(config, 1, 5)
    remove(config)
    # The mark of the transaction before stands behind what was taken: it may be a message, too.
    assert worked(config) in {5, 6}
    assert worked(config) == 0


def test_it_is_told_when_the_broker_has_forgotten_the_group_as_well(config):
    send(config, 1, 5)
    remove(config)
    operator = admin(config)
    operator.delete_groups([f"{config.prefix}-detect"])
    operator.close()
    assert worked(config) in {5, 6}
    assert worked(config) == 0


def test_the_mark_of_a_transaction_alone_is_no_message(config):
    remove(config)
    assert worked(config) == 0


def test_what_comes_after_is_taken_as_ever(config):
    send(config, 1, 5)
    remove(config)
    send(config, 2, 1)
    assert worked(config) in {5, 6}
    assert worked(config) == 0
