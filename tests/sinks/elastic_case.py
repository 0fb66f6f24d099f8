"""Elasticsearch as the receiver of its sink."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from connectors.sinks.elastic import ElasticSink, api_key
from pipeline.model.clock import ManualClock
from tests.contracts.sink_cases import EVERYTHING, SinkCase
from tests.services.elastic import API_KEY, Elastic, key_of, refusal
from tests.sinks.http_receiver import HttpReceiver
from tests.sinks.records import record

CAN = EVERYTHING
NOW = datetime(2026, 3, 19, 8, tzinfo=UTC)
SMALL = 15_000  # bytes: two incidents of the tests, or some flags


def headline(service, key):
    (found,) = [s for s in service.stored.values() if key_of(s) == key]
    return found["outrider"]["incident"]["headline"]


def receiver(authorization=None, **options):
    def make(at):
        header = authorization or api_key(lambda: API_KEY)
        return ElasticSink(at.root, header, **{"most_bytes": SMALL, **options})

    return HttpReceiver(
        Elastic(ManualClock(NOW)),
        make,
        text=headline,
        busy=refusal(429, "es_rejected_execution_exception", "rejected execution"),
        denied=refusal(401, "security_exception", f"unable to authenticate with {API_KEY}"),
    )


def case(_tmp_path):
    def make():
        made = receiver()
        return made.sink(), made

    encoded = base64.b64encode(API_KEY.encode()).decode()
    return SinkCase(make=make, document=record, secrets=(API_KEY, encoded))
