"""Flags as they are issued: what late records change, and how it is dated."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from detectors.issued import IssuedFlags
from pipeline.model.flag import Flag, FlagState
from pipeline.model.vocabulary import Client, FlagKind, Service, Signal, Source

NINE = datetime(2026, 3, 19, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LATE = NINE + 300 * MINUTE


def flag(name="flag-1", **more):
    held = Flag(
        flag_id=name,
        revision=1,
        state=FlagState.OPEN,
        tenant="contoso",
        source=Source.ENTRA_SIGNIN,
        service=Service.EXCHANGE_ONLINE,
        client=Client.OUTLOOK_IOS,
        signal=Signal.ACTIVE_USERS,
        kind=FlagKind.VOLUME_DROP,
        onset_at=NINE,
        alarm_at=NINE + 10 * MINUTE,
        raised_at=NINE + 15 * MINUTE,
        score=12.0,
        p_value=6e-6,
        detector="volume_drop",
        detector_version="1",
    )
    return replace(held, **more)


def closed(name="flag-1", **more):
    end = NINE + 60 * MINUTE
    times = {"closed_at": end, "decided_at": end + 9 * MINUTE}
    return flag(name, revision=2, state=FlagState.CLOSED, **{**times, **more})


RAISED = NINE + 15 * MINUTE


@pytest.fixture
def issued():
    out = IssuedFlags()
    assert out.follow([flag()], RAISED) == [flag()]
    return out


def correct(issued, *truth):
    """What was judged before is judged again with records that came late."""
    return issued.follow(truth, LATE, judged_to=LATE)


def go_on(issued, *truth):
    """More is due than when it was judged last."""
    return issued.follow(truth, LATE, judged_to=RAISED)


def test_revisions_in_their_time_are_as_the_detector_gave_them(issued):
    assert go_on(issued, flag(), closed()) == [closed()]


def test_what_is_not_due_is_not_told(issued):
    assert issued.follow([flag(), closed()], NINE + 68 * MINUTE, judged_to=RAISED) == []


def test_a_flag_that_late_records_close_keeps_its_id_and_date(issued):
    (out,) = correct(issued, closed(raised_at=NINE + 14 * MINUTE))
    assert (out.flag_id, out.revision, out.state) == ("flag-1", 2, FlagState.CLOSED)
    assert out.raised_at == RAISED
    assert out.corrected_at == LATE
    assert correct(issued, closed()) == []


def test_a_flag_that_late_records_open_again_counts_on(issued):
    go_on(issued, flag(), closed())
    (out,) = correct(issued, flag())
    assert (out.revision, out.state, out.closed_at) == (3, FlagState.OPEN, None)
    (out,) = go_on(issued, flag(), closed())
    assert out.revision == 4


def test_a_flag_without_evidence_is_taken_back_once(issued):
    (out,) = correct(issued)
    assert (out.revision, out.state, out.corrected_at) == (2, FlagState.RETRACTED, LATE)
    assert correct(issued) == []


@pytest.mark.parametrize(
    ("other", "since"),
    [
        ({}, RAISED),
        ({"onset_at": NINE + 5 * MINUTE}, RAISED),
        ({"client": Client.OWA}, LATE),
        ({"error_code": 7}, LATE),
    ],
    ids=["the same minutes", "another onset", "another client", "another code"],
)
def test_a_new_flag_is_as_old_as_the_one_it_replaces(issued, other, since):
    back, out = correct(issued, flag("flag-2", **other))
    assert back.state is FlagState.RETRACTED
    assert (out.flag_id, out.revision, out.raised_at) == ("flag-2", 1, since)


def test_what_was_over_before_is_another_matter(issued):
    go_on(issued, flag(), closed())
    later = flag("flag-2", onset_at=NINE + 90 * MINUTE, alarm_at=NINE + 99 * MINUTE)
    _, out = correct(issued, later)
    assert out.raised_at == LATE


def test_open_flags_are_never_forgotten(issued):
    go_on(issued, flag(), flag("flag-2"), closed("flag-2"))
    issued.forget_before(NINE + 69 * MINUTE)
    assert set(issued.last) == {"flag-1", "flag-2"}
    issued.forget_before(NINE + 70 * MINUTE)
    assert set(issued.last) == {"flag-1"}
