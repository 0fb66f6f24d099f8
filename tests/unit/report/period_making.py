"""Folders and ledgers with an outage, as origins of reports of periods."""

from __future__ import annotations

import importlib.util
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pipeline.ledger.store import Ledger
from pipeline.match.ledger import ledger as rows_of
from pipeline.model.clock import to_us
from pipeline.model.dead_letter import DOCUMENT, REFUSED_BY_SINK, DeadLetter
from pipeline.model.documents import to_line
from pipeline.report.periodic.origin import Watched
from pipeline.report.periodic.span import Kind, Period


def _sample():
    spec = importlib.util.spec_from_file_location(
        "sample_folder", Path(__file__).with_name("sample_folder.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SAMPLE = _sample()
MARCH = Period(Kind.MONTHLY, date(2026, 3, 1))
DAYS = [Period(Kind.DAILY, date(2026, 3, d)) for d in range(1, 32)]


def day(number, zone="UTC"):
    return Period(Kind.DAILY, date(2026, 3, number), zone)


def at(number, hour=0, minute=0):
    return datetime(2026, 3, number, hour, minute, tzinfo=UTC)


class Held:
    """An origin of documents that a test names; nothing else is known."""

    told = "a test"

    def __init__(self, *, incidents=(), advisories=(), impacts=(), watched=None, rows=None):
        self.damaged = {}
        self._incidents = list(incidents)
        self._advisories = {a.advisory_id: a for a in advisories}
        self._impacts = {i.advisory_id: i for i in impacts}
        self._watched = watched or Watched(((at(1), at(31)),), ("entra_signin",))
        self._rows = rows

    def incidents(self, begin, end):  # noqa: ARG002 # as the protocol has it
        return [i for i in self._incidents if i.onset_at < end]

    def leads(self, incidents):  # noqa: ARG002 # asked as the ledger is
        if self._rows is not None:
            return self._rows
        return list(rows_of(self._incidents, list(self._advisories.values())))

    def advisories(self):
        return self._advisories

    def impacts(self):
        return self._impacts

    def watched(self, begin, end):  # noqa: ARG002 # asked as the ledger is
        return self._watched

    def series(self, wanted):  # noqa: ARG002 # asked as the ledger is
        return {}

    def deliveries(self):
        return None

    def close(self):
        pass


def fill(path, *, gap=True, refused=True):
    """A ledger that holds what the sample folder holds."""
    ledger = Ledger(path)
    tenant = SAMPLE.TENANT
    advisories = [
        SAMPLE.advisory(),
        SAMPLE.advisory("SP1250001", title="Some users may see delays", posts=()),
    ]
    with ledger.transaction():
        rows = [(i.incident_id, i.revision, tenant, to_line(i)) for i in SAMPLE.history()]
        ledger.add_documents("incident", rows)
        for a in advisories:
            seconds = int(a.first_published_at.timestamp())
            body = {"id": a.advisory_id, "hash": a.advisory_id, "at": seconds, "words": a.title}
            ledger.put_advisory({**body, "document": to_line(a)}, 0)
            ledger.put_heard(tenant, a.advisory_id, a.advisory_id, seconds)
        impact = SAMPLE.impact()
        told = {"answer": str(impact.answer), "over": str(impact.over), "users": 341}
        ledger.put_impact(tenant, impact.advisory_id, **told, document=to_line(impact))
        leads = {}
        for row in rows_of(SAMPLE.history(), advisories):
            seconds = int((row.raised_at or row.first_published_at).timestamp())
            told = (row.advisory_id or "", str(row.kind), row.in_scope, seconds, row.lead_seconds)
            key = (row.incident_id or "", "" if row.incident_id else row.advisory_id)
            leads.setdefault(key, []).append((*told, to_line(row)))
        for (name, advisory), rows in leads.items():
            ledger.put_leads(tenant, incident=name, advisory=advisory, rows=rows)
        _timeline(ledger, tenant, gap=gap)
        if refused:
            ledger.bury([_letter(at(19, 10)), _letter(at(19, 11)), _letter(at(25))])
        ledger.put_delivered("splunk.main", 2)
    ledger.close()
    return path


def _letter(moment):
    told = {"reason": REFUSED_BY_SINK, "detail": "400: too large", "place": "splunk.main"}
    body = json.dumps({"revision": 1}).encode()
    return DeadLetter(
        0, to_us(moment), SAMPLE.TENANT, **told, kind=DOCUMENT, body=body, sink="splunk.main"
    )


def _timeline(ledger, tenant, *, gap):
    by_hour = {}
    for row in SAMPLE.timeline().to_pylist():
        lane = [row[c] for c in ("source", "service", "client", "signal")]
        numbers = [row[c] for c in ("observed", "expected", "low", "high", "completeness")]
        by_hour.setdefault(int(row["hour"].timestamp()), []).append([*lane, numbers])
    for hour, lanes in by_hour.items():
        gaps = []
        if gap and hour == int(at(9, 4).timestamp()):
            ends = (int(at(9, 2).timestamp()), int(at(9, 5).timestamp()))
            gaps = [["exchange_audit", *ends, 2210.0]]
        ledger.put_hour(tenant, {"hour": hour, "lanes": lanes, "gaps": gaps})
    now = {
        "at": to_us(SAMPLE.END), "hours": [], "sources": {}, "cells": [], "lanes": [], "gaps": [],
        "feeds": [], "logs": {}, "completeness": {"exchange_audit": 1.0},
    }  # fmt: skip
    ledger.put_now(tenant, now, 0)


def lonely(advisory_id, published, **changes):
    """An advisory about access that nothing of ours stands beside."""
    return SAMPLE.advisory(
        advisory_id, first_published_at=published, start_at=published, restored_at=None, **changes
    )


def short_incident(name, onset, hours=1.0, **changes):
    told = {
        "incident_id": name, "onset_at": onset, "raised_at": onset + timedelta(minutes=30),
        "resolved_at": onset + timedelta(hours=hours), "last_evidence_at": None,
        "published_at": onset + timedelta(hours=hours), "advisory": None, "flag_ids": (),
    }  # fmt: skip
    return SAMPLE.incident(**(told | changes))
