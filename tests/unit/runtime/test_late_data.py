"""Records that come after their window has closed: in the end all is as if they had been in time."""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from detectors.issued import IssuedFlags
from pipeline.correlate.issued import IssuedIncidents
from pipeline.model.event import EVENT_SCHEMA
from pipeline.model.flag import FlagState
from pipeline.model.incident import IncidentState, RevisionReason
from pipeline.model.vocabulary import Client, FlagKind
from pipeline.runtime.config import Config
from pipeline.runtime.stages import Stages
from pipeline.window.table import to_table

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
HORIZON = timedelta(hours=6)
LEARNED = 8 * 24  # hours before the day in question
CLIENTS = ("outlook_ios", "owa", "outlook_windows_classic", "outlook_android")
ADMIN = "other"  # the client of directory changes
USERS = 50


def usual(hour):
    """Rows (minute, user, client, outcome, code) of an ordinary hour; always the same ones."""
    rng = np.random.default_rng(hour)
    return [
        (hour * 60 + int(rng.integers(60)), user + 1, client, "success", 0)
        for client in CLIENTS
        for user in np.flatnonzero(rng.random(USERS) < 0.85).tolist()
    ]


def digest(row):
    return hashlib.blake2b(repr(row).encode(), digest_size=16).digest()


def table(rows):
    digests = [digest(r) for r in rows]
    n = len(rows)
    columns = list(zip(*rows, strict=True)) if rows else [[]] * 5
    stamps = [MONDAY + timedelta(minutes=m) for m in columns[0]]
    held = {
        "event_id": digests,
        "event_time": stamps,
        "tenant": ["t"] * n,
        "source": [
            "entra_directory_audit" if c == ADMIN else "entra_signin_noninteractive"
            for c in columns[2]
        ],
        "service": ["exchange_online"] * n,
        "client": columns[2],
        "operation": ["conditional_access" if c == ADMIN else "sign_in" for c in columns[2]],
        "outcome": columns[3],
        "error_code": columns[4],
        "user": [u * 7919 for u in columns[1]],
        "country": ["DE"] * n,
        "network": [f"AS{u % 5}" for u in columns[1]],
        "weight": [1] * n,
        "flags": [0] * n,
    }
    arrays = [
        pa.array(held.get(f.name, [None] * n), pa.string()).dictionary_encode()
        if pa.types.is_dictionary(f.type)
        else pa.array(held.get(f.name, [None] * n), f.type)
        for f in EVENT_SCHEMA
    ]
    return pa.table(arrays, schema=EVENT_SCHEMA)


class Stream:
    """Feeds hours to the stages and keeps what they give."""

    def __init__(self, learned):
        self.stages = pickle.loads(learned)  # noqa: S301 # our own bytes
        self.hour = LEARNED
        self.flags, self.incidents, self.rows, self.drawn = [], [], {}, {}

    def feed(self, rows):
        start = MONDAY + self.hour * HOUR
        outcome = self.stages.advance(table(rows), start=start, until=start + HOUR)
        self.hour += 1
        self.flags += outcome.flags
        self.incidents += outcome.incidents
        for block in (*outcome.corrected, outcome.block):
            for row in to_table(block).to_pylist():
                key = (row["minute"], row["source"], row["service"], row["client"])
                assert row.pop("revision") == 1 or key in self.rows
                self.rows[key] = row
        for row in outcome.timeline.to_pylist():
            self.drawn[row["hour"], row["client"], row["signal"]] = row
        return outcome

    def final_flags(self):
        plain = IssuedFlags().plain
        newest = {f.flag_id: f for f in self.flags}
        held = (f for f in newest.values() if f.state is not FlagState.RETRACTED)
        return {f.flag_id: plain(f) for f in held}

    def final_incidents(self):
        plain = IssuedIncidents().plain
        newest = {i.incident_id: i for i in self.incidents}
        held = (i for i in newest.values() if i.state is not IncidentState.RETRACTED)
        return {i.incident_id: plain(i) for i in held}


@pytest.fixture(scope="module")
def learned():
    """The stages after eight ordinary days, as bytes."""
    config = Config.model_validate({"detection": {"warm_up_hours": 96}})
    stages = Stages(config, late_horizon=HORIZON)
    for at in range(0, LEARNED, 6):
        rows = [r for hour in range(at, at + 6) for r in usual(hour)]
        start = MONDAY + at * HOUR
        outcome = stages.advance(table(rows), start=start, until=start + 6 * HOUR)
        assert not outcome.flags
    return pickle.dumps(stages)


def outage(hour, *, client="outlook_ios", share=0.6):
    """Failures added to an ordinary hour."""
    users = range(1, int(USERS * share))
    return [(hour * 60 + (7 * u) % 60, u, client, "service_fault", 90036) for u in users]


def play(learned, hours, delay, *, each=None):
    """Feed ``hours`` (lists of rows); ``delay(row)`` is how many hours late a row comes."""
    stream = Stream(learned)
    held = {}
    for at, rows in enumerate(hours):
        for row in rows:
            held.setdefault(at + delay(row), []).append(row)
        stream.feed(held.pop(at, []))
        if each is not None:
            each(stream)
    assert not held
    return stream


def same(tardy, in_time):
    assert tardy.final_flags() == in_time.final_flags()
    assert tardy.final_incidents() == in_time.final_incidents()
    assert tardy.rows == in_time.rows
    assert tardy.drawn == in_time.drawn


def told_in_order(stream):
    """Keys are unique, revisions count up, and nothing is published before it was raised."""
    for documents, key in ((stream.flags, "flag_id"), (stream.incidents, "incident_id")):
        seen = Counter()
        for document in documents:
            seen[getattr(document, key)] += 1
            assert document.revision == seen[getattr(document, key)]
    published = {}
    for incident in stream.incidents:
        assert incident.raised_at <= incident.published_at
        assert published.get(incident.incident_id, MONDAY) <= incident.published_at
        published[incident.incident_id] = incident.published_at


def day(*changed, length=9):
    """Hours of the day in question, after ``changed`` has been at each of them."""
    hours = []
    for at in range(LEARNED, LEARNED + length):
        rows = usual(at)
        for change in changed:
            rows = change(at - LEARNED, rows)
        hours.append(rows)
    return hours


def fails(at, rows):
    return rows + outage(LEARNED + at) if at in {2, 3} else rows


def test_late_failures_raise_the_flags_they_would_have_raised(learned):
    hours = day(fails)
    in_time = play(learned, hours, lambda _: 0)
    assert {f.kind for f in in_time.flags} >= {FlagKind.FAILURE_SPIKE}
    tardy = play(learned, hours, lambda row: 3 * (row[4] == 90036))
    same(tardy, in_time)
    told_in_order(tardy)
    arrived = MONDAY + (LEARNED + 5) * HOUR  # the failures of hour 2 came after hour 4 closed
    assert tardy.incidents[0].reason is RevisionReason.CORRECTED
    assert min(i.raised_at for i in tardy.incidents) >= arrived
    assert min(f.raised_at for f in tardy.flags) >= arrived
    assert min(f.onset_at for f in tardy.flags) < arrived - 2 * HOUR


def drops(at, rows):
    return [r for r in rows if at not in {2, 3, 4} or r[2] != "owa"]


def test_late_accesses_take_a_drop_back(learned):
    hours = day()
    in_time = play(learned, hours, lambda _: 0)
    assert not in_time.final_flags()
    lost = range(LEARNED + 2, LEARNED + 5)
    tardy = play(learned, hours, lambda r: 4 * (r[2] == "owa" and r[0] // 60 in lost))
    same(tardy, in_time)
    told_in_order(tardy)
    flags = [f for f in tardy.flags if f.client is Client.OWA]
    assert flags[0].kind is FlagKind.VOLUME_DROP
    assert flags[0].state is FlagState.OPEN
    assert flags[-1].state is FlagState.RETRACTED
    assert flags[-1].corrected_at > flags[0].raised_at
    opened, *_, last = tardy.incidents
    assert opened.reason is RevisionReason.OPENED
    assert (last.state, last.reason) == (IncidentState.RETRACTED, RevisionReason.CORRECTED)
    assert last.affected_users == 0
    assert "taken back" in last.headline


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_comes_late_the_end_is_the_same(learned, seed):
    hours = day(fails, drops)
    in_time = play(learned, hours, lambda _: 0)
    assert len({f.client for f in in_time.flags}) >= 2
    late = np.random.default_rng(seed).choice([0, 1, 3], 256, p=[0.9, 0.07, 0.03])
    last = (LEARNED + len(hours) - 3) * 60
    tardy = play(learned, hours, lambda r: 0 if r[0] >= last else int(late[digest(r)[0]]))
    same(tardy, in_time)
    told_in_order(tardy)
    assert any(f.corrected_at for f in tardy.flags)


def test_what_stays_the_same_keeps_its_id_and_its_date(learned):
    hours = day(fails)
    in_time = play(learned, hours, lambda _: 0)
    tardy = play(learned, hours, lambda r: 2 * (r[0] == (LEARNED + 3) * 60 + 58))
    same(tardy, in_time)
    for flag in tardy.flags:
        assert flag.state is not FlagState.RETRACTED
        first = next(f for f in tardy.flags if f.flag_id == flag.flag_id)
        assert flag.raised_at == first.raised_at
        assert first in in_time.flags
    assert {i.raised_at for i in tardy.incidents} == {i.raised_at for i in in_time.incidents}


def test_late_copies_change_nothing(learned):
    hours = day(fails)
    in_time = play(learned, hours, lambda _: 0)
    again = [rows + (hours[at - 2][::3] if at >= 2 else []) for at, rows in enumerate(hours)]
    twice = play(learned, again, lambda _: 0)
    assert twice.flags == in_time.flags
    assert twice.incidents == in_time.incidents
    assert twice.stages.windows.reopened == 0
    assert twice.stages.windows.duplicates > 100


def test_a_record_beyond_the_horizon_is_counted_and_changes_nothing(learned):
    hours = day(fails)
    in_time = play(learned, hours, lambda _: 0)
    old = [(1, USERS + 9, "owa", "service_fault", 90036), *hours[8]]
    tardy = play(learned, [*hours[:8], old, *hours[9:]], lambda _: 0)
    assert tardy.flags == in_time.flags
    assert tardy.stages.windows.outside == in_time.stages.windows.outside + 1


def test_a_restart_at_every_hour_changes_nothing(learned):
    def restart(stream):
        stream.stages = pickle.loads(pickle.dumps(stream.stages))  # noqa: S301 # our own bytes

    hours = day(fails)
    late = lambda r: 3 * (r[4] == 90036 and r[1] % 2)  # noqa: E731 # one rule for both
    straight = play(learned, hours, late)
    broken = play(learned, hours, late, each=restart)
    assert broken.flags == straight.flags
    assert broken.incidents == straight.incidents


def test_a_late_directory_change_explains_what_it_would_have_explained(learned):
    def blocked(at, rows):
        users = range(1, USERS * 3 // 5)
        late = [((LEARNED + at) * 60 + u % 60, u, "owa", "policy", 53003) for u in users]
        return rows + late if at in {2, 3} else rows

    change = ((LEARNED + 2) * 60, 1, ADMIN, "success", 0)
    hours = day(blocked)
    unexplained = play(learned, hours, lambda _: 0)
    hours[2] = [*hours[2], change]
    in_time = play(learned, hours, lambda _: 0)
    assert in_time.final_incidents() != unexplained.final_incidents()
    same(play(learned, hours, lambda r: 4 * (r == change)), in_time)


def test_a_flag_older_than_the_horizon_is_not_taken_back(learned):
    def long(at, rows):
        return rows + outage(LEARNED + at) if 1 <= at <= 12 else rows

    hours = day(long, length=16)
    in_time = play(learned, hours, lambda _: 0)
    flag = next(f for f in in_time.flags if f.kind is FlagKind.FAILURE_SPIKE)
    assert flag.alarm_at < MONDAY + (LEARNED + 2) * HOUR
    tardy = play(learned, hours, lambda r: 2 * (r[0] // 60 == LEARNED + 11 and r[1] < 9))
    same(tardy, in_time)
    told_in_order(tardy)
    assert tardy.stages.windows.reopened > 0
    assert FlagState.RETRACTED not in {f.state for f in tardy.flags if f.flag_id == flag.flag_id}
    first = tardy.incidents[0].incident_id
    assert IncidentState.RETRACTED not in {
        i.state for i in tardy.incidents if i.incident_id == first
    }


def test_what_is_kept_is_bounded(learned):
    hours = day(fails, length=20)
    stream = play(learned, hours, lambda r: 2 * (r[1] == 3 and r[0] < (LEARNED + 16) * 60))
    stages = stream.stages
    assert len(stages.past.steps) == len(stages.windows.kept) == HORIZON // HOUR
    assert {s.start for s in stages.past.steps} == {k.block.start for k in stages.windows.kept}
    assert len(stream.final_flags()) > 0
    assert not stages.past.issued_flags.last  # closed more than the horizon ago
    assert not stages.past.flags_before


def test_a_backfill_keeps_nothing(learned):
    stages = Stages(Config())
    stages.advance(table(usual(0)), start=MONDAY, until=MONDAY + HOUR)
    assert stages.past is None
    assert stages.windows.kept == ()
