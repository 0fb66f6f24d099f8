"""Writes an output folder in the shapes a backfill writes, with an outage like EX1256020."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.model.advisory import (
    Advisory,
    Answer,
    ClientImpact,
    Impact,
    Over,
    Post,
    Symptom,
)
from pipeline.model.documents import to_line
from pipeline.model.flag import Flag, FlagState
from pipeline.model.incident import (
    AdvisoryMatch,
    ErrorCode,
    Evidence,
    HealthyClient,
    Incident,
    IncidentState,
    RevisionReason,
    ScopeSlice,
    Severity,
)
from pipeline.model.vocabulary import Client, FlagKind, Service, Signal, Source, Verdict
from pipeline.model.window import TIMELINE_SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
END = BEGIN + timedelta(weeks=4)
ONSET = datetime(2026, 3, 19, 7, 41, tzinfo=UTC)
RESOLVED = datetime(2026, 3, 21, 15, 5, tzinfo=UTC)
RAISED = datetime(2026, 3, 19, 9, 32, tzinfo=UTC)
PUBLISHED = datetime(2026, 3, 19, 12, 45, tzinfo=UTC)
TENANT = "9a3f1c52-7d1e-4a55-8f10-5d2c1b0a9f8e"
HURT = (Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID, Client.OUTLOOK_MAC_NEW)
WELL = (Client.OWA, Client.OUTLOOK_WINDOWS_CLASSIC)
EXO = Service.EXCHANGE_ONLINE
FIRST_POST = (
    "Title: Some users can't access their mailboxes through some connection methods\n\n"
    "User impact: Users may be unable to access their mailbox.\n\n"
    "More info: Outlook mobile and the new Outlook for Mac are affected."
)


def flag(client: Client, number: int = 1, **changes: Any) -> Flag:
    base = Flag(
        flag_id=f"flag-{client}-{number}",
        revision=2,
        state=FlagState.CLOSED,
        tenant=TENANT,
        source=Source.EXCHANGE_AUDIT,
        service=EXO,
        client=client,
        signal=Signal.ACTIVE_USERS,
        kind=FlagKind.VOLUME_DROP,
        onset_at=ONSET,
        alarm_at=ONSET + timedelta(minutes=40),
        raised_at=RAISED,
        closed_at=RESOLVED,
        score=31.5,
        p_value=2e-14,
        detector="drop",
        detector_version="1",
        observed={"users": 61.0},
        expected={"users": 412.0},
    )
    return replace(base, **changes)


def incident(**changes: Any) -> Incident:
    base = Incident(
        incident_id="inc-33c65910ec91c732",
        revision=4,
        reason=RevisionReason.RESOLVED,
        state=IncidentState.RESOLVED,
        tenants=(TENANT,),
        services=(EXO,),
        clients=HURT,
        onset_at=ONSET,
        raised_at=RAISED,
        published_at=RESOLVED + timedelta(hours=2),
        severity=Severity.HIGH,
        verdict=Verdict.SERVICE_OUTAGE,
        confidence=0.962,
        headline="Outlook for iOS, Outlook for Android and new Outlook for Mac: 85% fewer users "
        "than usual from Thu 19 Mar 07:41 UTC to Sat 21 Mar 15:05 UTC",
        evidence=(
            Evidence(Verdict.SERVICE_OUTAGE, 3.1, "3 clients fell together within 12 min, in 9 countries and 41 networks"),
            Evidence(Verdict.SERVICE_OUTAGE, 2.2, "the same users succeed in Outlook on the web: 188 of 341"),
            Evidence(Verdict.LOCAL_NETWORK, -2.0, "no network holds more than 14 % of the affected users"),
            Evidence(Verdict.TELEMETRY_GAP, -1.7, "the mailbox audit log was 98 % complete; other clients are as usual"),
            Evidence(Verdict.SERVICE_OUTAGE, -0.6, "not one failure in the sign-in log"),
            Evidence(Verdict.TENANT_CHANGE, 0.3, "one change of the directory in the 24 h before"),
        ),
        scope=(
            ScopeSlice("country", "DE", 0.61, 0.58, 208),
            ScopeSlice("client_version", "4.2610.0", 0.83, 0.35, 283),
        ),
        affected_users=341,
        user_minutes_lost=412_300.0,
        healthy_clients=(
            HealthyClient(Client.OWA, EXO, 0.993, 212, 188),
            HealthyClient(Client.OUTLOOK_WINDOWS_CLASSIC, EXO, 0.999, 264, 97),
        ),
        error_codes=(ErrorCode(90033, 12, "service_fault", "A transient error has occurred"),),
        flag_ids=(*(flag(c).flag_id for c in HURT), "flag-outlook_ios-2"),
        resolved_at=RESOLVED,
        last_evidence_at=RESOLVED,
        advisory=AdvisoryMatch(
            "EX1256020",
            0.87,
            (
                "service: Exchange Online in both",
                "clients: Outlook mobile and new Outlook for Mac are named",
                "time: the incident overlaps 53 of its 57 hours",
            ),
            (PUBLISHED - RAISED).total_seconds(),
            -2460.0,
            "api",
            ("EX1268771",),
        ),
    )  # fmt: skip
    return replace(base, **changes)


def history() -> list[Incident]:
    opened = incident(
        revision=1, reason=RevisionReason.OPENED, state=IncidentState.OPEN, published_at=RAISED,
        severity=Severity.MEDIUM, confidence=0.81, affected_users=96, advisory=None,
        resolved_at=None, clients=HURT[:1],
    )  # fmt: skip
    spread = replace(
        opened, revision=2, reason=RevisionReason.SPREAD, severity=Severity.HIGH, clients=HURT,
        published_at=RAISED + timedelta(minutes=48), affected_users=214,
    )  # fmt: skip
    matched = incident(
        revision=3, reason=RevisionReason.MATCHED, state=IncidentState.OPEN,
        published_at=PUBLISHED, resolved_at=None, affected_users=252,
    )  # fmt: skip
    return [opened, spread, matched, incident()]


def advisory(advisory_id: str = "EX1256020", **changes: Any) -> Advisory:
    posts = tuple(
        Post(PUBLISHED + timedelta(hours=7 * n), "regular", text)
        for n, text in enumerate(
            [
                FIRST_POST,
                "Current status: We're reviewing service telemetry to isolate the root cause.",
                "Current status: We're redirecting traffic to alternate infrastructure.",
                "Final status: We've confirmed that impact is remediated.\n\nThis is the final update.",
            ]
        )
    )
    base = Advisory(
        advisory_id=advisory_id,
        title="Some users can't access Exchange Online through some connection methods",
        service="Exchange Online",
        status="serviceRestored",
        is_resolved=True,
        classification="incident",
        impact_description="Users may be unable to access their mailbox.",
        posts=posts,
        services=(EXO,),
        clients=HURT,
        excluded_clients=(),
        protocols=(),
        regions=(),
        symptom=Symptom.ACCESS,
        is_false_positive=False,
        start_at=ONSET - timedelta(minutes=41),
        first_published_at=PUBLISHED,
        restored_at=PUBLISHED + timedelta(hours=21),
    )
    return replace(base, **changes)


def impact(advisory_id: str = "EX1256020", answer: Answer = Answer.YES, **changes: Any) -> Impact:
    clients = tuple(
        ClientImpact(c, EXO, Answer.YES, Over.YES, f"{c.label} fell by 85 %", 190, 0.12, 341)
        for c in HURT
    )
    base = Impact(
        advisory_id, answer, Over.YES,
        "341 users of ours were affected; it was over for us 29 h after it was declared restored.",
        clients, 341,
    )  # fmt: skip
    return replace(base, **changes)


def summary(**changes: Any) -> dict[str, Any]:
    def source(records: int, settle: int, complete: float, arrival: str) -> dict[str, Any]:
        return {
            "records": records, "first": "2026-03-02T00:00:04Z", "last": "2026-03-29T23:59:51Z",
            "completeness": complete, "settle_p95_seconds": settle, "arrival": arrival,
        }  # fmt: skip

    base: dict[str, Any] = {
        "schema": "outrider.summary/1",
        "from": "2026-03-02T00:00:00Z",
        "to": "2026-03-30T00:00:00Z",
        "tenants": [TENANT],
        "records": {"received": 1_482_113, "events": 1_377_902, "duplicates": 30_211,
                    "ignored": 73_930, "rejected": 70},
        "by_source": {
            "entra_signin": source(88_401, 240, 0.998, "measured"),
            "entra_signin_noninteractive": source(503_118, 260, 0.997, "measured"),
            "exchange_audit": source(786_383, 5_220, 0.981, "declared"),
        },
        "unmatched_clients": [
            {"source": "exchange_audit", "client_string": "Client=REST;UserAgent=[NoUserAgent]", "records": 31_007},
            {"source": "exchange_audit", "client_string": "Client=Hub Transport", "records": 904},
        ],
        "unmatched_client_share": {"exchange_audit": 0.12, "entra_signin": 0.0},
        "unknown_codes": [999_001, {"code": 70_099, "records": 3}],
        "rejects_by_reason": {"not_json": 61, "bad_time": 9},
        "gaps": [{"tenant": TENANT, "source": "exchange_audit", "start": "2026-03-09T02:00:00Z",
                  "end": "2026-03-09T05:00:00Z", "expected": 2210.4}],
        "exposure": [
            {"service": "exchange_online", "client": str(c), "users_a_day": 260 - 30 * n,
             "smallest_detectable_effect": 0.05 * (n + 1)}
            for n, c in enumerate((*WELL, *HURT))
        ] + [{"service": "exchange_online", "client": "imap4", "users_a_day": 3,
              "smallest_detectable_effect": 1.0}],
        "system_share": {"exchange_audit": 0.57},
        "seconds": {"parse": 21.2, "detect": 4.4},
        "incidents": 1,
    }  # fmt: skip
    return base | changes


def usual(hour: int, size: float) -> float:
    weekday, day_hour = (hour // 24) % 7, hour % 24
    level = 0.1 + 0.9 * math.exp(-(((day_hour - 11.5) / 4.2) ** 2))
    return size * level * (1.0 if weekday < 5 else 0.25)


def timeline(seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    rows = []
    for client, size in [
        *((c, 190.0 - 40 * n) for n, c in enumerate(HURT)),
        *((c, 250.0) for c in WELL),
    ]:
        for hour in range(24 * 28):
            at = BEGIN + timedelta(hours=hour)
            expected = usual(hour, size)
            spread = 2.58 * math.sqrt(1.3 * expected + (0.05 * expected) ** 2)
            hit = client in HURT and ONSET - timedelta(hours=1) < at < RESOLVED
            mean = expected * (0.15 if hit else 1.0)
            blind = datetime(2026, 3, 9, 2, tzinfo=UTC) <= at < datetime(2026, 3, 9, 5, tzinfo=UTC)
            rows.append({
                "hour": at, "tenant": TENANT, "source": "exchange_audit", "service": str(EXO),
                "client": str(client), "signal": "active_users",
                "observed": 0.0 if blind else float(rng.poisson(mean)),
                "expected": expected if hour >= 168 else None,
                "low": max(expected - spread, 0.0) if hour >= 168 else None,
                "high": expected + spread if hour >= 168 else None,
                "completeness": 0.0 if blind else 0.98,
            })  # fmt: skip
    hot = [dict(r, signal="failure_rate", observed=float(rng.poisson(14 if ONSET < r["hour"] < RESOLVED else 1)),
                expected=1.0, low=0.0, high=4.0) for r in rows if r["client"] == "outlook_ios"]  # fmt: skip
    return pa.Table.from_pylist(rows + hot, schema=TIMELINE_SCHEMA)


def write_lines(path: Path, documents: list[Any]) -> None:
    path.write_text("".join(to_line(d) + "\n" for d in documents), "utf-8")


def write_folder(out: Path, **changes: Any) -> Path:
    """Write the folder; a part given by name replaces the usual one, None leaves it out."""
    out.mkdir(parents=True, exist_ok=True)
    second = flag(HURT[0], 2, signal=Signal.FAILURE_RATE, kind=FlagKind.FAILURE_SPIKE, score=12.0)
    parts: dict[str, Any] = {
        "incidents": history(),
        "flags": [*(flag(c) for c in HURT), second],
        "advisories": [
            advisory(),
            advisory("EX1268771", title="Some users can't access Exchange Online: relisted",
                     first_published_at=PUBLISHED + timedelta(days=9), restored_at=None, posts=()),
            advisory("SP1250001", title="Some users may see delays in SharePoint search", posts=()),
        ],
        "impacts": [
            impact(),
            impact("SP1250001", Answer.NO_SIGN, over=Over.NOT_AFFECTED, affected_users=0, clients=(),
                   statement="No sign of it here; an effect on 9 % of the users would have been seen."),
        ],
        "timeline": timeline(),
        "summary": summary(),
    } | changes  # fmt: skip
    for name in ("incidents", "flags", "advisories", "impacts"):
        if parts[name] is not None:
            write_lines(out / f"{name}.ndjson", parts[name])
    if parts["timeline"] is not None:
        pq.write_table(parts["timeline"], out / "timeline.parquet")
    if parts["summary"] is not None:
        (out / "summary.json").write_text(json.dumps(parts["summary"]), "utf-8")
    return out
