from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from pipeline.model.event import EVENT_SCHEMA

START = datetime(2026, 3, 2, tzinfo=UTC)


def make_events(rows):
    """A table of EVENT_SCHEMA; each row overrides a plain successful sign-in of user 1."""
    full = []
    for at, row in enumerate(rows):
        item = {
            "event_id": row.pop("id", at),
            "event_time": START + timedelta(minutes=row.pop("minute", 0), seconds=row.pop("s", 0)),
            "received_time": None,
            "tenant": "t",
            "source": "entra_signin_noninteractive",
            "service": "exchange_online",
            "client": "outlook_ios",
            "client_version": None,
            "operation": "sign_in",
            "outcome": "success",
            "error_code": 0,
            "user": 1,
            "country": "DE",
            "network": "AS3320",
            "device_class": None,
            "weight": 1,
            "latency_ms": None,
            "flags": 0,
        }
        item.update(row)
        digest = hashlib.blake2b(str(item["event_id"]).encode(), digest_size=16).digest()
        item["event_id"] = digest
        full.append(item)
    return pa.Table.from_pylist(full, schema=EVENT_SCHEMA)


@pytest.fixture
def events():
    return make_events


@pytest.fixture
def start():
    return START
