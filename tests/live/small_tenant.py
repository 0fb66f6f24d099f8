"""A small tenant, made up of rows: fifty people, four clients."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from pipeline.model.event import EVENT_SCHEMA
from pipeline.runtime.config import Config
from pipeline.runtime.judging import Settings

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
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


SETTINGS = Settings.of(Config.model_validate({"detection": {"warm_up_hours": 96}}), trace_hours=0)


def outage(hour, *, client="outlook_ios", share=0.6):
    """Failures added to an ordinary hour."""
    users = range(1, int(USERS * share))
    return [(hour * 60 + (7 * u) % 60, u, client, "service_fault", 90036) for u in users]
