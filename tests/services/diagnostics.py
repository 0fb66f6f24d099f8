"""Records as diagnostic settings of Entra send them: sign-ins of users and of machines, audits."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

from connectors.normalise.settings import NormaliseSettings
from tests.unit.connectors import vendor_records as v

SETTINGS = NormaliseSettings(key=b"a key of the tests", tenant=v.TENANT)
START = datetime(2026, 3, 19, 8, tzinfo=UTC)
# Words of the records that nobody may see.
PERSONAL = (v.USER, "Adele", v.ADDRESS)


def record(number, at=None, **changes):
    """A sign-in of a user; its id is its number."""
    at = START + timedelta(seconds=number) if at is None else at
    made = v.sign_in(number, createdDateTime=v.stamp(at), **changes)
    return v.envelope({**made, "id": str(uuid.UUID(int=number))})


def machine(number, category="ServicePrincipalSignInLogs"):
    """A sign-in that is no evidence."""
    made = record(number)
    made["category"] = category
    made["properties"]["servicePrincipalId"] = v.guid(7)
    made["properties"]["signInEventTypes"] = ["servicePrincipal"]
    return made


def page(numbers, **changes):
    """A message that holds some records."""
    return json.dumps({"records": [record(n, **changes) for n in numbers]}).encode()


def line(number, **changes):
    """A record as a line of a blob."""
    return json.dumps(record(number, **changes)).encode() + b"\n"


def numbers_of(polls):
    """Numbers of the events in some polls, in order."""
    return [
        int.from_bytes(row["event_id"], "big")
        for poll in polls
        for batch in poll.batches
        for row in batch.select(["event_id"]).to_pylist()
    ]
