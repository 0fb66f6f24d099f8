"""A live tenant: whatever comes late, in the end all is as if it had been in time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from detectors.issued import IssuedFlags
from pipeline.correlate.issued import IssuedIncidents
from pipeline.model.feed import FeedNotice, FeedState
from pipeline.model.flag import FlagState
from pipeline.model.incident import IncidentState, RevisionReason
from pipeline.model.vocabulary import Client, FlagKind, Source
from pipeline.runtime.config import Config
from pipeline.runtime.judging import Judging, Settings
from pipeline.runtime.live.freezing import freeze, thaw
from pipeline.runtime.live.parts import GroundPart, IssuedPart
from pipeline.runtime.live.tenant import Tenant
from tests.live.small_tenant import (
    ADMIN,
    CLIENTS,
    HOUR,
    LEARNED,
    MONDAY,
    SETTINGS,
    USERS,
    digest,
    outage,
    table,
    usual,
)


class Stream:
    """Feeds hours to a tenant, judges after each, and keeps what is told."""

    def __init__(self, learned, settings=SETTINGS):
        self.tenant = thawed(learned, settings)
        self.hour = LEARNED
        self.flags, self.incidents = [], []

    def feed(self, rows):
        self.hour += 1
        self.tenant.take(table(rows))
        self.tenant.tell_time(MONDAY + self.hour * HOUR)
        self.keep(self.tenant.judge())

    def keep(self, issue):
        self.flags += issue.flags
        self.incidents += issue.incidents

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


def frozen(tenant):
    ground = freeze(tenant.ground)
    return ground.body, ground.parts, freeze(tenant.issued, whole=True).body


def thawed(state, settings=SETTINGS):
    body, parts, issued = state
    return Tenant(settings, thaw(body, parts, GroundPart), thaw(issued, {}, IssuedPart))


@pytest.fixture(scope="module")
def learned():
    return after_ordinary_days(SETTINGS)


def after_ordinary_days(settings):
    """A tenant after eight ordinary days, as bytes."""
    tenant = Tenant(settings)
    for at in range(0, LEARNED, 6):
        tenant.take(table([r for hour in range(at, at + 6) for r in usual(hour)]))
    tenant.tell_time(MONDAY + LEARNED * HOUR)
    assert not tenant.judge()
    return frozen(tenant)


def play(learned, hours, delay, *, each=None, settings=SETTINGS):
    """Feed ``hours`` (lists of rows); ``delay(row)`` is how many hours late a row comes."""
    stream = Stream(learned, settings)
    held = {}
    for at, rows in enumerate(hours):
        for row in rows:
            held.setdefault(at + delay(row), []).append(row)
        stream.feed(held.pop(at, []))
        if each is not None:
            each(stream)
    assert not held
    stream.tenant.tell_time(MONDAY + stream.hour * HOUR + HOUR)
    stream.keep(stream.tenant.judge(finish=True))
    return stream


def same(tardy, in_time):
    assert tardy.final_flags() == in_time.final_flags()
    assert tardy.final_incidents() == in_time.final_incidents()


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


def drops(at, rows):
    return [r for r in rows if at not in {2, 3, 4} or r[2] != "owa"]


def test_an_outage_is_told_while_it_lasts(learned):
    stream = Stream(learned)
    for rows in day(fails)[:4]:
        stream.feed(rows)
    assert stream.incidents[0].reason is RevisionReason.OPENED
    assert stream.incidents[0].published_at <= MONDAY + (LEARNED + 3) * HOUR


def test_late_failures_raise_the_flags_they_would_have_raised(learned):
    hours = day(fails)
    in_time = play(learned, hours, lambda _: 0)
    assert {f.kind for f in in_time.flags} >= {FlagKind.FAILURE_SPIKE}
    tardy = play(learned, hours, lambda row: 3 * (row[4] == 90036))
    same(tardy, in_time)
    told_in_order(tardy)
    arrived = MONDAY + (LEARNED + 5) * HOUR  # the failures of hour 2 came in hour 5
    assert tardy.incidents[0].reason is RevisionReason.CORRECTED
    assert min(i.raised_at for i in tardy.incidents) >= arrived
    assert min(f.raised_at for f in tardy.flags) >= arrived
    assert min(f.onset_at for f in tardy.flags) < arrived - 2 * HOUR


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
    assert tardy.incidents[0].reason is RevisionReason.OPENED
    last = tardy.incidents[-1]
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


def test_judging_once_tells_what_judging_each_hour_tells(learned):
    hours = day(fails, drops)
    each = play(learned, hours, lambda _: 0)
    once = Stream(learned)
    for rows in hours:
        once.tenant.take(table(rows))
    once.tenant.tell_time(MONDAY + (LEARNED + len(hours) + 1) * HOUR)
    once.keep(once.tenant.judge(finish=True))
    same(once, each)
    told_in_order(once)
    assert once.incidents[0].reason is RevisionReason.OPENED


def test_late_copies_change_nothing(learned):
    hours = day(fails)
    in_time = play(learned, hours, lambda _: 0)
    again = [rows + (hours[at - 2][::3] if at >= 2 else []) for at, rows in enumerate(hours)]
    twice = play(learned, again, lambda _: 0)
    assert twice.flags == in_time.flags
    assert twice.incidents == in_time.incidents


def test_a_record_of_a_settled_day_is_counted_and_changes_nothing(learned):
    hours = day(fails)
    in_time = play(learned, hours, lambda _: 0)
    old = [(1, USERS + 9, "owa", "service_fault", 90036), *hours[8]]
    tardy = play(learned, [*hours[:8], old], lambda _: 0)
    assert tardy.flags == in_time.flags
    assert tardy.tenant.ground.too_old == 1


def test_a_record_of_next_week_is_counted_and_closes_nothing(learned):
    stream = Stream(learned)
    clock = stream.tenant.clock
    stream.tenant.take(table([((LEARNED + 7 * 24) * 60, 1, "owa", "success", 0)]), clock)
    assert stream.tenant.ground.too_new == 1
    assert stream.tenant.clock == clock


def restart(stream):
    """Its head is gone: all since the ground is judged anew."""
    stream.tenant.prune()
    stream.tenant = thawed(frozen(stream.tenant), stream.tenant.settings)


@pytest.mark.parametrize("hours_late", [3, 6])
def test_a_restart_at_every_hour_changes_nothing(learned, hours_late):
    hours = day(fails, drops, length=14)
    late = lambda r: hours_late * (r[4] == 90036 and r[1] % 2)  # noqa: E731 # one rule for both
    straight = play(learned, hours, late)
    broken = play(learned, hours, late, each=restart)
    assert broken.flags == straight.flags
    assert broken.incidents == straight.incidents
    told_in_order(broken)


@pytest.mark.parametrize("pruned", [False, True])
def test_days_that_close_before_they_are_judged_again_are_told_once(learned, pruned):
    """A backlog's state is stored between two judgements, when what was told last is settled."""
    hours = day(fails, length=4 * 24)
    stream = Stream(learned)
    for rows in hours[:20]:
        stream.feed(rows)
    assert {f.state for f in stream.final_flags().values()} == {FlagState.CLOSED}
    for rows in hours[20:]:
        stream.hour += 1
        stream.tenant.take(table(rows))
        if pruned:
            restart(stream)
    assert stream.tenant.ground.closed_to > stream.tenant.issued.judged_to
    stream.keep(stream.tenant.judge())
    told_in_order(stream)
    same(stream, play(learned, hours, lambda _: 0))


def test_a_head_is_not_led_on_from_hours_that_were_incomplete():
    """Nothing more comes, and yet what is known of an hour changes: time passes."""
    delay = {"entra_signin_noninteractive": {"declared_delay_seconds": 6 * 3600}}
    detection = {"warm_up_hours": 96}
    slow = Settings.of(Config.model_validate({"detection": detection, "sources": delay}))
    learned = after_ordinary_days(slow)
    hours = day(fails, drops, length=11)
    straight = play(learned, hours, lambda _: 0, settings=slow)
    assert straight.flags
    broken = play(learned, hours, lambda _: 0, settings=slow, each=restart)
    assert broken.flags == straight.flags
    assert broken.incidents == straight.incidents


def test_a_head_is_made_anew_when_its_feed_turns_out_to_be_behind(learned):
    def behind(stream):
        at = MONDAY + stream.hour * HOUR
        sources = (Source.ENTRA_SIGNIN_NONINTERACTIVE,)
        done = stream.hour - LEARNED
        reached = at if done < 4 or done > 7 else at - 5 * HOUR
        state = FeedState.WORKING if reached == at else FeedState.BEHIND
        notice = FeedNotice("graph", sources, state, at, reached, MONDAY, 10**7)
        stream.tenant.hear("t", notice)

    def both(stream):
        restart(stream)
        behind(stream)

    hours = day(fails, drops, length=11)
    straight = play(learned, hours, lambda _: 0, each=behind)
    assert straight.flags
    broken = play(learned, hours, lambda _: 0, each=both)
    assert broken.flags == straight.flags
    assert broken.incidents == straight.incidents


def test_an_hour_is_led_by_the_head_once(learned, monkeypatch):
    """A tenant whose records come in time is judged for good hour by hour, not day by day."""
    stream, led = Stream(learned), []
    advance = Judging.advance

    def counted(judging, settings, events, **how):
        led.append((how["until"] - how["start"]) // HOUR)
        return advance(judging, settings, events, **how)

    for rows in day(length=5):
        stream.feed(rows)
    monkeypatch.setattr(Judging, "advance", counted)
    for rows in day(length=9)[5:]:
        stream.feed(rows)
    assert led == [1, 4] * 4


def test_going_on_from_an_older_ground_tells_nothing_twice(learned):
    hours = day(fails, length=16)
    straight = play(learned, hours, lambda _: 0)
    stream = Stream(learned)
    for rows in hours[:10]:
        stream.feed(rows)
    body, parts, _ = learned
    issued = freeze(stream.tenant.issued, whole=True).body
    stream.tenant = Tenant(SETTINGS, thaw(body, parts, GroundPart), thaw(issued, {}, IssuedPart))
    for rows in hours[:10]:
        stream.tenant.take(table(rows))
    for rows in hours[10:]:
        stream.feed(rows)
    stream.tenant.tell_time(MONDAY + stream.hour * HOUR + HOUR)
    stream.keep(stream.tenant.judge(finish=True))
    same(stream, straight)
    told_in_order(stream)


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


def test_what_is_held_is_bounded(learned):
    stream = Stream(learned)
    for number, rows in enumerate(day(length=80)):
        stream.tenant.take(table(rows))
        stream.hour += 1
        if number % 8 == 0:  # judging costs a tenth of a second, and holds nothing by itself
            stream.keep(stream.tenant.judge())
            stream.tenant.prune()
    assert stream.tenant.rows < 52 * 60 * len(CLIENTS)
    assert stream.tenant.ground.closed_to > MONDAY + (LEARNED + 24) * HOUR
