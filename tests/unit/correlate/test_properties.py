"""What must hold whatever is given: grouping of hours, order, repetition, privacy, restarts."""

from __future__ import annotations

import itertools
import pickle
import random
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.correlate.snapshot import restore, snapshot
from pipeline.correlate.stage import advance
from pipeline.correlate.state import CorrelateState
from pipeline.model.change import ChangeKind, TenantChange
from pipeline.model.documents import from_json, to_json, to_line
from pipeline.model.errors import StateError
from pipeline.model.incident import Incident
from pipeline.model.vocabulary import Client, FlagKind, OutcomeFamily
from pipeline.model.window import Gap

IOS, ANDROID, OWA = Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID, Client.OWA
KINDS = [FlagKind.FAILURE_SPIKE, FlagKind.VOLUME_DROP, FlagKind.RETRY_SURGE]

scenario = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from([IOS, ANDROID, OWA, Client.IMAP4, Client.OTHER]),
        st.sampled_from(list(OutcomeFamily)),
        st.integers(0, 23 * 60),
        st.integers(5, 400),
        st.sampled_from([11.0, 14.0, 60.0]),
    ),
    max_size=6,
)


def flags_of(town: Any, drawn: Any) -> list[Any]:
    out = []
    for at, (kind, client, family, onset, length, score) in enumerate(drawn):
        start = town.at(0) + timedelta(minutes=onset)
        flag = town.flag(
            kind,
            client,
            start,
            name=str(at),
            family=family if kind is FlagKind.FAILURE_SPIKE else None,
            source=town.audit if kind is FlagKind.VOLUME_DROP else town.signin,
            alarm=min(start + timedelta(minutes=7), town.at(23, 59)),
            score=score,
        )
        out.append(flag)
        end = start + timedelta(minutes=length)
        if flag.alarm_at < end < town.at(24):
            out.append(town.closing(flag, end))
    return out


def moment(flag: Any) -> Any:
    return flag.closed_at or flag.alarm_at


def play(
    town: Any,
    flags: Any,
    hours_each: Any,
    *,
    changes: Any = (),
    gaps: Any = (),
    hop: Any = lambda s: s,
) -> Any:
    """Give the Thursday to the stage in blocks of ``hours_each``."""
    run = town.run()
    fail, drop = town.fail({IOS}, "service", 90033), town.drop({ANDROID})
    start = 0
    for count in hours_each:
        lo, hi = town.at(start), town.at(start + count)
        inside = [f for f in flags if lo <= moment(f) < hi]
        run.state = hop(run.state)
        run.hours(
            count,
            inside,
            lambda rows: drop(fail(rows)),
            changes=[c for c in changes if lo <= c.at < hi],
            gaps=[g for g in gaps if lo < g.end <= hi],
        )
        start += count
    return run


def lines(run: Any) -> list[str]:
    return [to_line(i) for i in run.incidents]


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=scenario, cuts=st.sets(st.integers(1, 23), max_size=6))
def test_grouping_of_hours_changes_nothing(town: Any, drawn: Any, cuts: Any) -> None:
    flags = flags_of(town, drawn)
    edges = [0, *sorted(cuts), 24]
    parts = [b - a for a, b in itertools.pairwise(edges)]
    changes = [TenantChange(town.tenant, town.at(8, 30), ChangeKind.CONDITIONAL_ACCESS)]
    gaps = [Gap(town.tenant, town.audit, town.at(14), town.at(16), 500.0)]
    whole = play(town, flags, [24], changes=changes, gaps=gaps)
    hourly = play(town, flags, [1] * 24, changes=changes, gaps=gaps)
    mixed = play(town, flags, parts, changes=changes, gaps=gaps)
    assert lines(whole) == lines(hourly) == lines(mixed)
    assert snapshot(whole.state) == snapshot(hourly.state)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=scenario, seed=st.integers(0, 99))
def test_order_and_repetition_of_flags_change_nothing(town: Any, drawn: Any, seed: Any) -> None:
    flags = flags_of(town, drawn)
    shuffled = flags + flags
    random.Random(seed).shuffle(shuffled)
    assert lines(play(town, flags, [12, 12])) == lines(play(town, shuffled, [12, 12]))


def test_order_of_rows_changes_nothing(town: Any) -> None:
    flags = [town.flag(FlagKind.FAILURE_SPIKE, IOS, town.at(9, 5), family=OutcomeFamily.SERVICE)]
    fail = town.fail({IOS}, "service", 90033)

    def mixed(rows: Any) -> list[Any]:
        rows = fail(rows)
        random.Random(4).shuffle(rows)
        return rows

    one, two = town.run(), town.run()
    one.hours(11, flags, fail)
    two.hours(11, flags, mixed)
    assert lines(one) == lines(two)
    assert one.incidents


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=scenario)
def test_documents_read_back_and_keys_are_unique(town: Any, drawn: Any) -> None:
    run = play(town, flags_of(town, drawn), [24])
    keys = [(i.incident_id, i.revision) for i in run.incidents]
    assert len(set(keys)) == len(keys)
    for incident in run.incidents:
        assert from_json(Incident, to_json(incident)) == incident
        assert incident.raised_at <= incident.published_at
        assert 0.0 <= incident.confidence <= 1.0
        assert incident.clients


SOME = [
    (FlagKind.FAILURE_SPIKE, IOS, OutcomeFamily.SERVICE, 545, 120, 14.0),
    (FlagKind.VOLUME_DROP, ANDROID, OutcomeFamily.SERVICE, 540, 300, 14.0),
    (FlagKind.FAILURE_SPIKE, Client.IMAP4, OutcomeFamily.CREDENTIAL, 600, 100, 12.0),
]


@pytest.mark.parametrize(
    "hop",
    [lambda s: restore(snapshot(s)), lambda s: pickle.loads(pickle.dumps(s))],  # noqa: S301 # our own bytes
    ids=["snapshot", "pickle"],
)
def test_a_restart_at_every_hour_changes_nothing(town: Any, hop: Any) -> None:
    flags = flags_of(town, SOME)
    straight = play(town, flags, [1] * 24)
    assert len(straight.latest()) == 2
    assert lines(play(town, flags, [1] * 24, hop=hop)) == lines(straight)


def test_the_given_state_is_not_changed(town: Any) -> None:
    before = snapshot(town.week)
    play(town, flags_of(town, SOME), [24])
    assert snapshot(town.week) == before


def test_a_damaged_or_foreign_state_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    good = snapshot(CorrelateState())
    with pytest.raises(StateError, match="damaged"):
        restore(good[: len(good) // 2])
    monkeypatch.setattr("pipeline.correlate.snapshot.VERSION", "outrider.correlate-state/9")
    with pytest.raises(StateError, match="needed is"):
        restore(good)


def test_no_user_id_appears_in_any_document(town: Any) -> None:
    run = play(town, flags_of(town, SOME), [24])
    ids = {town.user_id(u) for u in range(town.users)}
    spelled = {form for i in ids for form in (str(i), f"{i:x}", f"{i:016x}")}
    found = set()
    for line in lines(run):
        found |= set(re.findall(r"[0-9a-f]{8,}", line)) & spelled
    assert not found
    assert max(i.affected_users for i in run.incidents) > 30


def test_memory_is_bounded_to_eight_days(town: Any) -> None:
    run = town.run()
    run.hours(24 * 9)
    assert len(run.state.history.hours) == 192
    assert len(run.state.history.good) <= 9
    assert all(len(c) <= 192 for c in run.state.history.users.values())


def test_names_no_longer_used_are_forgotten(town: Any) -> None:
    run = town.run()

    def roaming(rows: Any) -> list[Any]:
        return [
            town.Row(
                r.hour, r.source, r.service, r.client, r.user, r.country,
                r.network and f"net-{r.hour:%d%H}-{r.user % 50}",
            )
            for r in rows
        ]  # fmt: skip

    run.hours(48, (), roaming)
    grown = len(run.state.history.names.values)
    run.hours(24 * 9)
    assert len(run.state.history.names.values) < grown / 3
    flag = town.flag(FlagKind.FAILURE_SPIKE, IOS, run.at + timedelta(hours=9), family="service")
    run.hours(12, [flag], town.fail({IOS}, "service", 90033, 1.0, lambda r: r.country == "US"))
    assert ("country", "US") in {(s.dimension, s.value) for s in run.last.scope}


def test_a_block_of_broken_hours_is_refused(town: Any) -> None:
    run = town.run()
    bad = town.block(town.at(0, 30), 1)
    with pytest.raises(ValueError, match="whole hours only"):
        advance(run.state, bad, ())
