"""What an embedded run shows: an outage in each view, whatever is killed or comes late."""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
import structlog

from pipeline.ledger.reading import Reader
from pipeline.ledger.show import SHOWN_DAYS
from pipeline.ledger.showing import CellState
from pipeline.ledger.store import Ledger
from pipeline.match.impact import impact
from pipeline.match.ledger import ledger as leads_of
from pipeline.model.advisory import Answer, Reading
from pipeline.model.clock import ManualClock, to_us
from pipeline.model.contracts import AdvisoryPoll, Poll
from pipeline.model.documents import from_json, to_json
from pipeline.model.feed import FeedNotice, FeedState
from pipeline.model.incident import Incident
from pipeline.model.knowledge import assemble
from pipeline.model.vocabulary import Client, Service, Source
from pipeline.model.window import Gap
from pipeline.runtime.exposure import Exposures
from pipeline.runtime.health import Health
from pipeline.runtime.judging import Judging
from pipeline.runtime.live.answering import answer
from pipeline.runtime.live.embedded import Embedded
from pipeline.runtime.live.engine import freeze_issued, restored
from pipeline.runtime.live.freezing import freeze
from pipeline.runtime.live.showing import Part, Shows, keep, show
from pipeline.runtime.live.tenant import Tenant
from pipeline.runtime.live.times import microseconds
from pipeline.runtime.metrics import Metrics
from tests.live.small_tenant import HOUR, MONDAY, SETTINGS, outage, table, usual
from tests.unit.report import sample_folder

LEARNED = 5 * 24  # hours before the day in question; a level is known after four days
HOURS = LEARNED + 9
BEGAN = MONDAY + (LEARNED + 2) * HOUR
NOW = MONDAY + timedelta(days=30)
LOG = structlog.wrap_logger(
    structlog.testing.CapturingLogger(),
    processors=[],
    wrapper_class=structlog.make_filtering_bound_logger(0),
)


def rows_of(hour):
    return usual(hour) + (outage(hour) if hour - LEARNED in {2, 3} else [])


NEWEST = MONDAY + timedelta(minutes=max(r[0] for r in rows_of(HOURS - 1)))


@cache
def batch(at, until):
    return table([r for h in range(at, until) for r in rows_of(h)])


class Logs:
    """A bounded source of half a day a poll; the cursor is the next hour."""

    def poll(self, cursor):
        at = 0 if cursor is None else cursor["hour"]
        until = min(at + 12, HOURS)
        if at == until:
            return Poll((), (), {"hour": at}, finished=True)
        return Poll((batch(at, until),), (), {"hour": until}, read_at=MONDAY + until * HOUR)


def advisory(name, version, **changes):
    """One that names the client that failed; its second version declares it restored."""
    posts = sample_folder.advisory().posts
    told = [replace(p, created_at=BEGAN + (2 + 3 * n) * HOUR) for n, p in enumerate(posts)]
    stated = Reading(clients={Client.OUTLOOK_IOS: 1.0}, services=(Service.EXCHANGE_ONLINE,))
    made = sample_folder.advisory(
        name,
        title="Some users can't read mail in Outlook for iOS",
        status="serviceRestored" if version == 2 else "serviceDegradation",
        posts=tuple(told[: 2 * version - 1]),
        stated=stated,
        start_at=BEGAN - HOUR,
        last_modified_at=BEGAN + (1 + 3 * version) * HOUR,
        **changes,
    )
    return replace(assemble(made), symptom=made.symptom)


ADVISORIES = (
    advisory("EX1", 1),
    advisory("EX1", 2),
    advisory("SP2", 1, service="SharePoint Online"),
)


class Feed:
    """A feed that has told everything at once."""

    def changed_since(self, cursor):
        return AdvisoryPoll(() if cursor else ADVISORIES, (), {"v": 1})


def loop(ledger):
    return Embedded(
        SETTINGS,
        ledger,
        {"logs": Logs()},
        {},
        feeds={"feed": Feed()},
        unnamed=lambda: "t",
        clock=ManualClock(NOW),
        metrics=Metrics(),
        health=Health(),
        log=LOG,
    )


def play(running, ledger):
    while not running.finished:
        running.step()
    while answer(ledger, LOG):
        pass


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The ledger of an undisturbed run."""
    ledger = Ledger(tmp_path_factory.mktemp("straight") / "ledger.sqlite")
    play(loop(ledger), ledger)
    yield Reader(ledger.path)
    ledger.close()


def views(reader):
    """All that is shown, without row numbers and what the moment of a step decides."""
    hours = reader.timeline("t", since=MONDAY, until=MONDAY + HOURS * HOUR, limit=99)
    page = reader.advisories()
    return {
        "now": reader.now(),
        "hours": {s[:5]: s[5:] for s in map(_flat, hours)},
        "sources": reader.sources(),
        "advisories": [reader.advisory(a.advisory_id).versions for a in page.advisories],
        "answers": {a.advisory_id: a.impacts for a in page.advisories},
        "leads": sorted(
            (row["kind"], row.get("incident_id", ""), row.get("advisory_id", ""))
            for row in reader.leads().leads
        ),
        "cells": reader.front(now=NOW).cells,
    }


def _flat(series):
    return tuple(getattr(series, name) for name in type(series).__dataclass_fields__)


def one(found, client):
    (cell,) = [c for c in found if c.client == client]
    return cell


def test_an_outage_shows_in_the_timeline_and_quiet_clients_as_usual(straight):
    whole = {"since": BEGAN - 24 * HOUR, "until": BEGAN + 6 * HOUR}
    failing = straight.timeline("t", signals=("failure_rate",), **whole)
    by_client = {s.client: s for s in failing}
    hurt = by_client["outlook_ios"]
    at = hurt.hour.index(to_us(BEGAN) // 1_000_000)
    assert min(hurt.observed[at : at + 2]) > 20.0 > max(hurt.high[at : at + 2])
    assert max(hurt.observed[:at]) == 0.0
    assert max(by_client["owa"].observed) == 0.0
    assert len(hurt.hour) == 30
    assert hurt.hour == sorted(set(hurt.hour))


def test_the_timeline_is_that_of_a_backfill(straight):
    judged = backfilled()
    want = {}
    for row in itertools.chain.from_iterable(j.timeline.to_pylist() for j in judged):
        key = (row["source"], row["service"], row["client"], row["signal"])
        want.setdefault(key, {})[int(row["hour"].timestamp())] = row
    end = MONDAY + HOURS * HOUR
    for key, hours in want.items():
        (series,) = straight.timeline(
            "t", since=MONDAY, until=end, sources=key[:1], services=key[1:2], clients=key[2:3],
            signals=key[3:],
        )  # fmt: skip
        assert series.hour == [h for h in sorted(hours) if h < end.timestamp()]
        for name in ("observed", "expected", "low", "high"):
            told = [hours[h][name] for h in series.hour]
            assert getattr(series, name) == [
                None if v is None else pytest.approx(v, abs=6e-4) for v in told
            ]


def backfilled():
    """The days of the same records, judged as a backfill judges them."""
    judging, found = Judging(), []
    for day in range(0, HOURS, 24):
        rows = [r for h in range(day, min(day + 24, HOURS)) for r in rows_of(h)]
        start = MONDAY + day * HOUR
        found.append(
            judging.advance(
                SETTINGS, table(rows), start=start, until=start + 24 * HOUR,
                data_end=NEWEST,
            )
        )  # fmt: skip
    return found


def test_what_it_means_and_who_was_first_are_those_of_a_backfill(straight):
    chain = [from_json(Incident, d.document) for d in straight.documents(kind="incident")]
    assert any(i.advisory for i in chain)
    want = sorted(map(_row, map(to_json, leads_of(chain, ADVISORIES))))
    assert sorted(map(_row, straight.leads().leads)) == want
    judged = backfilled()
    exposures = Exposures()
    for block in judged:
        exposures.take(block.block)
    for shown in straight.advisories().advisories:
        newest = [a for a in ADVISORIES if a.advisory_id == shown.advisory_id][-1]
        pairs = {p: (n, 0.5) for p, n in exposures._daily.items()}
        assert pairs
        told = impact(newest, chain, {})
        assert shown.impact["answer"] == (
            told.answer if told.answer is Answer.YES else shown.impact["answer"]
        )
        assert shown.impact.get("incident_ids", []) == list(told.incident_ids)
    answers = {a.advisory_id: a.impact for a in straight.advisories().advisories}
    assert answers["EX1"]["answer"] == "yes"
    (hit,) = [c for c in answers["EX1"]["clients"] if c["client"] == "outlook_ios"]
    assert 40 <= hit["active_users"] <= 50
    assert 0.0 < hit["detectable_effect"] <= 1.0


def _row(document):
    return json.dumps(document, sort_keys=True)


def test_every_version_of_an_advisory_is_there_with_its_leads(straight):
    held = straight.advisory("EX1")
    assert [v["status"] for v in held.versions] == ["serviceDegradation", "serviceRestored"]
    assert [tenant for tenant, _ in held.impacts] == ["t"]
    assert {row["kind"] for row in held.leads} <= {"first", "late"}
    assert straight.advisory("nobody") is None
    summary = straight.lead_summary()
    assert sum(summary.kinds.values()) + summary.out_of_scope == len(straight.leads().leads)
    assert summary.median_lead_seconds is not None


def test_sources_tell_how_far_they_are(straight):
    (found,) = straight.sources()
    (log,) = found.logs
    assert (log.source, log.state, log.problem) == ("entra_signin_noninteractive", "working", "")
    assert log.last_record_at == found.at == NEWEST


def test_an_incident_and_an_advisory_are_found_by_their_words(straight):
    incident = straight.documents(kind="incident")[-1]
    found = straight.search(incident.id)
    assert [h.id for h in found] == [incident.id]
    kinds = Counter(h.kind for h in straight.search("outlook ios"))
    assert set(kinds) == {"incident", "advisory"}
    assert [h.id for h in straight.search("EX1 read mail", kinds=("advisory",))] == ["EX1"]


class Stream:
    """A tenant judged hour by hour into a ledger."""

    def __init__(self, path, tenant=None, first=0):
        self.ledger = Ledger(path)
        self.tenant, self.hour = tenant or Tenant(SETTINGS), first

    def feed(self, *hours):
        """Take the rows of some hours in, judge once and keep what is shown."""
        for rows in hours:
            self.hour += 1
            self.tenant.take(table(rows))
        self.tenant.tell_time(MONDAY + self.hour * HOUR)
        self.tenant.judge()
        with self.ledger.transaction():
            show(self.ledger, {"t": self.tenant}, to_us(NOW))

    def reader(self):
        return Reader(self.ledger.path)


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory):
    """A tenant after eight ordinary days, as bytes, and its ledger."""
    stream = Stream(tmp_path_factory.mktemp("ordinary") / "ledger.sqlite")
    stream.feed(*map(usual, range(LEARNED)))
    stream.ledger.close()
    frozen = freeze(stream.tenant.ground)
    return frozen.body, frozen.parts, freeze_issued(stream.tenant.issued), stream.ledger.path


def begun(ordinary, path):
    *state, ledger = ordinary
    shutil.copy(ledger, path)
    return Stream(path, restored(SETTINGS, *state), LEARNED)


@pytest.fixture
def learned(ordinary, tmp_path):
    """That tenant, going on in a ledger of its own."""
    stream = begun(ordinary, tmp_path / "ledger.sqlite")
    yield stream
    stream.ledger.close()


def test_now_tells_what_fails_while_it_fails(learned):
    learned.feed(*(rows_of(LEARNED + at) for at in range(3)))
    (found,) = learned.reader().now()
    assert found.at == MONDAY + learned.hour * HOUR
    hurt, well = one(found.cells, "outlook_ios"), one(found.cells, "owa")
    assert (hurt.state, well.state) == (CellState.HIGH, CellState.USUAL)
    assert hurt.warm
    assert found.states == {"high": 1, "usual": 3}
    assert hurt.hours[-2].failing > 20
    assert hurt.hours[-2].attempts > well.hours[-2].attempts
    front = learned.reader().front(now=found.at)
    assert (front.cells, front.tenants, front.newest_at) == (found.states, 1, found.at)
    assert learned.reader().completeness() == front.least_completeness > 0.9


def test_now_tells_who_is_missing_and_what_is_not_known_yet(learned):
    hours = [usual(LEARNED + at) for at in range(6)]
    learned.feed(*([r for r in rows if r[2] != "owa" or at < 2] for at, rows in enumerate(hours)))
    (found,) = learned.reader().now()
    assert one(found.cells, "owa").state is CellState.LOW
    fresh = Stream(learned.ledger.path.with_name("fresh.sqlite"))
    fresh.feed(*map(usual, range(5)))
    (new,) = fresh.reader().now()
    assert set(new.states) == {"warming_up"}
    assert not one(new.cells, "owa").warm


def test_a_tenant_of_whom_nothing_comes_is_blind(learned):
    learned.hour += 60
    learned.feed()
    (found,) = learned.reader().now()
    assert set(found.states) == {"blind"}
    assert len(found.cells) == 4
    assert learned.reader().completeness() == 0.0


def test_late_records_change_the_hours_they_belong_to(learned, ordinary, tmp_path):
    in_time = begun(ordinary, tmp_path / "in_time.sqlite")
    hours = [usual(LEARNED + at) for at in range(6)]
    late, punctual = hours[1][:60], hours[1][60:]
    last = usual(LEARNED + 6)
    in_time.feed(*hours, last)
    learned.feed(hours[0], punctual, *hours[2:])
    before = hour_of(learned)
    learned.feed([*last, *late])
    after = hour_of(learned)
    assert after == hour_of(in_time)
    assert before["outlook_ios"] == 0.0 < after["outlook_ios"]
    in_time.ledger.close()


def hour_of(stream):
    """Users by client in the second hour of the day."""
    hour = to_us(MONDAY + (LEARNED + 1) * HOUR) // 1_000_000
    found = stream.reader().timeline("t", since=MONDAY, until=NOW, signals=("active_users",))
    return {s.client: s.observed[s.hour.index(hour)] for s in found}


def test_a_feed_that_fails_shows_among_the_sources(learned):
    at = MONDAY + LEARNED * HOUR
    sources = (Source.ENTRA_SIGNIN_NONINTERACTIVE,)
    notice = FeedNotice(
        "graph_signins", sources, FeedState.FAILING, at, at - HOUR, at - HOUR, 3600, "no consent"
    )
    learned.tenant.hear("t", notice)
    learned.feed(usual(LEARNED))
    (found,) = learned.reader().sources()
    (feed,) = found.feeds
    assert (feed.state, feed.problem, feed.late_seconds) == ("failing", "no consent", 3600.0)
    assert learned.reader().front(now=at).feeds_unwell == 1
    learned.tenant.hear("t", replace(notice, state=FeedState.WORKING, complete_to=at, problem=""))
    learned.feed(usual(LEARNED + 1))
    assert learned.reader().front(now=at).feeds_unwell == 0


def test_a_gap_shows_where_it_ends_and_goes_when_late_records_fill_it(learned):
    start = MONDAY + LEARNED * HOUR
    judged = Judging().advance(SETTINGS, table([]), start=start, until=start + 24 * HOUR)
    source = Source.ENTRA_SIGNIN_NONINTERACTIVE
    gap = Gap("t", source, start + 2 * HOUR, start + 5 * HOUR, 412.04)
    shows = Shows()
    shows.settled(replace(judged, block=replace(judged.block, gaps=(gap,))))
    ended = [p.name for p in shows.take() if p.what == "hour" and p.body["gaps"]]
    assert ended == [str(to_us(start + 4 * HOUR) // 1_000_000)]
    shows.settled(replace(judged, block=replace(judged.block, gaps=(gap,))))
    assert shows.take() == []  # nothing has changed
    hour = {"hour": int(ended[0]), "lanes": []}
    told = [source.value, int(ended[0]) - 2 * 3600, int(ended[0]) + 3600, 412.0]
    learned.feed([])
    for gaps in ([told], []):
        with learned.ledger.transaction():
            keep(learned.ledger, "t", [Part("hour", ended[0], {**hour, "gaps": gaps})], 1)
        (found,) = learned.reader().sources()
        assert [m.expected for log in found.logs for m in log.missing] == [g[3] for g in gaps]


def test_what_is_shown_again_after_a_restart_changes_nothing(learned):
    learned.feed(*(rows_of(LEARNED + at) for at in range(3)))
    before = views(learned.reader())
    again = Tenant(SETTINGS, learned.tenant.ground, learned.tenant.issued)
    again.judge()
    with learned.ledger.transaction():
        show(learned.ledger, {"t": again}, to_us(NOW))
    after = views(learned.reader())
    assert after["hours"] == before["hours"]
    assert after["cells"] == before["cells"]


def test_an_earlier_moment_does_not_replace_a_later_one(learned):
    body = {"at": 5, "hours": [0], "sources": {}, "cells": [], "lanes": [], "gaps": []}
    body |= {"completeness": {}, "feeds": [], "logs": {}}
    with learned.ledger.transaction():
        keep(learned.ledger, "t", [Part("now", "", body)], 1)
    (found,) = learned.reader().now()
    assert found.at == MONDAY + LEARNED * HOUR


def test_what_is_shown_is_no_part_of_the_state(learned):
    before = freeze(learned.tenant.ground)
    assert b"showing" not in before.body
    events = table(usual(0))
    learned.tenant.shows.took(events, microseconds(events, "event_time"))
    learned.tenant.shows.advised(ADVISORIES)
    after = freeze(learned.tenant.ground)
    assert (after.body, after.parts) == (before.body, before.parts)


def test_the_timeline_is_forgotten_after_its_days(learned):
    first = learned.ledger._db.execute("SELECT min(day) FROM hours").fetchone()[0]
    body = {"at": to_us(MONDAY + timedelta(days=SHOWN_DAYS + 3)), "hours": [], "sources": {}}
    body |= {"cells": [], "lanes": [], "gaps": [], "completeness": {}, "feeds": [], "logs": {}}
    with learned.ledger.transaction():
        keep(learned.ledger, "t", [Part("now", "", body)], 1)
    left = learned.ledger._db.execute("SELECT min(day) FROM hours").fetchone()[0]
    assert left == first + 3


class KilledError(BaseException):
    """As kill -9: nothing catches it."""


STEPS = ("put_now", "put_hour", "put_watched", "put_heard")
ANSWERS = ("put_leads", "settle_stale")


@pytest.mark.parametrize("where", [*STEPS, *ANSWERS])
def test_killed_at_any_point_it_shows_the_same(tmp_path, straight, where):
    count = itertools.count(1)
    fatal = {1, 2, 5, 17, 40}

    class Fragile(Ledger):
        def __getattribute__(self, name):
            if name == where and next(count) in fatal:
                raise KilledError
            return super().__getattribute__(name)

    killed = 0
    while True:
        ledger = Fragile(tmp_path / "ledger.sqlite")
        try:
            play(loop(ledger), ledger)
        except KilledError:
            killed += 1
        else:
            break
        finally:
            ledger.close()
    assert killed >= 2
    assert views(Reader(tmp_path / "ledger.sqlite")) == views(straight)


def test_a_document_of_another_version_is_left_out_and_stops_nobody(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with ledger.transaction():
        ledger.add_documents("incident", [("i", 1, "t", '{"incident_id": "i", "odd": 1}')])
    assert answer(ledger, LOG)
    assert not answer(ledger, LOG)
    assert Reader(ledger.path).leads().leads == []
