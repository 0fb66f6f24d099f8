"""Event batches: the one shape all logs are normalised to (``outrider.event/1``)."""

from __future__ import annotations

from enum import IntFlag
from typing import Final

import pyarrow as pa

EVENT_VERSION: Final = "outrider.event/1"


class EventFlag(IntFlag):
    """Bits of the ``flags`` column."""

    NONE = 0
    THROTTLED_MAILBOX = 1  # the audit log has stopped recording binds of this mailbox
    GUEST = 2  # a user of another tenant
    SYNC = 4  # a folder synchronisation, logged at most hourly


def _name() -> pa.DataType:
    return pa.dictionary(pa.int32(), pa.string())


_TIME = pa.timestamp("us", tz="UTC")

EVENT_SCHEMA: Final = pa.schema(
    [
        # Vendor id folded to 16 bytes (a GUID's own bytes, else BLAKE2b-128 of the text).
        pa.field("event_id", pa.binary(16), nullable=False),
        pa.field("event_time", _TIME, nullable=False),
        # When the record became available to us; null where the form does not tell.
        pa.field("received_time", _TIME),
        pa.field("tenant", _name(), nullable=False),
        pa.field("source", _name(), nullable=False),
        pa.field("service", _name(), nullable=False),
        pa.field("client", _name(), nullable=False),
        pa.field("client_version", _name()),
        pa.field("operation", _name(), nullable=False),
        pa.field("outcome", _name(), nullable=False),
        pa.field("error_code", pa.int32()),
        # Keyed hash of the user (sign-ins) or mailbox (audit); null where nobody is named.
        pa.field("user", pa.uint64()),
        pa.field("country", _name()),
        # "AS3320" where the source tells the AS number, else the keyed hash of the prefix
        # ("net-1f2e3d4c"), or the site name the configuration gives that prefix.
        pa.field("network", _name()),
        pa.field("device_class", _name()),
        pa.field("weight", pa.int32(), nullable=False),
        pa.field("latency_ms", pa.int32()),
        pa.field("flags", pa.uint8(), nullable=False),
    ],
    metadata={b"outrider.schema": EVENT_VERSION.encode()},
)

# Two rows are one event when all of these are equal: a request id comes again with
# another code for each step of a sign-in, and with the same code when redelivered.
IDENTITY_COLUMNS: Final = ("event_id", "source", "tenant", "error_code")
