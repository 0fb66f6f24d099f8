"""Event Hubs through its Kafka endpoint, on a real broker: each record once."""

from __future__ import annotations

import gzip
import itertools
import json
import time
from collections import Counter
from datetime import timedelta

import pytest
from kafka import KafkaProducer

from connectors.sources.event_hubs import EventHubs
from connectors.sources.event_hubs_login import KeyLogin
from pipeline.model.clock import ManualClock
from pipeline.model.errors import RetriableError
from tests.contracts.source_checks import SOURCE_CHECKS, SourceCase
from tests.live_sources.bounded import UntilQuiet
from tests.live_sources.hub_reading import NOW, everything, ms, refusal
from tests.services import diagnostics as d
from tests.services.event_hubs import Namespace, connection_string

_names = itertools.count()


def test_after_each_single_poll_a_new_process_goes_on_without_loss_or_repetition(
    namespace, hub, reader
):
    other = f"insights-logs-noninteractiveusersigninlogs-{next(_names)}"
    namespace.make(other, 3)
    spots = [(hub, 0), (hub, 1), (other, 0), (other, 1), (other, 2)]
    for number, (name, partition) in enumerate(spots):
        first = 1000 * number
        namespace.send(
            name, [d.page(range(n, n + 3)) for n in range(first, first + 90, 3)], partition
        )
    polls, cursor = [], None
    while not polls or polls[-1].received:
        source = reader(hub, other, most_records=70)
        poll = source.poll(cursor)
        assert poll.received <= 72, "a poll ends with the message that fills it"
        assert source.poll(cursor).cursor == poll.cursor, "the same again from the same cursor"
        source.close()
        polls.append(poll)
        cursor = json.loads(json.dumps(poll.cursor))
    expected = [1000 * n + i for n in range(len(spots)) for i in range(90)]
    assert Counter(d.numbers_of(polls)) == Counter(expected)
    assert len(polls) > 6
    assert polls[-1].complete_to == NOW


def test_what_is_sent_while_it_is_read_comes_once(namespace, hub, reader):
    source, polls, cursor = reader(hub), [], None
    for number in range(12):
        namespace.send(hub, [d.page([2 * number, 2 * number + 1])], number % 2)
        poll = source.poll(cursor)
        polls.append(poll)
        cursor = poll.cursor
    polls += everything(source, cursor)
    assert sorted(d.numbers_of(polls)) == list(range(24))


def test_a_partition_that_is_added_is_read_from_its_start(namespace, hub, reader):
    namespace.send(hub, [d.page([1])])
    source = reader(hub)
    cursor = everything(source)[-1].cursor
    client = namespace.administrator()
    client.create_partitions({hub: 3})
    client.close()
    namespace.send(hub, [d.page([2, 3])], 2)
    source.close()
    polls = everything(reader(hub), cursor)
    assert sorted(d.numbers_of(polls)) == [2, 3]
    assert polls[-1].cursor["partitions"][f"{hub}/2"]["next"] == 1


def test_nothing_is_asked_that_event_hubs_does_not_know_and_no_hub_is_made(namespace, hub, reader):
    namespace.send(hub, [d.page([1])])
    reader(hub).poll(None)
    fetch, offsets, metadata, handshake, versions, authenticate = 1, 2, 3, 17, 18, 36
    wanted = {fetch, offsets, metadata, handshake, versions, authenticate}
    assert set(namespace.door.asked) == wanted, "no group is joined and nothing is committed"
    assert namespace.door.asked[versions] <= 3
    assert not namespace.door.made


def test_a_broker_that_is_restarted_loses_nothing(tmp_path, reader):
    own = Namespace(tmp_path)
    own.start()
    own.make("hub")
    own.send("hub", [d.page([n]) for n in range(40)])
    options = {"address": own.address, "ca_file": own.certificates.ca_file}
    source = reader("hub", most_records=15, **options)
    polls = [source.poll(None)]
    own.kill()
    began = time.monotonic()
    message = refusal(RetriableError, source, polls[0].cursor)
    assert f"Event Hubs at {own.address}" in message
    assert time.monotonic() - began < 25
    own.start()
    own.send("hub", [d.page([n]) for n in range(40, 50)])
    polls += everything(source, polls[0].cursor)
    assert sorted(d.numbers_of(polls)) == list(range(50))
    own.end()


# What messages hold.


def test_pages_arrays_and_single_records_are_all_read(namespace, hub, reader):
    records = [d.record(n) for n in range(6)]
    bodies = [
        json.dumps({"records": records[:2]}),
        json.dumps(records[2:4]),
        json.dumps(records[4]),
        json.dumps(records[5]) + "\n",
    ]
    namespace.send(hub, [body.encode() for body in bodies])
    polls = everything(reader(hub))
    assert sorted(d.numbers_of(polls)) == list(range(6))


def test_sign_ins_of_machines_are_counted_and_left_out(namespace, hub, reader):
    machines = [d.machine(n) for n in range(3)]
    machines += [d.machine(n, "ManagedIdentitySignInLogs") for n in range(3, 5)]
    body = json.dumps({"records": [*machines, d.record(9)]}).encode()
    namespace.send(hub, [body])
    poll = reader(hub).poll(None)
    assert (poll.received, poll.ignored, d.numbers_of([poll])) == (6, 5, [9])


def test_damaged_messages_become_rejects_with_their_place(namespace, hub, reader):
    good = d.page([1])
    cut = d.page([2, 3])[:-40]
    odd = json.dumps({"records": [d.record(4), {"id": d.v.USER}]}).encode()
    bodies = [good, b"\x00\x01\xff", cut, b"", odd, gzip.compress(d.page([5])), d.page([6])]
    namespace.send(hub, bodies, partition=1)
    poll = reader(hub).poll(None)
    assert d.numbers_of([poll]) == [1, 4, 6]
    assert {reject.path for reject in poll.rejects} == {f"event_hubs {hub}/1"}
    assert sorted({reject.offset for reject in poll.rejects}) == [1, 2, 3, 4, 5]
    assert [r.record for r in poll.rejects if r.offset == 4] == [1]
    assert poll.received == 3 + len(poll.rejects)
    assert not [word for word in d.PERSONAL if word in repr(poll.rejects)]


def test_records_arrive_when_their_message_was_enqueued(namespace, hub, reader):
    enqueued = d.START + timedelta(minutes=9)
    later = d.START + timedelta(minutes=11)
    namespace.send(hub, [(d.page([1, 2]), ms(enqueued)), (d.page([3]), ms(later))])
    poll = reader(hub).poll(None)
    (table,) = poll.batches
    arrived = dict(zip(d.numbers_of([poll]), table["received_time"].to_pylist(), strict=True))
    assert arrived == {1: enqueued, 2: enqueued, 3: later}
    assert poll.read_at is None


# The list of checks of every source.


@pytest.fixture(scope="module")
def case(one_namespace):
    """A hub with good, damaged and ignored records, read a few at a time."""
    namespace, name = one_namespace, "insights-logs-of-the-case"
    namespace.make(name)
    for partition in (0, 1):
        first = 100 * partition
        bodies = [d.page([first + n, first + n + 1]) for n in range(0, 10, 2)]
        bodies.insert(2, b'{"records": [' + json.dumps({"id": d.v.USER}).encode() + b"]}")
        bodies.append(json.dumps(d.machine(first + 50)).encode())
        namespace.send(name, bodies, partition)
    made = []

    def make():
        while made:  # one at a time; a check is done with the last one
            made.pop().close()
        made.append(
            EventHubs(
                namespace.address,
                KeyLogin(connection_string),
                d.SETTINGS,
                hubs=[name],
                ca_file=namespace.certificates.ca_file,
                clock=ManualClock(NOW),
                most_records=4,
            )
        )
        return UntilQuiet(made[0])

    yield SourceCase(make=make, events=20, ignored=2, rejects=2, secrets=d.PERSONAL)
    while made:
        made.pop().close()


@pytest.mark.parametrize("check", SOURCE_CHECKS, ids=lambda c: c.__name__)
def test_source(case, check):
    check(case)


def test_gaps_between_messages_are_passed(namespace, hub, reader):
    writer = KafkaProducer(bootstrap_servers=namespace.servers, transactional_id=f"t-{hub}")
    writer.init_transactions()
    for number in range(3):
        writer.begin_transaction()
        writer.send(hub, value=d.page([number]), partition=0)
        writer.commit_transaction()  # leaves a mark in the partition, which is no message
    writer.close()
    polls = everything(reader(hub))
    assert d.numbers_of(polls) == [0, 1, 2]
    assert polls[-1].cursor["partitions"][f"{hub}/0"]["next"] == 6
