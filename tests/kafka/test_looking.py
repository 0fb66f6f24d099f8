"""Looking at a real broker: messages decoded, damaged ones shown, states as workers left them."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time

import pytest
import structlog

from pipeline.cli.main import main
from pipeline.ledger.store import Ledger
from pipeline.model.clock import SystemClock
from pipeline.model.errors import ConfigError, ExitCode, RetriableError
from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka import states
from pipeline.runtime.kafka.client import Topics, producer
from pipeline.runtime.kafka.detect import Detector
from pipeline.runtime.kafka.letters import read_letters
from pipeline.runtime.kafka.seen import Total, decoded, events_of
from pipeline.runtime.kafka.states import all_held, held_on, home
from pipeline.runtime.kafka.tail import Spot, tail
from pipeline.runtime.kafka.topics import init
from pipeline.runtime.live.held import held_in, revived
from pipeline.runtime.live.messages import Kind, Message, pack_events, unpack_events
from pipeline.runtime.live.moving import exported, import_state
from pipeline.runtime.live.standing import standing
from pipeline.runtime.metrics import Metrics
from tests.live.small_tenant import HOUR, MONDAY, SETTINGS, outage, table, usual

_names = itertools.count()
TENANTS = ("north", "south", "west")
HOURS = 60


def made(cluster, prefix):
    held = Kafka(
        servers=cluster.servers,
        prefix=f"{prefix}-{os.getpid()}-{next(_names)}",
        partitions=2,
        replication=1,
        snapshot_rows=4000,
    )
    init(held)
    return held


def put(config, *records):
    writer = producer(config, f"{config.prefix}-test")
    topic = Topics(config.prefix).events
    for record in records:
        writer.begin_transaction()
        writer.send(topic, **record)
        writer.commit_transaction()
    writer.close()


def events_message(tenant, hour, rows=None):
    name = table(rows or usual(hour))
    at = name.schema.get_field_index("tenant")
    column = name.column("tenant").combine_chunks()
    named = type(column).from_arrays(column.indices, [tenant])
    body = pack_events(name.set_column(at, name.schema.field(at), named))
    return Message(tenant, Kind.EVENTS, MONDAY + (hour + 1) * HOUR, body)


def sent(one, **more):
    return {"key": one.tenant.encode(), "value": one.body, "headers": one.headers(), **more}


DAMAGED = {"key": b"north", "value": b"no arrow", "headers": [("kind", b"events")]}
CLOCK = sent(Message("south", Kind.CLOCK, MONDAY))


@pytest.fixture(scope="module")
def config(cluster):
    """Topics with six messages: four batches, one that is damaged, one of the time."""
    held = made(cluster, "tail")
    batches = [sent(events_message(t, h)) for h in (1, 2) for t in ("north", "south")]
    put(held, *batches, DAMAGED, CLOCK)
    return held


def seen(config, **spot):
    return [decoded(r)[0] for r in tail(config, Spot(**spot))]


def test_each_message_is_told_in_numbers(config):
    found = seen(config, start="earliest")
    assert len(found) == 6
    first = min((s for s in found if s.kind == "events"), key=lambda s: (s.tenant, s.first_at))
    rows = usual(1)
    assert (first.tenant, first.records) == ("north", len(rows))
    assert first.read_at == MONDAY + 2 * HOUR
    assert first.first_at == table(rows).column("event_time").to_pylist()[0].replace(
        minute=min(r[0] for r in rows) - 60
    )
    assert first.sources == {"entra_signin_noninteractive": len(rows)}
    assert sum(first.clients.values()) == len(rows)
    assert list(first.clients.values()) == sorted(first.clients.values(), reverse=True)
    assert first.bytes == len(events_message("north", 1).body)
    assert first.ratio > 1.0


def test_a_damaged_message_is_shown_as_such_and_stops_nothing(config):
    kinds = [(s.kind, s.tenant, s.problem) for s in seen(config, start="earliest")]
    assert ("damaged", "north", "damaged batch (ArrowInvalid)") in kinds
    assert ("clock", "south", None) in kinds
    assert sum(k == "events" for k, *_ in kinds) == 4


def test_a_look_begins_where_it_is_told_and_takes_only_what_is_meant(config):
    every = seen(config, start="earliest")
    assert seen(config, start="earliest", tenant="north") == [
        s for s in every if s.tenant == "north"
    ]
    for partition in (0, 1):
        mine = [s for s in every if s.partition == partition]
        assert seen(config, start="earliest", partition=partition) == mine
        assert seen(config, start="2", partition=partition) == [s for s in mine if s.offset >= 2]
    assert len(seen(config, start="earliest", limit=2)) == 2
    assert seen(config, start="999") == []


def test_the_newest_messages_are_found_however_far_back(config):
    every = sorted(seen(config, start="earliest"), key=lambda s: (s.written_at, s.partition))
    assert seen(config) == every
    assert seen(config, limit=1) == every[-1:]
    assert seen(config, limit=3, tenant="north") == [s for s in every if s.tenant == "north"]
    assert seen(config, limit=2, tenant="south")[-1].kind == "clock"
    assert seen(config, tenant="nobody") == []


def test_what_cannot_be_meant_is_refused(config):
    for wrong in ({"start": "yesterday"}, {"limit": 0}):
        with pytest.raises(ConfigError):
            Spot(**wrong)
    with pytest.raises(ConfigError, match="partitions 0 to 1"):
        seen(config, partition=7)
    nobody = config.model_copy(update={"prefix": "nobody"})
    for look in (seen, read_letters, lambda c: list(all_held(c))):
        with pytest.raises(ConfigError, match="kafka init"):
            look(nobody)


def test_who_follows_sees_what_comes(cluster):
    config = made(cluster, "follow")
    put(config, sent(events_message("north", 1)))
    found = []

    def follow():
        for record in tail(config, Spot(follow=True)):
            found.append(decoded(record)[0].kind)
            if len(found) == 3:
                return

    thread = threading.Thread(target=follow)
    thread.start()
    put(config, CLOCK, DAMAGED)
    thread.join(30)
    assert sorted(found) == ["clock", "damaged", "events"]


def test_events_show_people_as_hashes_alone(config):
    (record,) = tail(config, Spot("earliest", "north", limit=1))
    _, batch = decoded(record)
    first = next(events_of(batch))
    user = batch.column("user")[0].as_py()
    assert first["user"] == f"{user:016x}"
    assert first["event_id"] == batch.column("event_id")[0].as_py().hex()
    assert "client_version" not in first


def test_a_look_adds_up(config):
    total = Total()
    for one in seen(config, start="earliest"):
        total.add(one)
    assert total.messages == {"events": 4, "damaged": 1, "clock": 1}
    assert total.records == 2 * (len(usual(1)) + len(usual(2)))
    assert total.tenants == {"north": 3, "south": 3}
    assert total.first_at < total.last_at


@pytest.fixture
def path(config, tmp_path):
    return written(config, tmp_path)


def written(config, folder):
    path = folder / "outrider.toml"
    path.write_text(
        f'[kafka]\nservers = ["{config.servers[0]}"]\nprefix = "{config.prefix}"\n'
        "[detection]\nwarm_up_hours = 96\n"
    )
    return str(path)


def test_messages_from_the_command_line(path, capsys):
    words = ["events", "tail", "--config", path]
    assert main([*words, "--from", "earliest"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert sum("entra_signin_noninteractive" in line for line in lines) == 4
    assert sum("damaged batch" in line for line in lines) == 1
    assert main([*words, "--json", "--limit", "2"]) == ExitCode.OK
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [m["kind"] for m in lines] == ["damaged", "clock"]
    assert main([*words, "--records", "--tenant", "south"]) == ExitCode.OK
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {r["tenant"] for r in rows} == {"south"}
    assert len(rows) == len(usual(1)) + len(usual(2))
    assert main([*words, "--summary"]) == ExitCode.OK
    told = capsys.readouterr()
    assert "events 4, damaged 1, clock 1" in told.out
    assert "1 damaged message" in told.err
    assert main([*words, "--summary", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["messages"]["events"] == 4
    assert main([*words, "--summary", "--records"]) == ExitCode.USAGE


def worker(config):
    return Detector(
        config, SETTINGS, "a", clock=SystemClock(), metrics=Metrics(), log=structlog.get_logger()
    )


def rows_of(hour):
    return usual(hour) + (outage(hour) if hour in {50, 64, 66} else [])


@pytest.fixture(scope="module")
def worked(cluster):
    """Topics in which a worker has stored some, and taken in all, and is still there."""
    config = made(cluster, "state")
    messages = [events_message(t, h, rows_of(h)) for h in range(0, HOURS, 2) for t in TENANTS]
    put(config, *(sent(m) for m in messages))
    one = worker(config)
    until = time.monotonic() + 120
    while sum(p.committed for p in one._partitions.values()) < 2 * len(messages) - 2:
        assert time.monotonic() < until
        one.step()
    yield config, one
    one.close()


def test_every_tenant_stands_in_its_partition(worked):
    config, one = worked
    found = [standing(SETTINGS, held) for held in all_held(config)]
    assert sorted(s.tenant for s in found) == sorted(TENANTS)
    for told in found:
        part = one._partitions[told.partition]
        assert told.partition == home(told.tenant, 2)
        assert 0 < told.stands_at <= part.committed
        assert told.behind == part.committed - told.stands_at
        assert told.closed_to is not None
        assert told.warming_up


def test_a_tenant_read_from_the_topics_is_the_one_that_the_worker_holds(worked):
    config, one = worked
    for name in TENANTS:
        held = held_on(config, name)
        mine = revived(SETTINGS, held)
        theirs = one._partitions[held.partition].engine.tenants[name]
        assert (mine.clock, mine.rows) == (theirs.clock, theirs.rows)
        assert mine.issued.flags.last == theirs.issued.flags.last
        assert mine.ground.closed_to == theirs.ground.closed_to
    assert held_on(config, "nobody") is None


def test_a_tenant_taken_from_the_topics_into_a_ledger_is_judged_the_same(worked, tmp_path):
    config, _ = worked
    held = held_on(config, "north")
    ledger = Ledger(tmp_path / "ledger.sqlite")
    import_state(ledger, exported(SETTINGS, held, SystemClock()), SETTINGS)
    mine = revived(SETTINGS, held_in(ledger, "north"))
    ledger.close()
    theirs = revived(SETTINGS, held)
    told = []
    for hour in range(HOURS, HOURS + 10, 2):
        batch = unpack_events(events_message("north", hour, rows_of(hour)).body)
        for tenant in (mine, theirs):
            tenant.take(batch, MONDAY + (hour + 2) * HOUR)
        told.append(theirs.judge())
        assert mine.judge() == told[-1]
    assert any(t.flags for t in told)


def test_a_state_that_changes_while_it_is_read_is_read_again(worked, monkeypatch):
    config, _ = worked
    stood = states._stood
    seen = itertools.count()

    def moving(*args):
        found = stood(*args)
        return found._replace(committed=found.committed - max(0, 2 - next(seen)))

    monkeypatch.setattr(states, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(states, "_stood", moving)
    assert held_on(config, "north").messages == held_on(config, "north").messages
    assert next(seen) > 4
    monkeypatch.setattr(states, "_stood", lambda *a: stood(*a)._replace(committed=next(seen)))
    monkeypatch.setattr(states, "_TRIES", 2)
    with pytest.raises(RetriableError, match="stop them"):
        held_on(config, "north")


def test_states_from_the_command_line(worked, tmp_path, capsys):
    config, _ = worked
    found = ["--kafka", "--config", written(config, tmp_path)]
    assert main(["state", "list", *found, "--json"]) == ExitCode.OK
    listed = json.loads(capsys.readouterr().out)
    assert sorted(s["tenant"] for s in listed) == sorted(TENANTS)
    assert main(["state", "list", *found]) == ExitCode.OK
    assert capsys.readouterr().out.count("warming up") == 3
    assert main(["state", "show", "west", *found]) == ExitCode.OK
    assert f"partition {home('west', 2)}" in capsys.readouterr().out
    out = tmp_path / "west.state"
    assert main(["state", "export", "west", "--out", str(out), *found]) == ExitCode.OK
    there = str(tmp_path / "there")
    assert main(["state", "import", str(out), "--state", there]) == ExitCode.OK
    assert main(["state", "show", "nobody", *found]) == ExitCode.USAGE
    assert "state list --kafka" in capsys.readouterr().err
