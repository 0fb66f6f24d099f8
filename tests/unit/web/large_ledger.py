"""A ledger as a busy quarter leaves it: 10,000 incidents and 90 days of windows, in seconds.

Rows are written as a run writes them where that is quick enough; the timeline goes straight
into its table. The same arguments give the same ledger.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np

from pipeline.ledger.store import Ledger
from pipeline.match.ledger import LedgerKind, LedgerRow
from pipeline.model.clock import rfc3339, to_us
from pipeline.model.dead_letter import DOCUMENT, REFUSED_BY_SINK, DeadLetter
from pipeline.model.documents import to_json, to_line
from pipeline.model.feed import FeedNotice, FeedState
from pipeline.model.incident import IncidentState, Severity
from pipeline.model.vocabulary import Client, Service, Source, Verdict
from tests.unit.report import sample_folder

NOW = datetime(2026, 6, 1, 9, 40, tzinfo=UTC)
TENANT = sample_folder.TENANT
HOUR = 3_600
DAY = 24 * HOUR
SIGN_INS = (Source.ENTRA_SIGNIN, Source.ENTRA_SIGNIN_NONINTERACTIVE)
PEOPLE = [c for c in Client if c not in {Client.SYSTEM, Client.OTHER}]
SITES = ("DE", "FR", "AT", "CH", "PL", "ES", "IT", "NL", "BE")
RUNNING = 4


def name_of(tenant):
    return TENANT if tenant == 0 else f"tenant-{tenant:04}"


def cells_of(count):
    """(source, service, client): ten clients of a service in each log, service by service."""
    pairs = [(s, v) for v in Service for s in (Source.EXCHANGE_AUDIT, *SIGN_INS)]
    return [(s.value, v.value, c.value) for s, v in pairs for c in PEOPLE[:10]][:count]


def signals_of(cell):
    if cell[0] in SIGN_INS:
        return ("active_users", "client_shift", "failure_rate", "retry_pressure")
    return ("access_volume", "active_users", "client_shift")


def numbers(rng, hours, signal, size):
    """Observed, expected, low, high and completeness, a column each."""
    busy = np.maximum(0.1, 1.0 - np.abs((hours // HOUR) % 24 - 12) / 12.0)
    rate = {"failure_rate": 0.01, "retry_pressure": 0.02, "client_shift": 0.05}.get(signal, 1.0)
    mean = size * busy * rate
    spread = 2.58 * np.sqrt(mean + 0.25)
    observed = rng.poisson(mean).astype(float)
    complete = np.full(len(hours), 0.99)
    columns = (observed, mean, np.maximum(mean - spread, 0.0), mean + spread, complete)
    return [np.round(c, 3).tolist() for c in columns]


def put_hours(ledger, tenant, cells, days, seed):
    rng = np.random.default_rng(seed)
    last = int(NOW.timestamp()) // HOUR * HOUR - RUNNING * HOUR + HOUR
    hours = np.arange(last - days * DAY, last, HOUR)
    lanes = [(*cell, signal) for cell in cells for signal in signals_of(cell)]
    held = ledger._lanes(tenant, lanes)
    rows = []
    for at, lane in enumerate(lanes):
        columns = numbers(rng, hours, lane[3], 200.0 / (1 + at % 7))
        days_of, hour_of = (hours // DAY).tolist(), (hours % DAY // HOUR).tolist()
        rows += zip(days_of, [held[at]] * len(hours), hour_of, *columns, strict=True)
    rows.sort(key=lambda r: r[:3])
    ledger._db.executemany("INSERT INTO hours VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    gap = (tenant, last - 30 * HOUR, "exchange_audit", last - 33 * HOUR, last - 30 * HOUR, 2210.4)
    ledger._db.execute("INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?)", gap)


def running(cells, seed):
    """The body of ``now``: the first cell has lost users, the second fails, one is blind."""
    rng = np.random.default_rng(seed)
    last = int(NOW.timestamp()) // HOUR * HOUR
    hours = np.arange(last - (RUNNING - 1) * HOUR, last + HOUR, HOUR)
    lanes, counts = [], []
    for at, cell in enumerate(cells):
        for signal in signals_of(cell):
            observed, expected, low, high, _ = numbers(rng, hours, signal, 200.0 / (1 + at % 7))
            if at == 0 and signal in {"active_users", "access_volume"}:
                observed = [round(o * 0.2) for o in observed]
            if cell[0] in SIGN_INS and at % 20 == 1 and signal == "failure_rate":
                observed = [h + 20.0 for h in high]
            if at % 20 == 7:
                expected, low, high = ([None] * RUNNING for _ in range(3))
            lanes.append([*cell, signal, observed, expected, low, high])
        attempts = [int(v) for v in rng.poisson(300, RUNNING)]
        counts.append([*cell, attempts, [a // 50 for a in attempts]])
    sources = {s.value: [1.0, 0.99, 0.95, 0.8] for s in SIGN_INS}
    sources["exchange_audit"] = [0.97, 0.92, 0.6, 0.1]
    feeds = [
        FeedNotice("graph_signins", SIGN_INS, FeedState.WORKING, NOW, NOW, NOW, 3600),
        FeedNotice(
            "activity", (Source.EXCHANGE_AUDIT,), FeedState.BEHIND, NOW, NOW - timedelta(hours=3),
            NOW - timedelta(hours=2), 3600, "it has more to read than it should; wait, or see quota",
        ),
    ]  # fmt: skip
    return {
        "at": to_us(NOW),
        "hours": hours.tolist(),
        "sources": sources,
        "completeness": {s: v[-1] for s, v in sources.items()},
        "cells": counts,
        "lanes": lanes,
        "gaps": [],
        "feeds": [to_json(f) for f in feeds],
        "logs": {s: {"last": to_us(NOW - timedelta(minutes=4))} for s in sources},
    }


def put_incidents(ledger, count, tenants, advisories, seed):
    """Incidents over 90 days, the last fifteen not over; every tenth has two revisions more."""
    rng = np.random.default_rng(seed)
    base = to_json(sample_folder.incident())
    rows = []
    for n in range(count):
        back = timedelta(days=90) * ((count - 1 - n) / count)
        onset, client = NOW - back - timedelta(minutes=30), PEOPLE[n % len(PEOPLE)]
        raised = NOW - back - timedelta(minutes=12)
        tenant = name_of(n % tenants)
        country = SITES[int(rng.integers(len(SITES)))]
        told = {
            **base,
            "incident_id": f"inc-{n:012x}",
            "tenants": [tenant],
            "clients": [client.value],
            "onset_at": rfc3339(onset),
            "raised_at": rfc3339(raised),
            "published_at": rfc3339(raised),
            "severity": list(Severity)[int(rng.choice(4, p=[0.5, 0.3, 0.15, 0.05]))].value,
            "verdict": list(Verdict)[n % len(Verdict)].value,
            "affected_users": int(rng.integers(3, 400)),
            "headline": f"{client.label}: {int(rng.integers(20, 99))}% fewer users than usual "
            f"in {country} since {onset:%a %d %b %H:%M} UTC",
            "scope": [{**base["scope"][0], "value": country}],
        }
        if advisories and n % 25 == 0:
            told["advisory"] = {
                **base["advisory"],
                "advisory_id": advisory_id(n // 25 % advisories),
            }
            told["advisory"]["relisted_as"] = []
        else:
            told.pop("advisory", None)
        last = 3 if n % 10 == 0 else 1
        rows += [revised(told, r, over=n < count - 15) for r in range(1, last + 1)]
    for at in range(0, len(rows), 1000):
        ledger.add_documents("incident", rows[at : at + 1000])


def revised(told, revision, *, over):
    made = {**told, "revision": revision, "reason": "opened" if revision == 1 else "spread"}
    made["state"] = IncidentState.RESOLVED.value if over else IncidentState.OPEN.value
    if over:
        made["reason"] = "resolved"
    else:
        made.pop("resolved_at", None)
    return (made["incident_id"], revision, made["tenants"][0], json.dumps(made))


def advisory_id(number):
    return f"EX{1_200_000 + 17 * number}"


def put_advisories(ledger, count, tenants):
    """Two versions of each, over 90 days; every tenth affects the first tenant."""
    for n in range(count):
        begin = NOW - timedelta(days=90) * ((count - n) / count)
        name = advisory_id(n)
        for version in (1, 2):
            at = begin + timedelta(hours=4 * version)
            made = sample_folder.advisory(
                name, start_at=begin, first_published_at=begin, last_modified_at=at,
                title=f"Some users can't open {list(Service)[n % 6].label} on {PEOPLE[n % 18].label}",
                restored_at=at if version == 2 and n % 7 else None,
            )  # fmt: skip
            seconds = int(at.timestamp())
            body = {"id": name, "hash": f"{name}-{version}", "at": seconds}
            document = json.dumps(to_json(made))
            ledger.put_advisory(
                {**body, "document": document, "words": f"{made.title}\n{made.posts[0].text}"},
                to_us(NOW),
            )
            for tenant in range(tenants):
                ledger.put_heard(name_of(tenant), name, body["hash"], seconds)
        answers = ("yes" if n % 10 == 0 else "no_sign" if n % 3 else "cannot_tell",)
        for tenant in range(tenants):
            put_impact(ledger, name_of(tenant), name, answers[0] if tenant == 0 else "no_sign")
        row = LedgerRow(
            LedgerKind.UNMATCHED_ADVISORY,
            advisory_id=name,
            first_published_at=begin,
            title=made.title,
        )
        put_lead(ledger, row, begin)


def put_lead(ledger, row, at):
    advisory, incident = row.advisory_id or "", row.incident_id or ""
    told = (advisory, row.kind.value, 1, int(at.timestamp()), row.lead_seconds, to_line(row))
    ledger.put_leads(TENANT, incident=incident, advisory="" if incident else advisory, rows=[told])


def put_impact(ledger, tenant, name, answer):
    made = {**to_json(sample_folder.impact(name)), "answer": answer}
    over = "no" if answer == "yes" else "not_affected"
    users = 341 if answer == "yes" else 0
    made |= {"over": over, "affected_users": users}
    ledger.put_impact(
        tenant, name, answer=answer, over=over, users=users, document=json.dumps(made)
    )


def put_leads(ledger, count, advisories):
    """As the stages would: each incident alone, or beside the advisory it names."""
    for n in range(count):
        at = NOW - timedelta(days=90) * ((count - 1 - n) / count)
        name = advisory_id(n // 25 % advisories) if advisories and n % 25 == 0 else None
        lead = float(3600 - n % 7200) if name else None
        kind = LedgerKind.UNMATCHED_INCIDENT
        if lead is not None:
            kind = LedgerKind.FIRST if lead >= 0 else LedgerKind.LATE
        row = LedgerRow(
            kind, f"inc-{n:012x}", name, (TENANT,), raised_at=at, onset_at=at, lead_seconds=lead
        )
        put_lead(ledger, row, at)


def put_deliveries(ledger, count):
    newest = ledger._db.execute("SELECT max(seq) FROM documents").fetchone()[0] or 0
    for sink, behind in (("ndjson", 0), ("splunk.main", 40), ("sentinel.soc", 2_000)):
        ledger.put_delivered(sink, max(0, newest - behind))
    name = f"inc-{count - 1:012x}"
    rows = [
        (name, "slack.oncall", name, 1, "opened", to_us(NOW), to_us(NOW) + 2_000_000, "accepted"),
        (name, "pagerduty.soc", name, 1, "opened", to_us(NOW), to_us(NOW) + 9_000_000, "refused"),
    ]
    ledger._db.executemany("INSERT INTO handed VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    body = json.dumps({"incident_id": name, "revision": 1}).encode()
    detail = f"splunk.main refused incident {name} revision 1; see its own log"
    letter = DeadLetter(
        0, to_us(NOW), TENANT, REFUSED_BY_SINK, detail, "ledger document 1", DOCUMENT, body,
        "splunk.main",
    )  # fmt: skip
    other = DeadLetter(0, to_us(NOW), TENANT, "not_json", "line 3", "a file", "record", b"x")
    ledger.bury([letter, *[other] * 500])


def build(path, *, incidents=10_000, cells=60, days=90, tenants=1, advisories=400, seed=1):
    """Write the ledger and give its writing end.

    Everything is worked out already, so that nothing is stale; the clock of its tenants is NOW.
    """
    ledger = Ledger(path)
    ledger._db.execute("PRAGMA synchronous=OFF")
    ledger._db.execute("PRAGMA cache_size=-400000")  # nothing is written before the end
    with ledger.transaction():
        for tenant in range(tenants):
            named = cells_of(cells)
            put_hours(ledger, name_of(tenant), named, days, seed + tenant)
            ledger.put_now(name_of(tenant), running(named, seed + tenant), to_us(NOW))
        put_incidents(ledger, incidents, tenants, advisories, seed)
        put_advisories(ledger, advisories, tenants)
        put_leads(ledger, incidents, advisories)
        put_deliveries(ledger, incidents)
        ledger._db.execute("DELETE FROM stale")
    ledger._db.execute("ANALYZE")
    ledger.checkpoint()
    return ledger


def put_shown(ledger, *, cells=4, days=1, advisories=3):
    """Beside the documents of a ledger, what else is shown of the first tenant."""
    named = cells_of(cells)
    with ledger.transaction():
        put_hours(ledger, TENANT, named, days, 1)
        ledger.put_now(TENANT, running(named, 1), to_us(NOW))
        put_advisories(ledger, advisories, 1)


def small(path):
    """One tenant, twelve incidents, three days of eight cells, six advisories."""
    return build(path, incidents=12, cells=8, days=3, advisories=6)
