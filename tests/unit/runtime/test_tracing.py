"""Traces reach a collector that speaks OTLP, and cost nothing where nobody asked for them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from connectors.sinks.ndjson import NdjsonSink
from pipeline.cli.main import main
from pipeline.ledger.followed import FollowedLedger
from pipeline.ledger.store import Ledger
from pipeline.model.clock import SystemClock
from pipeline.model.errors import ConfigError, ExitCode, RetriableError
from pipeline.runtime.config import Kafka
from pipeline.runtime.handing import Handing
from pipeline.runtime.kafka.follow import Follower
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.tracing import span, traced
from tests.live import small_export
from tests.warm import OUTRIDER


class Told(NamedTuple):
    kind: str
    id: str
    revision: int
    tenant: str
    document: dict


@pytest.fixture
def collector(monkeypatch):
    """A real HTTP server that takes OTLP in."""
    taken = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}"
    )
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    yield taken
    server.shutdown()
    server.server_close()
    thread.join()


def spans(taken):
    return [
        s
        for _, request in taken
        for r in request.resource_spans
        for scope in r.scope_spans
        for s in scope.spans
    ]


def test_spans_and_their_counts_arrive(collector):
    with traced("detect") as on, span("step") as work:
        work["records"] = 12
    assert on
    (found,) = spans(collector)
    assert found.name == "step"
    assert {a.key: a.value.int_value for a in found.attributes} == {"records": 12}
    path, request = collector[0]
    assert path == "/v1/traces"
    names = {a.key: a.value.string_value for a in request.resource_spans[0].resource.attributes}
    assert names["service.name"] == "outrider-detect"


def test_a_failure_is_told_by_its_class_alone(collector):
    with pytest.raises(ValueError, match="jo@contoso"), traced("run"), span("step"):
        raise ValueError("jo@contoso.com")
    (found,) = spans(collector)
    assert {a.key: a.value.string_value for a in found.attributes} == {"error": "ValueError"}
    assert not found.events
    assert "contoso" not in str(found)


def test_without_an_endpoint_nothing_is_loaded(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with traced("run") as on, span("step") as work:
        work["records"] = 1
    assert not on


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"outrider\[otel\]"), traced("run"):
        pass


ROLES = {
    "collect": ["{}/logs", "--name", "a", "--state", "{}"],
    "deliver": ["--out", "{}"],
    "run": ["{}/logs", "--state", "{}"],
    "serve": ["--state", "{}", "--bind", "127.0.0.1:0"],
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_cannot_send_what_it_is_asked_for_says_so_first(
    role, tmp_path, monkeypatch, capsys
):
    (tmp_path / "logs").mkdir()
    Ledger(tmp_path / "ledger.sqlite").close()
    config = tmp_path / "outrider.toml"
    wanted = '[kafka]\nservers = ["127.0.0.1:9"]\n' if role in {"collect", "deliver"} else ""
    config.write_text(wanted)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    words = [word.format(tmp_path) for word in ROLES[role]]
    assert main([role, *words, "--config", str(config)]) == ExitCode.USAGE
    assert "outrider[otel]" in capsys.readouterr().err


def attributes(span):
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_each_delivery_is_a_span_and_holds_nothing_of_the_documents(collector, tmp_path):
    documents = [Told("flag", "f-1", 1, "contoso", {"flag_id": "f-1", "revision": 1})]
    with traced("deliver"):
        handing = Handing("slack.oncall", NdjsonSink(tmp_path))
        assert handing.hand(documents).taken == 1
        assert handing.hand([]).taken == 0
    (found,) = spans(collector)
    assert found.name == "delivery"
    told = {"sink": "slack.oncall", "documents": 1, "accepted": 1, "refused": 0}
    assert attributes(found) == told
    assert "contoso" not in str(found)


def test_a_delivery_that_fails_is_a_span_with_the_class_of_its_error(collector):
    class Down:
        def deliver(self, _documents):
            raise RetriableError("no answer from jo@contoso.com")

    documents = [Told("flag", "f-1", 1, "contoso", {"flag_id": "f-1", "revision": 1})]
    with traced("deliver"):
        assert Handing("siem", Down()).hand(documents).problem
    (found,) = spans(collector)
    assert attributes(found)["error"] == "RetriableError"
    assert "contoso" not in str(found)


def test_what_is_followed_is_a_span(collector, tmp_path):
    ledger = FollowedLedger(tmp_path / "followed.sqlite")
    log = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[])
    follower = Follower(Kafka(), ledger, clock=SystemClock(), metrics=Metrics(), log=log)
    with traced("serve"):
        follower._keep({})
    ledger.close()
    (found,) = spans(collector)
    assert (found.name, attributes(found)) == ("follow", {"messages": 0, "documents": 0})


def test_serving_is_a_span_of_its_own_service(collector, tmp_path):
    Ledger(tmp_path / "ledger.sqlite").close()
    command = [*OUTRIDER, "serve", "--state", str(tmp_path), "--bind", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("http:")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == ExitCode.OK
    (found,) = spans(collector)
    assert (found.name, attributes(found)["mode"]) == ("serve", "embedded")
    resource = collector[0][1].resource_spans[0].resource
    assert attributes(resource)["service.name"] == "outrider-serve"


def test_a_run_sends_its_commits_and_its_deliveries(collector, tmp_path):
    options = small_export.export(tmp_path)
    assert main(["run", *options, "--state", str(tmp_path / "state")]) == ExitCode.OK
    found = spans(collector)
    assert {s.name for s in found} == {"commit", "delivery", "run"}
    read = [attributes(s)["records"] for s in found if s.name == "commit"]
    assert sum(read) == sum(1 for _ in small_export.records(range(24 * small_export.DAYS)))
