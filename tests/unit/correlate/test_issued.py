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
    out.issue(incident())
    return out


def test_what_did_not_change_is_not_said_again(issued):
    same = incident(revision=7, reason=RevisionReason.SPREAD, published_at=NINE + 3 * HOUR)
    assert issued.correct({"inc-1": same}, NINE + 5 * HOUR) == []


def test_a_change_is_a_corrected_revision_with_the_first_date(issued):
    truth = incident(affected_users=20, raised_at=NINE + HOUR / 2)
    (out,) = issued.correct({"inc-1": truth}, NINE + 5 * HOUR)
    assert (out.revision, out.reason) == (2, RevisionReason.CORRECTED)
    assert out.affected_users == 20
    assert out.raised_at == NINE + HOUR
    assert out.published_at == NINE + 5 * HOUR
    later = issued.issue(replace(truth, reason=RevisionReason.SPREAD))
    assert (later.revision, later.raised_at) == (3, NINE + HOUR)
    assert later.published_at == NINE + 5 * HOUR


def test_what_late_records_tell_is_not_known_before_they_came(issued):
    truth = {"inc-1": incident(), "inc-2": incident("inc-2", clients=(Client.OWA,))}
    (out,) = issued.correct(truth, NINE + 5 * HOUR)
    assert (out.incident_id, out.revision) == ("inc-2", 1)
    assert out.raised_at == out.published_at == NINE + 5 * HOUR


def test_one_that_goes_on_under_another_id_was_known_since_the_first(issued):
    back, out = issued.correct({"inc-2": incident("inc-2")}, NINE + 5 * HOUR)
    assert (back.state, back.revision) == (IncidentState.RETRACTED, 2)
    assert out.raised_at == NINE + HOUR
    assert out.published_at == NINE + 5 * HOUR


def test_one_taken_back_may_return(issued):
    (back,) = issued.correct({}, NINE + 5 * HOUR)
    assert back.state is IncidentState.RETRACTED
    assert back.affected_users == 0
    assert issued.correct({}, NINE + 6 * HOUR) == []
    (out,) = issued.correct({"inc-1": incident()}, NINE + 7 * HOUR)
    assert (out.state, out.revision) == (IncidentState.OPEN, 3)
    assert out.raised_at == NINE + HOUR


def test_only_what_is_over_is_forgotten(issued):
    issued.issue(incident("inc-2", state=IncidentState.RESOLVED))
    issued.issue(incident("inc-3", state=IncidentState.RESOLVED))
    issued.forget_before(NINE + 9 * HOUR, needed=["inc-3"])
    assert set(issued.last) == {"inc-1", "inc-3"}
