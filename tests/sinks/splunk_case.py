"""Splunk, with and without acknowledgement, as the receiver of its sink."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.sinks.splunk import SplunkSink
from pipeline.model.clock import ManualClock
from tests.contracts.sink_cases import EVERYTHING, SinkCase
from tests.services.splunk import TOKEN, Splunk, said
from tests.sinks.http_receiver import HttpReceiver
from tests.sinks.records import record

CAN = EVERYTHING
NOW = datetime(2026, 3, 19, 8, tzinfo=UTC)
# Two incidents of the tests, or three flags: several requests for what the checks hand over.
SMALL = 10_000


def headline(service, key):
    found = [e for e in service.indexed if e["fields"]["key"] == f"{key[0]}:{key[1]}"]
    return found[-1]["event"]["headline"]


def receiver(acknowledges=None, **options):
    """A service and what makes sinks towards it; acknowledgements take so many looks."""
    service, seconds = Splunk(ManualClock(NOW)), [0.0]
    service.acknowledges = acknowledges

    def make(at):
        return SplunkSink(
            at.root,
            lambda: TOKEN,
            acknowledged=acknowledges is not None,
            monotonic=lambda: seconds[0],
            **{"most_bytes": SMALL, **options},
        )

    def wait(more):
        seconds[0] += more

    return HttpReceiver(service, make, text=headline, busy=said(9), denied=said(4), wait=wait)


def made(**options):
    def make():
        other = receiver(**options)
        return other.sink(), other

    return SinkCase(make=make, document=record, secrets=(TOKEN,))


def case(_tmp_path):
    return made()


def acknowledged_case(_tmp_path):
    return made(acknowledges=2)


def ecs_case(_tmp_path):
    return made(form="ecs")
