"""Hypothesis strategies for every document of the model."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from pipeline.model.advisory import Advisory, ClientImpact, Impact, Post, Reading
from pipeline.model.dead_letter import DeadLetterDocument
from pipeline.model.flag import Flag
from pipeline.model.incident import (
    AdvisoryMatch,
    ErrorCode,
    Evidence,
    HealthyClient,
    Incident,
    ScopeSlice,
)
from pipeline.model.notice import Ack, Notice, NoticeItem, Silence
from pipeline.model.vocabulary import Client

# From the year 1000: ISO 8601 writes four digits, and no log is older.
MOMENTS = st.datetimes(
    min_value=datetime(1000, 1, 1),  # noqa: DTZ001 # hypothesis wants naive bounds
    timezones=st.just(UTC),
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SHARES = st.floats(min_value=0, max_value=1)
COUNTS = st.integers(min_value=0, max_value=2**53)
TEXTS = st.text(max_size=40)
NAMED_NUMBERS = st.dictionaries(TEXTS, NUMBERS, max_size=3)


def _few(items: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=3).map(tuple)


EVIDENCE = st.builds(Evidence, weight=NUMBERS, text=TEXTS, numbers=NAMED_NUMBERS)
SLICES = st.builds(
    ScopeSlice, share_inside=SHARES, share_normal=SHARES, affected_users=COUNTS, value=TEXTS
)
HEALTHY = st.builds(
    HealthyClient, success_rate=SHARES, active_users=COUNTS, affected_users_succeeding=COUNTS
)
MATCHES = st.builds(
    AdvisoryMatch,
    score=NUMBERS,
    lead_seconds=st.none() | NUMBERS,
    lead_seconds_start=st.none() | NUMBERS,
    reasons=_few(TEXTS),
    relisted_as=_few(TEXTS),
)
ERROR_CODES = st.builds(ErrorCode, code=COUNTS, users=COUNTS)

FLAGS = st.builds(
    Flag,
    revision=st.integers(min_value=1, max_value=10_000),
    onset_at=MOMENTS,
    alarm_at=MOMENTS,
    raised_at=MOMENTS,
    closed_at=st.none() | MOMENTS,
    score=NUMBERS,
    p_value=SHARES,
    error_code=st.none() | COUNTS,
    observed=NAMED_NUMBERS,
    expected=NAMED_NUMBERS,
    completeness=SHARES,
)

INCIDENTS = st.builds(
    Incident,
    revision=st.integers(min_value=1, max_value=10_000),
    onset_at=MOMENTS,
    raised_at=MOMENTS,
    published_at=MOMENTS,
    resolved_at=st.none() | MOMENTS,
    last_evidence_at=st.none() | MOMENTS,
    confidence=SHARES,
    evidence=_few(EVIDENCE),
    scope=_few(SLICES),
    affected_users=COUNTS,
    user_minutes_lost=NUMBERS,
    healthy_clients=_few(HEALTHY),
    error_codes=_few(ERROR_CODES),
    advisory=st.none() | MATCHES,
    other_advisories=_few(MATCHES),
)

CLIENT_WEIGHTS = st.dictionaries(st.sampled_from(Client), SHARES, max_size=3)
READINGS = st.builds(
    Reading, title=TEXTS, clients=CLIENT_WEIGHTS, start_at=st.none() | MOMENTS, end_at=st.none()
)
POSTS = st.builds(Post, created_at=MOMENTS, post_type=TEXTS, text=TEXTS, reading=READINGS)
_TIMES = (
    "start_at",
    "end_at",
    "last_modified_at",
    "text_start_at",
    "first_published_at",
    "restored_at",
    "first_seen_at",
)
ADVISORIES = st.builds(
    Advisory,
    posts=_few(POSTS),
    stated=READINGS,
    client_weights=CLIENT_WEIGHTS,
    **{name: st.none() | MOMENTS for name in _TIMES},
)

CLIENT_IMPACTS = st.builds(
    ClientImpact,
    statement=TEXTS,
    active_users=COUNTS,
    affected_users=COUNTS,
    detectable_effect=st.none() | SHARES,
    over_at=st.none() | MOMENTS,
)
IMPACTS = st.builds(
    Impact,
    clients=_few(CLIENT_IMPACTS),
    affected_users=COUNTS,
    detectable_effect=st.none() | SHARES,
    declared_restored_at=st.none() | MOMENTS,
)

DEAD_LETTERS = st.builds(
    DeadLetterDocument,
    at=MOMENTS,
    tenant=st.none() | TEXTS,
    sink=st.none() | TEXTS,
    body_bytes=st.none() | COUNTS,
    replayed_at=st.none() | MOMENTS,
)

NOTICES = st.builds(
    Notice,
    revision=st.integers(min_value=1, max_value=10_000),
    at=MOMENTS,
    group=st.dictionaries(TEXTS, TEXTS, max_size=3),
    incidents=st.lists(st.builds(NoticeItem, incident=INCIDENTS), max_size=2).map(tuple),
    link=st.none() | TEXTS,
)
SILENCES = st.builds(Silence, matchers=_few(TEXTS), starts_at=MOMENTS, ends_at=MOMENTS)
ACKS = st.builds(Ack, at=MOMENTS, until=st.none() | MOMENTS)

DOCUMENTS: dict[type, st.SearchStrategy[object]] = {
    Ack: ACKS,
    Notice: NOTICES,
    Silence: SILENCES,
    DeadLetterDocument: DEAD_LETTERS,
    Flag: FLAGS,
    Impact: IMPACTS,
    Incident: INCIDENTS,
    Advisory: ADVISORIES,
}
