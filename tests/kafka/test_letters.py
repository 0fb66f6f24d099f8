"""Dead letters of a real broker: kept whole, replayed once whatever is killed, told why not."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog

from pipeline.cli.main import main
from pipeline.model.clock import ManualClock, SystemClock, to_us
from pipeline.model.dead_letter import DOCUMENT, MESSAGES, RECORD, DeadLetter
from pipeline.model.errors import ConfigError, ExitCode, RetriableError
from pipeline.runtime.config import Kafka
from pipeline.runtime.dead_letters import Outcome, Wish
from pipeline.runtime.kafka import replay as replaying
from pipeline.runtime.kafka.client import Topics, producer
from pipeline.runtime.kafka.detect import Detector
from pipeline.runtime.kafka.letters import read_letters, record_of, stretch, whole_letters
from pipeline.runtime.kafka.replay import replay
from pipeline.runtime.kafka.states import held_on
from pipeline.runtime.kafka.stored import committed_records
from pipeline.runtime.kafka.told import meant_for, told
from pipeline.runtime.kafka.topics import init
from pipeline.runtime.live import engine
from pipeline.runtime.live.held import revived
from pipeline.runtime.live.messages import (
    Kind,
    Message,
    UnreadableMessageError,
    pack_events,
)
from pipeline.runtime.metrics import Metrics
from tests.live.small_tenant import HOUR, MONDAY, SETTINGS, table, usual

CLOCK = ManualClock(MONDAY + timedelta(days=30))
ALL = Wish(every=True)
_names = itertools.count()


@pytest.fixture
def config(cluster):
    held = Kafka(
        servers=cluster.servers,
        prefix=f"letters-{os.getpid()}-{next(_names)}",
        partitions=2,
        replication=1,
        snapshot_rows=500,
    )
    init(held)
    return held


def put(config, *records):
    """Records (topic and what the producer takes), in one transaction; where they are."""
    writer = producer(config, f"{config.prefix}-test")
    writer.begin_transaction()
    futures = [writer.send(**record) for record in records]
    writer.commit_transaction()
    writer.close()
    return [f.get() for f in futures]


def bury(config, *letters):
    topic = Topics(config.prefix).dead
    put(config, *({"topic": topic, "partition": 1, **record_of(d)} for d in letters))


def message(hour=2, tenant="t"):
    return Message(tenant, Kind.EVENTS, MONDAY + (hour + 1) * HOUR, pack_events(table(usual(hour))))


def sent(one):
    return {"key": one.tenant.encode(), "value": one.body, "headers": one.headers()}


def letter(hour=2, **changed):
    made = message(hour)
    held = DeadLetter(
        0,
        to_us(MONDAY) + hour,
        "t",
        "unreadable_message",
        "damaged",
        "events partition 1 offset 7",
        "events",
        made.body,
        headers=tuple(made.headers()),
    )
    return replace(held, **changed)


def read(config, topic):
    return list(committed_records(config, getattr(Topics(config.prefix), topic), None))


def done(config, wish=ALL):
    return [(t.letter_id, t.outcome) for t in replay(config, wish, CLOCK)]


def test_a_letter_comes_back_as_it_was_buried(config):
    odd = (("kind", b"events"), ("odd", bytes(range(256))), ("letter", b"of the message"))
    bury(
        config,
        letter(headers=odd),
        letter(3, kind=RECORD, tenant=None, body=None, headers=(), sink="siem"),
    )
    listed = read_letters(config)
    assert [d.body for d in listed] == [None, None]
    assert [d.document().body_bytes for d in listed] == [len(letter().body), None]
    whole = list(whole_letters(config, listed))
    assert [d.letter_id for d in whole] == ["1/0", "1/1"]
    assert whole[0] == letter(headers=odd, seq=0, partition=1)
    assert (whole[1].body, whole[1].tenant, whole[1].sink) == (None, None, "siem")


def test_a_record_that_is_no_letter_is_listed_as_such(config):
    topic = Topics(config.prefix).dead
    put(
        config,
        {"topic": topic, "value": b"x", "partition": 0},
        {"topic": topic, "value": b"x", "headers": [("letter", b"[1]")], "partition": 0},
    )
    assert [d.reason for d in read_letters(config)] == ["unknown_letter"] * 2
    assert set(done(config)) == {("0/0", Outcome.FILE), ("0/1", Outcome.FILE)}


def test_a_message_goes_back_with_its_headers_once(config):
    bury(config, letter(), letter(3, kind=RECORD, body=None, reason="not_json"))
    assert done(config) == [("1/1", Outcome.FILE), ("1/0", Outcome.SENT)]
    (record,) = read(config, "events")
    assert record.value == letter().body
    assert record.headers == [*message().headers(), ("replay_of", b"1/0")]
    assert Message.of_record(record.key, record.headers, record.value) == message()
    first, _ = read_letters(config)
    assert first.replayed_at == to_us(CLOCK.now())
    assert done(config) == [("1/1", Outcome.FILE)]
    assert done(config, Wish(ids=("1/0",))) == [("1/0", Outcome.BEFORE)]
    assert done(config, Wish(ids=("1/0",), again=True)) == [("1/0", Outcome.SENT)]
    assert [r.headers[-1] for r in read(config, "events")] == [("replay_of", b"1/0")] * 2
    with pytest.raises(ConfigError, match="no dead letter '0/9'"):
        done(config, Wish(ids=("0/9",)))


class KilledError(BaseException):
    """As kill -9: nothing catches it."""


class Fragile:
    """A producer whose process is killed before its n-th call, or right after the commit."""

    def __init__(self, held, fatal):
        self.held, self.fatal, self.count = held, fatal, 0

    def __getattr__(self, name):
        call = getattr(self.held, name)

        def counted(*args, **options):
            self.count += 1
            if self.count == self.fatal:
                raise KilledError
            found = call(*args, **options)
            if name == "commit_transaction" and self.count + 1 == self.fatal:
                raise KilledError
            return found

        return counted


def test_killed_between_any_two_steps_a_replay_loses_and_repeats_nothing(config, monkeypatch):
    bury(config, letter(), letter(3))
    made = []

    def fragile(fatal):
        def opened(*args):
            made.append(Fragile(producer(*args), fatal))
            return made[-1]

        return opened

    # begin, two messages with a mark each, commit, and what comes after it.
    calls, wish = 7, ALL
    for fatal in range(1, calls + 1):
        with monkeypatch.context() as patched:
            patched.setattr(replaying, "producer", fragile(fatal))
            patched.setattr(replaying._Writer, "close", lambda _: None)
            with pytest.raises(KilledError):
                done(config, wish)
    assert done(config, wish) == []
    assert [d.replayed for d in read_letters(config)] == [True, True]
    told = [dict(r.headers)["replay_of"] for r in read(config, "events")]
    assert sorted(told) == [b"1/0", b"1/1"]
    for one in made:
        one.held.close(timeout=1)


def test_many_letters_go_in_several_transactions_and_a_killed_one_is_gone_on_with(
    config, monkeypatch
):
    monkeypatch.setattr(replaying, "_BATCH_LETTERS", 2)
    bury(config, *(letter(h) for h in range(5)))
    tries = replay(config, ALL, CLOCK)
    assert [next(tries).letter_id, next(tries).letter_id] == ["1/0", "1/1"]
    tries.close()
    assert sorted(i for i, _ in done(config)) == ["1/2", "1/3", "1/4"]
    told = Counter(dict(r.headers)["replay_of"] for r in read(config, "events"))
    assert set(told.values()) == {1}
    assert len(told) == 5


def test_of_two_that_replay_at_a_time_one_is_shut_out(config, monkeypatch):
    monkeypatch.setattr(replaying, "_BATCH_LETTERS", 1)
    bury(config, letter(2), letter(3), letter(4))
    first = replay(config, ALL, CLOCK)
    assert next(first).letter_id == "1/0"
    assert done(config) == [("1/1", Outcome.SENT), ("1/2", Outcome.SENT)]
    with pytest.raises(RetriableError, match="has taken over"):
        next(first)
    assert len(read(config, "events")) == 3


def test_what_this_version_cannot_read_stays_unless_it_is_forced(config):
    bury(config, letter(body=b"no arrow"))
    assert done(config) == [("1/0", Outcome.UNREADABLE)]
    assert read(config, "events") == []
    assert done(config, Wish(every=True, force=True)) == [("1/0", Outcome.SENT)]
    assert [r.value for r in read(config, "events")] == [b"no arrow"]


def test_a_refused_document_goes_to_the_destination_that_refused_it_alone(config):
    flag, incident = {"flag_id": "f-1", "revision": 2}, {"incident_id": "i-1", "revision": 1}
    bury(
        config,
        *(
            letter(kind=DOCUMENT, reason="refused_by_sink", sink=sink, headers=(), body=told)
            for sink, told in (
                ("siem", json.dumps(flag).encode()),
                ("chat", json.dumps(incident).encode()),
            )
        ),
    )
    assert {o for _, o in done(config)} == {Outcome.SENT}
    (first,), (second,) = read(config, "flags"), read(config, "incidents")
    assert told(first, "flag").document == flag
    assert told(second, "incident").document == incident
    assert [meant_for(first, s) for s in ("siem", "chat")] == [True, False]
    assert [meant_for(second, s) for s in ("siem", "chat")] == [False, True]
    assert read(config, "events") == []


def test_a_document_nobody_could_read_goes_back_to_its_own_topic(config):
    topic = Topics(config.prefix).incidents
    bury(
        config, letter(kind="unknown", body=b"{", headers=(), place=f"{topic} partition 1 offset 2")
    )
    assert done(config) == [("1/0", Outcome.UNREADABLE)]
    assert done(config, Wish(every=True, force=True)) == [("1/0", Outcome.SENT)]
    assert [r.value for r in read(config, "incidents")] == [b"{"]
    assert read(config, "events") == []


def test_the_messages_of_a_tenant_that_was_set_aside_go_back_in_their_order(config):
    topic = Topics(config.prefix).events
    others = [
        {"topic": topic, "partition": 1, **sent(message(h, tenant))}
        for h in range(4)
        for tenant in ("t", "somebody else")
    ]
    put(config, *others)
    held = {"kind": MESSAGES, "reason": "judging_failed", "body": None}
    bury(config, letter(headers=stretch(2, 6), **held), letter(headers=stretch(90, 95), **held))
    assert sorted(done(config)) == [("1/0", Outcome.SENT), ("1/1", Outcome.GONE)]
    again = [r for r in read(config, "events") if r.headers[-1][0] == "replay_of"]
    assert [r.value for r in again] == [message(h).body for h in (1, 2, 3)]
    assert {r.key for r in again} == {b"t"}


def worker(config):
    return Detector(
        config, SETTINGS, "a", clock=SystemClock(), metrics=Metrics(), log=structlog.get_logger()
    )


def work(config, until, seconds=60):
    """Let a worker go on until something holds, and store what it knows."""
    one = worker(config)
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        for _ in range(5):
            one.step()
    one.stop()


def test_a_worker_takes_a_replayed_message_in_and_counts_what_comes_too_late(
    config, monkeypatch, tmp_path, capsys
):
    topic = Topics(config.prefix).events
    hours = [2, *range(24, 96, 4)]
    put(config, *({"topic": topic, **sent(message(h))} for h in hours if h not in {2, 80}))
    late, good = message(2), message(80)
    put(config, {"topic": topic, **sent(late)}, {"topic": topic, **sent(good)})
    unpack = engine.unpack_events

    def once_broken(body):
        if body in {late.body, good.body}:
            raise UnreadableMessageError("of a version that this one does not know")
        return unpack(body)

    with monkeypatch.context() as patched:
        patched.setattr(engine, "unpack_events", once_broken)
        work(config, lambda: len(read_letters(config)) == 2)
    before = held_on(config, "t")
    tenant = revived(SETTINGS, before)
    assert tenant.ground.closed_to == MONDAY + timedelta(days=2)

    path = tmp_path / "outrider.toml"
    path.write_text(
        f'[kafka]\nservers = ["{config.servers[0]}"]\nprefix = "{config.prefix}"\n'
        "[detection]\nwarm_up_hours = 96\n"
    )
    found = ["--kafka", "--config", str(path)]
    assert main(["dead", "list", *found]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "unreadable_message  2        2" in shown
    assert "bring all parts to one version" in shown
    assert main(["dead", "replay", "--all", *found, "--json"]) == ExitCode.PARTIAL_DATA
    tried = json.loads(capsys.readouterr().out)
    assert [t["outcome"] for t in tried] == ["too_late", "sent"]
    assert "2026-03-04T00:00:00Z" in tried[0]["text"]
    assert main(["dead", "replay", tried[0]["letter_id"], "--force", *found]) == ExitCode.OK
    capsys.readouterr()

    def both_taken():
        held = held_on(config, "t")
        return revived(SETTINGS, held).ground.too_old == len(usual(2)) and held.stands_at > 0

    work(config, both_taken)
    tenant = revived(SETTINGS, held_on(config, "t"))
    ids = {i for p in tenant.ground.tail for i in p.read().column("event_id").to_pylist()}
    assert set(table(usual(80)).column("event_id").to_pylist()) <= ids
    capsys.readouterr()
    assert main(["dead", "list", *found, "--json"]) == ExitCode.OK
    listed = json.loads(capsys.readouterr().out)
    assert [d["state"] for d in listed["letters"]] == ["replayed", "replayed"]
    assert main(["dead", "replay", "x", "1/1", *found]) == ExitCode.USAGE
