"""Delivering from a real broker: killed, slow, refused, shared: each revision once, in order."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import pytest
from kafka import TopicPartition
from kafka.errors import CommitFailedError, RebalanceInProgressError

from connectors.sinks.ndjson import NdjsonSink
from pipeline.model.contracts import Delivery
from pipeline.model.errors import FatalError, RetriableError
from pipeline.runtime.kafka import behind, client
from pipeline.runtime.kafka.client import Topics, admin, consumer
from pipeline.runtime.kafka.letters import letter_of
from pipeline.runtime.metrics import Metrics
from tests import warm
from tests.kafka.publishing import (
    PARTITIONS,
    deliverer,
    document,
    follower,
    in_order,
    killed_at_random,
    lines,
    start,
    stream,
    streaming,
    until,
    written,
)

KILLS = int(os.environ.get("OUTRIDER_TEST_KILLS", "10"))


class Memory:
    """A destination that answers as it is told to, then takes everything."""

    def __init__(self, *answers):
        self.answers, self.held, self.calls = list(answers), [], 0

    def deliver(self, documents):
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        keys = [(d.get("flag_id") or d["incident_id"], d["revision"]) for d in documents]
        if answer is not None:
            return answer(documents, keys, self.held)
        self.held += keys
        return Delivery(keys)


def revisions(count, name="f"):
    return [("flag", document("flag", name, n)) for n in range(1, count + 1)]


def committed(config, sink="siem"):
    """Documents that the group has committed."""
    reader = consumer(config, group_id=f"{config.prefix}-deliver-{sink}")
    topics = Topics(config.prefix)
    places = [TopicPartition(t, 0) for t in (topics.flags, topics.incidents)]
    found = {p.topic: reader.committed(p) for p in places}
    reader.close()
    return found[topics.flags], found[topics.incidents]


def dead_letters(config):
    reader = consumer(config)
    places = [TopicPartition(Topics(config.prefix).dead, n) for n in range(PARTITIONS)]
    reader.assign(places)
    reader.seek_to_beginning(*places)
    ends, found = reader.end_offsets(places), []
    until(
        lambda: all(reader.position(p) >= ends[p] for p in places),
        lambda: found.extend(r for rs in reader.poll(timeout_ms=100).values() for r in rs),
    )
    reader.close()
    return [letter_of(r) for r in found]


def test_killed_at_random_moments_each_revision_is_in_the_files_once_and_in_order(
    config, publisher, tmp_path
):
    out = tmp_path / "out"
    thread, stop = streaming(publisher)

    def progress():
        return [p.stat().st_size for p in sorted(out.glob("*.ndjson"))]

    try:
        killed_at_random(lambda: start("deliver", config, out, "a"), progress, KILLS, seed=4)
    finally:
        stop.set()
        thread.join()
    # The command goes on where the killed workers stood, and stops when it is asked to.
    arguments = ["deliver", "--out", str(out), "--name", "a"]
    arguments += ["--config", str(written(config, tmp_path / "outrider.toml"))]
    with (tmp_path / "log").open("wb") as log:
        last = warm.Popen([*warm.OUTRIDER, *arguments], stdout=log, stderr=log)
    try:
        until(lambda: len(lines(out)) >= len(publisher.sent), lambda: time.sleep(0.1))
        last.send_signal(signal.SIGTERM)
        assert last.wait(30) == 0
    finally:
        last.kill()
        last.wait()
    found = lines(out)
    assert in_order(found)
    assert sorted(found) == sorted(publisher.sent)
    told = json.loads((tmp_path / "log").read_text().splitlines()[-1])
    assert (told["event"], told["outcome"]) == ("deliver", "ok")


def test_a_destination_that_is_down_loses_nothing_and_its_worker_stays_in_the_group(
    config, publisher
):
    metrics = Metrics()
    down = [RetriableError("no answer", retry_after=0.4) for _ in range(8)]
    sink = Memory(*down)
    worker = deliverer(config, sink, metrics=metrics, session_ms=1500)
    publisher.send(*revisions(20))
    until(lambda: worker.waiting, worker.step)
    began, held = time.monotonic(), worker.partitions
    read = metrics.registry.get_sample_value
    while sink.answers:
        turned = time.monotonic()
        worker.step()
        assert time.monotonic() - turned < 1.4
        assert worker.partitions == held
        assert sink.held == []
    assert time.monotonic() - began > 1.5  # longer than the group waits for the dead
    assert read("outrider_lag_messages", {"sink": "siem", "partition": "flag/0"}) >= 20
    assert read("outrider_sink_failures_total", {"sink": "siem"}) == 8
    assert read("outrider_sink_waiting", {"sink": "siem"}) in {0, 1}
    assert committed(config)[0] is None
    until(lambda: len(sink.held) == 20, worker.step)
    assert sink.held == [("f", n) for n in range(1, 21)]
    worker.step()
    assert committed(config)[0] == 20
    worker.close()


def test_each_destination_of_a_process_is_behind_by_itself(config, publisher, ledger, monkeypatch):
    monkeypatch.setattr(behind, "_LOOK_SECONDS", 0.0)
    metrics, place = Metrics(), "flag/0"

    def lag(sink):
        told = {"sink": sink, "partition": place}
        return metrics.registry.get_sample_value("outrider_lag_messages", told)

    publisher.send(*revisions(20))
    down = Memory(RetriableError("no answer", retry_after=60))
    slow = deliverer(config, down, metrics=metrics, sink_name="slow")
    quick = deliverer(config, Memory(), metrics=metrics, sink_name="quick")
    people = follower(config, ledger, metrics, sink="people")
    until(lambda: (lag("slow") or 0) >= 20, slow.step)
    until(lambda: lag("quick") == 0, quick.step)
    until(lambda: people.caught_up, people.step)
    assert (lag("slow"), lag("quick"), lag("people"), lag("")) == (21, 0, 0, None)
    quick.close()
    people.close()
    assert (lag("slow"), lag("quick")) == (21, None)
    slow.close()
    assert lag("slow") is None


def test_a_new_destination_may_begin_with_what_comes_and_then_misses_nothing(config, publisher):
    publisher.send(*revisions(3, "before"))
    worker = deliverer(config, Memory(), history=False)
    until(lambda: len(worker.partitions) == 2 * PARTITIONS, worker.step)
    worker.step()
    worker.close()
    publisher.send(*revisions(2, "away"))
    sink = Memory()
    worker = deliverer(config, sink, history=False)
    until(lambda: len(sink.held) == 2, worker.step)
    publisher.send(*revisions(1, "since"))
    until(lambda: len(sink.held) == 3, worker.step)
    worker.close()
    assert sink.held == [("away", 1), ("away", 2), ("since", 1)]


def test_what_only_a_person_can_mend_is_waited_for_where_others_go_on(
    config, publisher, monkeypatch
):
    monkeypatch.setattr("pipeline.runtime.handing.MENDED_SECONDS", 0.2)
    publisher.send(*revisions(2))
    sink = Memory(FatalError("the token is refused"))
    worker = deliverer(config, sink, patient=True)
    until(lambda: worker.problem is not None, worker.step)
    assert worker.problem == "the token is refused"
    until(lambda: len(sink.held) == 2, worker.step)
    assert worker.problem is None
    worker.close()


def test_one_that_takes_a_few_at_a_time_gets_all_in_order_and_starves_no_partition(
    config, publisher
):
    def few(_documents, keys, held):
        held += keys[:3]
        return Delivery(keys[:3], retry_after=0.02)

    for partition in range(PARTITIONS):
        publisher.send(*revisions(12, f"f{partition}"), partition=partition)
    sink = Memory(*[few] * 100)
    worker = deliverer(config, sink)
    until(lambda: len(sink.held) >= 24, lambda: worker.step(20))
    assert {name for name, _ in sink.held} == {f"f{n}" for n in range(PARTITIONS)}
    until(lambda: len(sink.held) >= 48, lambda: worker.step(20))
    worker.close()
    assert sorted(sink.held) == sorted((f"f{p}", n) for p in range(4) for n in range(1, 13))
    for partition in range(PARTITIONS):
        own = [n for name, n in sink.held if name == f"f{partition}"]
        assert own == sorted(own)


def test_what_is_refused_goes_to_the_dead_topic_once_and_holds_up_nothing(config, publisher):
    def refuse(_documents, keys, held):
        held += [keys[0], *keys[2:]]
        return Delivery([keys[0], *keys[2:]], rejected=[keys[1]])

    publisher.send(*revisions(5))
    sink, metrics = Memory(refuse), Metrics()
    worker = deliverer(config, sink, metrics=metrics)
    until(lambda: len(sink.held) == 4, worker.step)
    worker.step()
    worker.close()
    assert committed(config)[0] == 5
    (letter,) = dead_letters(config)
    assert (letter.reason, letter.sink, letter.kind) == ("refused_by_sink", "siem", "document")
    assert json.loads(letter.body) == document("flag", "f", 2)
    assert "offset 1" in letter.place
    count = metrics.registry.get_sample_value
    assert count("outrider_dead_letters_total", {"reason": "refused_by_sink"}) == 1
    assert count("outrider_delivered_total", {"sink": "siem"}) == 4


def test_a_commit_that_a_rebalance_refuses_is_made_by_the_next_step(config, publisher, monkeypatch):
    def refuse(_documents, keys, held):
        held += keys[1:]
        return Delivery(keys[1:], rejected=keys[:1])

    publisher.send(*revisions(3))
    sink, refusals = Memory(refuse), [CommitFailedError(), RebalanceInProgressError()]
    worker = deliverer(config, sink)
    bury = worker._bury

    def refused(letters, offsets):
        if refusals:
            raise refusals.pop()
        bury(letters, offsets)

    monkeypatch.setattr(worker, "_bury", refused)
    until(lambda: committed(config)[0] == 3, worker.step)
    worker.close()
    assert sink.calls == 1
    assert [d.place[-8:] for d in dead_letters(config)] == ["offset 0"]


def test_what_is_no_document_goes_there_too_and_never_to_the_destination(config, publisher):
    poison = [b"no json", b'{"flag_id": "f"}', b'{"flag_id": "f", "revision": NaN}', b"\xff"]
    poison += [b'{"flag_id": "\\ud800", "revision": 1}', b"[" * 100_000, b""]
    publisher.send(*[("flag", p) for p in poison], *revisions(2))
    sink = Memory()
    worker = deliverer(config, sink)
    until(lambda: len(sink.held) == 2, worker.step)
    worker.step()
    worker.close()
    assert committed(config)[0] == len(poison) + 2
    letters = dead_letters(config)
    assert {d.reason for d in letters} == {"unreadable_message"}
    assert [d.body for d in letters] == poison


def test_a_record_for_one_destination_goes_to_no_other(config, publisher):
    publisher.send(*revisions(1))
    publisher.send(*revisions(1, "again"), headers=[("sink", b"siem")])
    publisher.send(*revisions(1, "other"), headers=[("sink", b"pager")])
    sink = Memory()
    worker = deliverer(config, sink)
    until(lambda: len(sink.held) == 2, worker.step)
    assert sink.held == [("f", 1), ("again", 1)]
    until(lambda: (committed(config)[0] or 0) >= 5, worker.step)
    worker.close()


def test_two_workers_share_a_folder_and_one_takes_over_when_the_other_dies(
    config, publisher, tmp_path
):
    stop = threading.Event()
    workers = {
        name: deliverer(config, NdjsonSink(tmp_path), name, session_ms=1500) for name in "ab"
    }
    most = dict.fromkeys(workers, 0)

    def work(name):
        worker = workers[name]
        while not stop.is_set() and name in workers:
            worker.step(50)
            most[name] = max(most[name], len(worker.partitions))
        worker.close()

    threads = {name: threading.Thread(target=work, args=(name,)) for name in workers}
    for thread in threads.values():
        thread.start()
    try:
        stream(publisher, threading.Event(), revisions=5)
        until(lambda: min(most.values()) == PARTITIONS, lambda: time.sleep(0.05))
        del workers["b"]  # it is not seen again
        threads["b"].join()
        stream_again(publisher)
        until(lambda: len(lines(tmp_path)) >= len(publisher.sent), lambda: time.sleep(0.05))
    finally:
        stop.set()
        for thread in threads.values():
            thread.join()
    found = lines(tmp_path)
    assert in_order(found)
    assert sorted(found) == sorted(publisher.sent)


def stream_again(publisher):
    for partition in range(PARTITIONS):
        for kind in ("flag", "incident"):
            one = document(kind, f"{kind}-{partition}-0", 6)
            publisher.send((kind, one), partition=partition)


def test_partitions_that_are_added_are_taken_however_short_the_polls_are(config):
    # The client forgets a join that outlasts the poll it was begun in, if it was for this.
    worker = deliverer(config, Memory())
    until(lambda: len(worker.partitions) == 2 * PARTITIONS, worker.step)
    boss, topics = admin(config), Topics(config.prefix)
    boss.create_partitions({topics.flags: 6, topics.incidents: 6})
    boss.close()

    def work():
        worker._consumer._client.cluster.request_update()  # which else takes minutes
        worker.step(2)

    until(lambda: len(worker.partitions) == 12, work, seconds=20)
    worker.close()


def test_a_worker_whose_name_another_took_ends(config, publisher):
    old, new = deliverer(config, Memory()), deliverer(config, Memory())
    until(lambda: len(old.partitions) == 2 * PARTITIONS, old.step)
    until(lambda: len(new.partitions) == 2 * PARTITIONS, new.step)

    def work():
        publisher.send(*revisions(1))
        old.step()

    with pytest.raises(FatalError, match="another worker named 'a'"):
        until(lambda: False, work, seconds=20)
    new.close()


def test_what_the_broker_removed_before_it_was_taken_is_told(config, publisher):
    publisher.send(*revisions(10))
    first = deliverer(config, Memory())
    until(lambda: committed(config)[0] is not None, first.step)
    first.close()
    publisher.send(*revisions(30, "g"))
    removed(config, 31)
    sink, metrics = Memory(), Metrics()
    worker = deliverer(config, sink, metrics=metrics)
    until(lambda: sink.held, worker.step)
    worker.close()
    assert sink.held[-1] == ("g", 30)
    assert expired(metrics) == 20


def removed(config, before):
    """Have the broker remove what a partition of flags holds before an offset."""
    boss = admin(config)
    boss.delete_records({TopicPartition(Topics(config.prefix).flags, 0): before})
    boss.close()


def expired(metrics):
    return metrics.registry.get_sample_value("outrider_expired_documents_total", {"sink": "siem"})


def test_what_was_removed_is_counted_once_however_often_a_quiet_destination_restarts(
    config, publisher
):
    publisher.send(*revisions(10))
    first = deliverer(config, Memory())
    until(lambda: committed(config)[0] == 10, first.step)
    first.close()
    publisher.send(*revisions(30, "g"))
    removed(config, -1)  # all there is: nothing comes that would be committed
    counted = []
    for _ in range(3):
        metrics = Metrics()
        worker = deliverer(config, Memory(), metrics=metrics)
        until(lambda w=worker: len(w.partitions) == 2 * PARTITIONS, worker.step)
        for _ in range(3):
            worker.step()
        worker.close()
        counted.append(expired(metrics))
    assert counted == [31, None, None]  # with the mark behind them
    assert committed(config)[0] == 42


def test_what_is_removed_while_a_destination_waits_is_counted_once_too(
    config, publisher, monkeypatch
):
    monkeypatch.setattr(behind, "_LOOK_SECONDS", 0.0)
    publisher.send(*revisions(10))
    first = deliverer(config, Memory())
    until(lambda: committed(config)[0] == 10, first.step)
    first.close()
    publisher.send(*revisions(30, "g"))
    counted = []
    for _ in range(3):
        metrics, sink = Metrics(), Memory(RetriableError("no answer", retry_after=60))
        worker = deliverer(config, sink, metrics=metrics)
        until(lambda w=worker: len(w.partitions) == 2 * PARTITIONS, worker.step)
        if not counted:
            until(lambda w=worker: w.waiting, worker.step)
            removed(config, 31)
            until(lambda m=metrics: expired(m), worker.step)
        for _ in range(3):
            worker.step()
        worker.close()
        counted.append((expired(metrics), metrics.commits._value.get()))
    assert counted == [(20, 1), (None, 0), (None, 0)]
    sink = Memory()
    worker = deliverer(config, sink)
    until(lambda: len(sink.held) == 10, worker.step)
    worker.close()
    assert sink.held == [("g", n) for n in range(21, 31)]


def test_a_portion_that_takes_long_is_halved_the_next_time(config, publisher, monkeypatch):
    from pipeline.runtime.kafka import deliver

    monkeypatch.setattr(deliver, "_STEP_SECONDS", 0.02)
    sizes = []

    def slow(documents, keys, held):
        sizes.append(len(documents))
        time.sleep(0.005 * min(len(documents), 20))
        held += keys
        return Delivery(keys)

    publisher.send(*revisions(900))
    sink = Memory(*[slow] * 200)
    worker = deliverer(config, sink)
    until(lambda: len(sink.held) == 900, worker.step)
    worker.close()
    assert max(sizes) == sizes[0]
    assert min(sizes) <= sizes[0] // 4
    assert sink.held == [("f", n) for n in range(1, 901)]


def test_a_broker_that_is_not_there_is_told_and_tried_again(config, monkeypatch):
    monkeypatch.setattr(client, "BOOTSTRAP_MS", 300)
    nobody = config.model_copy(update={"servers": ["127.0.0.1:1"]})
    worker = deliverer(nobody, Memory())
    for _ in range(2):
        with pytest.raises(RetriableError, match=r"127\.0\.0\.1:1"):
            worker.step()
