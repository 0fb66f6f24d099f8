"""Incidents as they are issued: what late records change, and how it is dated."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.correlate.issued import IssuedIncidents
from pipeline.model.incident import Incident, IncidentState, RevisionReason, Severity
from pipeline.model.vocabulary import Client, Service, Verdict

NINE = datetime(2026, 3, 19, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def incident(name="inc-1", **more):
    held = Incident(
        incident_id=name,
        revision=1,
        reason=RevisionReason.OPENED,
        state=IncidentState.OPEN,
        tenants=("contoso",),
        services=(Service.EXCHANGE_ONLINE,),
        clients=(Client.OUTLOOK_IOS,),
        onset_at=NINE,
        raised_at=NINE + HOUR,
        published_at=NINE + HOUR,
        severity=Severity.HIGH,
        verdict=Verdict.SERVICE_OUTAGE,
        confidence=0.9,
        headline="h",
        evidence=(),
        scope=(),
        affected_users=12,
        user_minutes_lost=5.0,
        healthy_clients=(),
        error_codes=(),
        flag_ids=("flag-1",),
    )
    return replace(held, **more)


@pytest.fixture
def issued():
    out = IssuedIncidents()
    assert out.follow([incident()], NINE + HOUR) == [incident()]
    return out


def correct(issued, at, *truth):
    """What was judged before is judged again with records that came late."""
    return issued.follow(truth, at, judged_to=at)


def test_what_did_not_change_is_not_said_again(issued):
    same = incident(revision=7, reason=RevisionReason.SPREAD, published_at=NINE + 3 * HOUR)
    assert correct(issued, NINE + 5 * HOUR, same) == []


def test_a_change_is_a_corrected_revision_with_the_first_date(issued):
    truth = incident(affected_users=20, raised_at=NINE + HOUR / 2)
    (out,) = correct(issued, NINE + 5 * HOUR, truth)
    assert (out.revision, out.reason) == (2, RevisionReason.CORRECTED)
    assert out.affected_users == 20
    assert out.raised_at == NINE + HOUR
    assert out.published_at == NINE + 5 * HOUR
    more = {"reason": RevisionReason.SPREAD, "affected_users": 30}
    spread = replace(truth, published_at=NINE + 6 * HOUR, **more)
    (later,) = issued.follow([truth, spread], NINE + 7 * HOUR, judged_to=NINE + 5 * HOUR)
    assert (later.revision, later.raised_at) == (3, NINE + HOUR)
    assert later.reason is RevisionReason.SPREAD
    assert later.published_at == NINE + 6 * HOUR


def test_numbers_that_grow_within_the_hour_are_no_revision(issued):
    grown = incident(affected_users=20)
    at = NINE + 5 * HOUR
    assert issued.follow([grown], at, judged_to=at, whole=False) == []
    worse = incident(affected_users=20, severity=Severity.CRITICAL)
    assert len(issued.follow([worse], at, judged_to=at, whole=False)) == 1


def test_what_late_records_tell_is_not_known_before_they_came(issued):
    other = incident("inc-2", clients=(Client.OWA,))
    (out,) = correct(issued, NINE + 5 * HOUR, incident(), other)
    assert (out.incident_id, out.revision) == ("inc-2", 1)
    assert out.raised_at == out.published_at == NINE + 5 * HOUR


def test_one_that_goes_on_under_another_id_was_known_since_the_first(issued):
    back, out = correct(issued, NINE + 5 * HOUR, incident("inc-2"))
    assert (back.state, back.revision) == (IncidentState.RETRACTED, 2)
    assert out.raised_at == NINE + HOUR
    assert out.published_at == NINE + 5 * HOUR


def test_one_taken_back_may_return(issued):
    (back,) = correct(issued, NINE + 5 * HOUR)
    assert back.state is IncidentState.RETRACTED
    assert back.affected_users == 0
    assert correct(issued, NINE + 6 * HOUR) == []
    (out,) = correct(issued, NINE + 7 * HOUR, incident())
    assert (out.state, out.revision) == (IncidentState.OPEN, 3)
    assert out.raised_at == NINE + HOUR


def test_only_what_is_over_is_forgotten(issued):
    over = [incident(name, state=IncidentState.RESOLVED) for name in ("inc-2", "inc-3")]
    correct(issued, NINE + 5 * HOUR, incident(), *over)
    issued.forget_before(NINE + 9 * HOUR, needed=["inc-3"])
    assert set(issued.last) == {"inc-1", "inc-3"}
