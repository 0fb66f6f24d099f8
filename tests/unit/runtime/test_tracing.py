"""Traces reach a collector that speaks OTLP, and cost nothing where nobody asked for them."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pipeline.model.errors import ConfigError
from pipeline.runtime.tracing import span, traced


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
