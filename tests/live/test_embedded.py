"""The embedded loop: killed at any point, out of disk, refused: in the end the same, and once."""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.request
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest
import structlog

from connectors.sinks.ndjson import NdjsonSink
from detectors.issued import IssuedFlags
from pipeline.ledger.store import Ledger
from pipeline.model.clock import ManualClock
from pipeline.model.contracts import Delivery, Poll
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.documents import from_json
from pipeline.model.errors import FatalError, RetriableError, StateError
from pipeline.model.flag import Flag
from pipeline.runtime.health import Health, HealthServer
from pipeline.runtime.live import freezing, journal
from pipeline.runtime.live.embedded import Embedded
from pipeline.runtime.live.engine import Engine
from pipeline.runtime.live.messages import unpack_events
from pipeline.runtime.metrics import Metrics
from tests.live.small_tenant import HOUR, LEARNED, MONDAY, SETTINGS, outage, table, usual

HOURS = LEARNED + 9


def rows_of(hour):
    return usual(hour) + (outage(hour) if hour - LEARNED in {2, 3} else [])


class Logs:
    """A bounded source: three hours a poll; the cursor is the next hour."""

    def poll(self, cursor):
        at = 0 if cursor is None else cursor["hour"]
        until = min(at + 3, HOURS)
        if at == until:
            return Poll((), (), {"hour": at}, finished=True)
        rows = [r for h in range(at, until) for r in rows_of(h)]
        return Poll((table(rows),), (), {"hour": until}, read_at=MONDAY + until * HOUR)


def renamed(events, tenant):
    at = events.schema.get_field_index("tenant")
    column = pa.array([tenant] * events.num_rows).dictionary_encode()
    return events.set_column(at, events.schema.field(at), column)


class Memory:
    """A destination that keeps what it was handed."""

    def __init__(self):
        self.held = []
        self.answers = iter(())

    def deliver(self, documents):
        answer = next(self.answers, None)
        if isinstance(answer, Exception):
            raise answer
        keys = [(d.get("flag_id") or d["incident_id"], d["revision"]) for d in documents]
        if answer == "refuse first":
            self.held += documents[1:]
            return Delivery(keys[1:], rejected=keys[:1])
        if answer == "first only":
            self.held += documents[:1]
            return Delivery(keys[:1], retry_after=0.0)
        self.held += documents
        return Delivery(keys)


def loop(ledger, sink, source=None, metrics=None):
    return Embedded(
        SETTINGS,
        ledger,
        {"logs": source or Logs()},
        {"memory": sink},
        feeds={},
        unnamed=lambda: "t",
        clock=ManualClock(MONDAY + timedelta(days=30)),
        metrics=metrics or Metrics(),
        health=Health(),
        log=structlog.get_logger(),
    )


def play(running):
    while not running.finished or running.outstanding:
        running.step()


def finals(ledger):
    plain = IssuedFlags().plain
    flags = {d.id: d.document for d in ledger.documents(kind="flag")}
    flags = {k: plain(from_json(Flag, f)) for k, f in flags.items()}
    return {k: f for k, f in flags.items() if f.state != "retracted"}


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """What an undisturbed run tells."""
    ledger = Ledger(tmp_path_factory.mktemp("straight") / "ledger.sqlite")
    sink = Memory()
    play(loop(ledger, sink))
    assert finals(ledger)
    assert len(sink.held) == len(ledger.documents())
    return finals(ledger)


class KilledError(BaseException):
    """As kill -9: nothing catches it."""


STEPS = ("put_cursor", "journal", "bury", "add_documents", "put_issued", "put_state")


@pytest.mark.parametrize("where", [*STEPS, "deliver", "commit"])
def test_killed_at_any_point_it_goes_on(tmp_path, monkeypatch, straight, where):
    monkeypatch.setattr(journal, "SNAPSHOT_ROWS", 5_000)
    sink, count = Memory(), itertools.count(1)
    fatal = {1, 3, 7, 20, 50}

    class Fragile(Ledger):
        def __getattribute__(self, name):
            if name == where and next(count) in fatal:
                raise KilledError
            return super().__getattribute__(name)

        def delivered(self, name):
            if where == "deliver" and next(count) in fatal:
                raise KilledError
            return super().delivered(name)

        def transaction(self):
            if where == "commit" and next(count) in fatal:
                raise KilledError
            return super().transaction()

    killed = 0
    for _ in range(400):
        ledger = Fragile(tmp_path / "ledger.sqlite")
        try:
            play(loop(ledger, sink))
            ledger.close()
            break
        except KilledError:
            killed += 1
            ledger.close()
    assert killed >= 2
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert finals(ledger) == straight
    told = Counter((d.kind, d.id, d.revision) for d in ledger.documents())
    assert set(told.values()) == {1}
    for kind in ("flag", "incident"):
        ids = Counter(d.id for d in ledger.documents(kind=kind))
        assert all((kind, k, r) in told for k, n in ids.items() for r in range(1, n + 1))
    delivered = {(d.get("flag_id") or d["incident_id"], d["revision"]) for d in sink.held}
    assert delivered == {(d.id, d.revision) for d in ledger.documents()}


def test_a_full_disk_stops_nothing_for_good(tmp_path, straight):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    running = loop(ledger, Memory())
    for _ in range(20):
        running.step()
    before = ledger.counts()
    ledger.limit_pages(ledger.size())
    refused = 0
    for _ in range(40):
        try:
            running.step()
        except RetriableError:
            refused += 1
        if refused > 3:
            break  # each takes everything in again
    assert refused > 3
    assert ledger.counts()["journal"] >= before["journal"]
    ledger.limit_pages(2**30)
    play(running)
    assert finals(ledger) == straight


def test_the_state_frees_its_messages(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SNAPSHOT_ROWS", 5_000)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    running, most = loop(ledger, Memory()), 0
    while not running.finished:
        running.step()
        most = max(most, ledger.counts()["journal"])
    assert most < 40
    running.store_all()
    assert ledger.counts()["journal"] == 0


def test_a_run_started_again_writes_down_only_what_has_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(freezing, "_PART_BYTES", 256)
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        first = loop(ledger, Memory())
        play(first)
        first.store_all()
        stored = ledger.parts("t")
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        again, written = loop(ledger, Memory()), {}
        put = ledger.put_state
        monkeypatch.setattr(
            ledger, "put_state", lambda *told: written.update(told[3]) or put(*told)
        )
        again.store_all()
        assert ledger.parts("t") == stored
    assert len(stored) > 10
    assert written == {}


def test_a_finished_run_started_again_tells_nothing(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    play(loop(ledger, Memory()))
    told = ledger.counts()["documents"]
    play(loop(ledger, Memory()))
    assert ledger.counts()["documents"] == told


def test_a_slow_destination_is_waited_for_and_gets_everything_in_order(tmp_path):
    ledger, sink = Ledger(tmp_path / "ledger.sqlite"), Memory()
    sink.answers = iter([RetriableError("busy", retry_after=0.0), "first only", "first only"])
    play(loop(ledger, sink))
    assert sink.held == [d.document for d in ledger.documents()]


def test_what_a_destination_refuses_is_kept_among_the_dead(tmp_path):
    ledger, sink = Ledger(tmp_path / "ledger.sqlite"), Memory()
    sink.answers = iter(["refuse first"])
    play(loop(ledger, sink))
    (letter,) = [d for d in ledger.dead() if d.reason == "refused_by_sink"]
    assert ledger.documents()[0].id in letter.detail
    assert len(sink.held) == len(ledger.documents()) - 1


def test_counts_add_up(tmp_path):
    ledger, metrics = Ledger(tmp_path / "ledger.sqlite"), Metrics()
    play(loop(ledger, Memory(), metrics=metrics))
    read = metrics.registry.get_sample_value
    assert read("outrider_events_total") == sum(len(rows_of(h)) for h in range(HOURS))
    told = [read("outrider_documents_total", {"kind": k}) for k in ("flag", "incident")]
    assert sum(told) == ledger.counts()["documents"]
    assert read("outrider_delivered_total", {"sink": "memory"}) == sum(told)


def test_health_is_served(tmp_path):
    health, metrics = Health(), Metrics()
    metrics.events.inc(7)
    with HealthServer("127.0.0.1:0", health, metrics) as server:
        url = f"http://127.0.0.1:{server.port}"
        with urllib.request.urlopen(f"{url}/metrics") as answer:  # noqa: S310 # loopback
            assert b"outrider_events_total 7.0" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{url}/readyz")  # noqa: S310 # loopback
        health.ready = True
        with urllib.request.urlopen(f"{url}/readyz") as answer:  # noqa: S310 # loopback
            assert json.load(answer)["ready"] is True
        health.turned_at -= 1000.0
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{url}/healthz")  # noqa: S310 # loopback


def document(revision, key="flag_id"):
    return {key: "x-1", "revision": revision}


def test_files_get_each_revision_once_over_a_cut_line(tmp_path):
    NdjsonSink(tmp_path).deliver([document(1), document(2), document(1, "incident_id")])
    path = tmp_path / "flags.ndjson"
    path.write_text(path.read_text() + '{"flag_id": "x-1", "rev')
    done = NdjsonSink(tmp_path).deliver([document(2), document(3)])
    assert done.accepted == [("x-1", 2), ("x-1", 3)]
    assert [json.loads(line)["revision"] for line in path.read_text().splitlines()] == [1, 2, 3]
    assert len((tmp_path / "incidents.ndjson").read_text().splitlines()) == 1


def test_a_transaction_is_all_or_nothing(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(ZeroDivisionError), ledger.transaction():  # noqa: PT012 # it spans both
        ledger.put_cursor("a", {"v": 1})
        raise ZeroDivisionError
    assert ledger.cursor("a") is None
    letter = DeadLetter(0, 5, "t", "why", "what helps", "file line 3", "record", b"x")
    with ledger.transaction():
        ledger.put_cursor("a", {"v": 1})
        ledger.bury([letter])
    assert Ledger(tmp_path / "ledger.sqlite").cursor("a") == {"v": 1}
    (held,) = ledger.dead()
    assert (held.reason, held.body, held.replayed) == ("why", b"x", False)


def test_a_ledger_that_is_none_is_named(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(FatalError, match="move the file away"):
        Ledger(path)
    with pytest.raises(FatalError, match="no ledger here"):
        Ledger(tmp_path / "other", readonly=True)


def test_a_ledger_of_another_version_is_refused(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger._db.execute("PRAGMA user_version=99")
    ledger.close()
    with pytest.raises(StateError, match="version 99"):
        Ledger(tmp_path / "ledger.sqlite")


def test_a_tenant_that_cannot_be_judged_stops_nobody(tmp_path, monkeypatch, straight):
    """Its messages since the stored state become dead letters, with their bodies."""
    judge, calls = Engine.judge, itertools.count()

    def fragile(engine, name):
        if name == "broken" and next(calls) == 1:
            raise KeyError("a defect of ours")
        return judge(engine, name)

    monkeypatch.setattr(Engine, "judge", fragile)

    class Two(Logs):
        """The same logs, and a second tenant beside them."""

        def poll(self, cursor):
            poll = super().poll(cursor)
            batches = [b for t in poll.batches for b in (t, renamed(t, "broken"))]
            return replace(poll, batches=tuple(batches))

    ledger = Ledger(tmp_path / "ledger.sqlite")
    play(loop(ledger, Memory(), Two()))
    assert {k: f for k, f in finals(ledger).items() if f.tenant == "t"} == straight
    letters = [d for d in ledger.dead() if d.reason == "judging_failed"]
    assert letters
    assert {d.tenant for d in letters} == {"broken"}
    assert all(unpack_events(d.body).num_rows for d in letters)
    assert "a defect" not in letters[0].detail
