"""Azure Monitor as the receiver of the sink for Sentinel."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.auth import Identity
from connectors.sinks.sentinel import SentinelSink
from connectors.sinks.sentinel_rows import COLUMNS
from pipeline.model.clock import ManualClock
from tests.contracts.sink_cases import EVERYTHING, SinkCase
from tests.live_sources.graph_tenant import Direct
from tests.services.entra import Entra
from tests.services.sentinel import AUDIENCE, ROLE, RULE, Sentinel, key_of, refusal
from tests.sinks.http_receiver import HttpReceiver
from tests.sinks.records import record

CAN = EVERYTHING
NOW = datetime(2026, 3, 19, 8, tzinfo=UTC)
SMALL = 8_000  # bytes: two incidents of the tests, or some flags
TOKENS_BEGIN = "eyJhbGciOiJ"  # {"alg":"
STREAMS = {
    "Custom-OutriderIncident_CL": COLUMNS["incident"],
    "Custom-OutriderFlag_CL": COLUMNS["flag"],
}


def headline(service, key):
    return [row for row in service.rows if key_of(row) == key][-1]["Headline"]


def receiver(**options):
    clock = ManualClock(NOW)
    entra = Entra(clock, roles={AUDIENCE: (ROLE,)})
    service = Sentinel(clock, entra, STREAMS)

    def make(at):
        tokens = Identity(Direct(entra), clock=clock)
        defaults = {"monitor": AUDIENCE, "most_bytes": SMALL, "clock": clock}
        return SentinelSink(at.root, RULE, tokens, **{**defaults, **options})

    return HttpReceiver(
        service,
        make,
        text=headline,
        busy=refusal(429, "TooManyRequests", {"Retry-After": "7"}),
        denied=refusal(403, "OperationFailed"),
    )


def case(_tmp_path):
    def make():
        made = receiver()
        return made.sink(), made

    return SinkCase(make=make, document=record, secrets=(TOKENS_BEGIN,))
