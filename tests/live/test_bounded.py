"""What must not grow with the weeks: names, cursors, documents; see also benchmarks/bench_soak.py."""

from __future__ import annotations

import itertools
import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import structlog

from pipeline.ledger.store import Ledger
from pipeline.model.clock import ManualClock
from pipeline.model.contracts import Delivery, Poll
from pipeline.model.errors import RetriableError
from pipeline.runtime.health import Health
from pipeline.runtime.live import embedded
from pipeline.runtime.live.embedded import Embedded
from pipeline.runtime.live.messages import by_tenant, lean, pack_events, unpack_events
from pipeline.runtime.live.tenant import Tenant
from pipeline.runtime.metrics import Metrics
from tests.live.small_tenant import HOUR, MONDAY, SETTINGS, table, usual


def named(events, *, networks=None, tenants=None):
    """The same records with networks and tenants of our own."""
    for name, values in (("network", networks), ("tenant", tenants)):
        if values is not None:
            at = events.schema.get_field_index(name)
            cycle = list(itertools.islice(itertools.cycle(values), events.num_rows))
            column = pa.array(cycle, pa.string()).dictionary_encode()
            events = events.set_column(at, events.schema.field(at), column)
    return events


def dictionary(column):
    (chunk,) = (
        column.unify_dictionaries().combine_chunks().chunks
        if column.num_chunks > 1
        else (column.chunks)
    )
    return chunk.dictionary.to_pylist()


def test_lean_keeps_the_rows_and_only_their_names():
    whole = named(table(usual(9)), networks=["a", "b", None, "c"])
    some = whole.filter(pc.is_in(whole.column("network").cast(pa.string()), pa.array(["a", "c"])))
    small = lean(some)
    assert small.to_pylist() == some.to_pylist()
    assert small.schema == some.schema
    assert sorted(dictionary(small.column("network"))) == ["a", "c"]
    assert lean(small).equals(small)
    with_nothing = whole.filter(pc.is_null(whole.column("network")))
    assert lean(with_nothing).to_pylist() == with_nothing.to_pylist()
    assert dictionary(lean(with_nothing).column("network")) == []
    assert lean(whole.slice(0, 0)).num_rows == 0
    assert lean(pa.concat_tables([some, whole])).to_pylist() == [
        *some.to_pylist(),
        *whole.to_pylist(),
    ]


def test_the_names_of_past_days_are_forgotten():
    tenant = Tenant(SETTINGS)
    for hour in range(0, 24 * 5, 6):
        networks = [f"net-{hour}-{n}" for n in range(20)]
        events = named(table(usual(hour)), networks=networks)
        for start in range(0, events.num_rows, 10):  # so many small batches are joined
            tenant.take(unpack_events(pack_events(events.slice(start, 10))))
    held = {
        name
        for part in tenant.ground.tail
        for chunk in part.read().column("network").chunks
        for name in chunk.dictionary.to_pylist()
    }
    assert held == {
        name for part in tenant.ground.tail for name in part.read().column("network").to_pylist()
    }
    assert len(held) < 20 * 4 * 3.5  # of the days that are open, not of all five


def test_no_tenant_is_told_the_names_of_another():
    events = named(table(usual(9)), networks=["hers", "his"], tenants=["she", "he"])
    told = dict(by_tenant(events, "nobody"))
    for who, whose in (("she", "hers"), ("he", "his")):
        body = pack_events(told[who])
        assert dictionary(unpack_events(body).column("network")) == [whose]
        assert dictionary(unpack_events(body).column("tenant")) == [who]
    assert told["she"].num_rows + told["he"].num_rows == events.num_rows


class Quiet:
    """A source that tells nothing but the time."""

    def __init__(self, clock):
        self.clock = clock

    def poll(self, _cursor):
        return Poll((), (), {"v": 1}, read_at=self.clock.now())


class Memory:
    """A destination that keeps what it was handed, or is away."""

    def __init__(self):
        self.held = []
        self.away = False

    def deliver(self, documents):
        if self.away:
            raise RetriableError("away", retry_after=0.0)
        self.held += documents
        return Delivery([(d["flag_id"], d["revision"]) for d in documents])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A loop over nothing; gives the ledger, the destination and what turns a day over."""
    monkeypatch.setattr(embedded, "_TIDY_SECONDS", 0.0)
    clock, sink = ManualClock(MONDAY), Memory()
    ledger = Ledger(tmp_path / "ledger.sqlite")
    loop = Embedded(
        SETTINGS,
        ledger,
        {"logs": Quiet(clock)},
        {"memory": sink},
        feeds={},
        unnamed=lambda: "t",
        clock=clock,
        metrics=Metrics(),
        health=Health(),
        log=structlog.get_logger(),
        keep_days=30,
    )

    def days(count):
        for _ in range(count):
            clock.advance(24 * HOUR)
            loop.step()

    loop.step()
    yield ledger, sink, days
    ledger.close()


def issue(ledger, revision):
    with ledger.transaction():
        text = json.dumps({"flag_id": "f-1", "revision": revision})
        ledger.add_documents("flag", [("f-1", revision, "t", text)])


def test_a_run_forgets_documents_after_their_days(run):
    ledger, sink, days = run
    issue(ledger, 1)
    days(1)
    issue(ledger, 2)
    days(29)
    assert ledger.counts()["documents"] == 2
    days(1)
    assert [d.revision for d in ledger.documents()] == [2]
    days(1)
    assert ledger.documents() == []
    assert [d["revision"] for d in sink.held] == [1, 2]


def test_a_run_keeps_what_a_destination_has_not_taken(run):
    ledger, sink, days = run
    sink.away = True
    issue(ledger, 1)
    days(40)
    assert ledger.counts()["documents"] == 1
    sink.away = False
    days(2)
    assert ledger.documents() == []
    assert [d["revision"] for d in sink.held] == [1]
