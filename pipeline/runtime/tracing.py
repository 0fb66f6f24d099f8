"""Traces for OpenTelemetry, where somebody asks for them: a span for each unit of work.

Needs the extra ``outrider[otel]`` and the variables of OpenTelemetry itself, of which
``OTEL_EXPORTER_OTLP_ENDPOINT`` alone is enough (OpenTelemetry specification, "Environment
Variable Specification"). Without them nothing is loaded and a span costs nothing. Spans carry
counts and closed names, as log lines do; never a tenant or a person.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_tracers: list[Any] = []


@contextmanager
def traced(service: str) -> Iterator[bool]:
    """Send spans while the block runs, if the environment says where; whether it does.

    Args:
        service: name of the service, unless ``OTEL_SERVICE_NAME`` gives another.

    Raises:
        ConfigError: an endpoint is named, and the extra is not installed.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        yield False
        return
    try:
        # They take half a second, and come with an extra.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            f"{_ENDPOINTS[0]} is set, and OpenTelemetry is not installed: install "
            "'outrider[otel]', or unset the variable"
        ) from error
    name = os.environ.get("OTEL_SERVICE_NAME") or f"outrider-{service}"
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracers.append(provider.get_tracer("outrider"))
    try:
        yield True
    finally:
        _tracers.pop()
        provider.shutdown()


@contextmanager
def span(name: str) -> Iterator[dict[str, Any]]:
    """A span around the block; what is put into the dict becomes its attributes."""
    told: dict[str, Any] = {}
    if not _tracers:
        yield told
        return
    # An exception is told by its class: its message may name what no trace should hold.
    with _tracers[-1].start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield told
        except BaseException as error:
            told["error"] = type(error).__name__
            raise
        finally:
            current.set_attributes({k: v for k, v in told.items() if v is not None})
