"""How far a namespace of Event Hubs is read, and what left it before it was."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta

import pytest

from connectors.sources import event_hubs, event_hubs_client
from pipeline.model.clock import ManualClock
from pipeline.model.errors import RetriableError
from tests.live_sources.hub_reading import NOW, everything, ms
from tests.services import diagnostics as d

_names = itertools.count()


def test_it_is_complete_up_to_the_moment_at_which_nothing_more_was_there(namespace, hub, reader):
    for partition in (0, 1):
        sent = [
            (d.page([100 * partition + n]), ms(d.START + timedelta(minutes=n))) for n in range(30)
        ]
        namespace.send(hub, sent, partition)
    clock = ManualClock(NOW)
    source = reader(hub, clock=clock, most_records=20)
    polls = everything(source)
    told = [poll.complete_to for poll in polls]
    assert told[0] is None, "of one partition nothing is known yet"
    assert told == [None, *sorted(told[1:])]
    assert d.START < told[1] < d.START + timedelta(minutes=30)
    assert told[-1] == NOW
    clock.advance(timedelta(minutes=1))
    assert source.poll(polls[-1].cursor).complete_to == NOW + timedelta(minutes=1)


def test_a_poll_is_bounded_however_much_there_is(namespace, hub, reader):
    namespace.send(hub, [d.page(range(n, n + 5)) for n in range(0, 4000, 5)])
    source = reader(hub)
    began = time.monotonic()
    poll = source.poll(None)
    assert poll.received == 5 * event_hubs._MOST_MESSAGES
    assert time.monotonic() - began < event_hubs.SECONDS + 5
    assert sorted(d.numbers_of(everything(source))) == list(range(4000))


def test_large_messages_end_a_poll_early(namespace, hub, reader, monkeypatch):
    monkeypatch.setattr(event_hubs_client, "_MOST_BYTES", 200_000)
    monkeypatch.setattr(event_hubs_client, "_AT_ONCE", 3)
    namespace.send(hub, [d.page(range(n, n + 40)) for n in range(0, 800, 40)])
    polls = everything(reader(hub))
    assert len(polls) > 3
    assert sorted(d.numbers_of(polls)) == list(range(800))


# What is lost.


def test_what_left_before_it_was_read_is_told_and_the_rest_goes_on(namespace, hub, reader):
    sent = [(d.page([n]), ms(d.START + timedelta(minutes=n))) for n in range(20)]
    namespace.send(hub, sent)
    clock = ManualClock(d.START + timedelta(minutes=25))
    source = reader(hub, clock=clock, most_records=5)
    first = source.poll(None)
    assert not first.missing
    namespace.cut_off(hub, 0, 12)
    polls = everything(source, first.cursor)
    assert d.numbers_of([first]) + d.numbers_of(polls) == [*range(5), *range(12, 20)]
    (lost,) = polls[0].missing
    assert lost.start == d.START + timedelta(minutes=4)
    assert lost.end == d.START + timedelta(minutes=12)
    assert lost.reason.startswith(f"{hub}/0: the records of this time left the hub")
    assert "longer retention" in lost.reason
    assert polls[-1].missing == polls[0].missing, "it stays told"
    clock.advance(timedelta(days=8, minutes=1))
    assert not source.poll(polls[-1].cursor).missing, "until nobody remembers those days"


def test_a_hub_that_lost_everything_says_so_up_to_now(namespace, hub, reader):
    namespace.send(hub, [(d.page([n]), ms(d.START)) for n in range(6)])
    source = reader(hub, most_records=2)
    first = source.poll(None)
    namespace.cut_off(hub, 0, 6)
    poll = source.poll(first.cursor)
    (lost,) = poll.missing
    assert (lost.start, lost.end) == (d.START, NOW)
    assert poll.cursor["partitions"][f"{hub}/0"]["next"] == 6


def test_a_hub_that_was_made_anew_is_read_from_its_start(namespace, hub, reader):
    namespace.send(hub, [d.page([n]) for n in range(5)])
    source = reader(hub)
    cursor = everything(source)[-1].cursor
    source.close()
    namespace.remove(hub)
    namespace.make(hub)
    namespace.send(hub, [(d.page([7]), ms(NOW + timedelta(hours=1)))])
    polls = everything(reader(hub), cursor)
    assert d.numbers_of(polls) == [7]
    (lost,) = polls[0].missing
    assert (lost.start, lost.end) == (NOW, NOW + timedelta(hours=1))
    assert "made anew" in lost.reason


def test_messages_that_leave_in_the_middle_of_a_poll_are_told_by_the_next(
    namespace, hub, reader, monkeypatch
):
    namespace.send(hub, [d.page([n]) for n in range(9)])
    source = reader(hub, most_records=3)
    first = source.poll(None)
    source.close()
    read = event_hubs_client.HubClient.read

    def late(self, wanted, seconds):
        namespace.cut_off(hub, 0, 6)
        return read(self, wanted, seconds)

    with monkeypatch.context() as patch:
        patch.setattr(event_hubs_client.HubClient, "read", late)
        with pytest.raises(RetriableError, match="left while they were read") as caught:
            source.poll(first.cursor)
    assert caught.value.retry_after == 0
    polls = everything(source, first.cursor)
    assert d.numbers_of(polls) == [6, 7, 8]
    assert polls[0].missing
