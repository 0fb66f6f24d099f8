"""Gauges that follow from the tenants held: none stays when its tenants are gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from pipeline.model.vocabulary import Source
from pipeline.runtime.live.observe import observe
from pipeline.runtime.metrics import Metrics

NOON = datetime(2026, 3, 19, 12, tzinfo=UTC)


def tenant(behind, **completeness):
    """As far as gauges ask for it; nothing is open."""
    nothing = SimpleNamespace(last={})
    return SimpleNamespace(
        clock=NOON - timedelta(seconds=behind),
        completeness={Source(name): share for name, share in completeness.items()},
        ground=SimpleNamespace(too_old=0, too_new=0),
        issued=SimpleNamespace(flags=nothing, incidents=nothing),
    )


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"outrider_{name}", labels)


def test_the_worst_tenant_is_told():
    metrics = Metrics()
    observe(metrics, [tenant(60, entra_signin=0.9), tenant(300, entra_signin=0.4)], NOON)
    assert value(metrics, "watermark_delay_seconds") == 300
    assert value(metrics, "completeness", source="entra_signin") == 0.4


def test_what_a_tenant_that_moved_away_had_is_not_told_any_more():
    metrics = Metrics()
    observe(metrics, [tenant(300, entra_signin=0.1, exchange_audit=1.0)], NOON)
    observe(metrics, [tenant(0, exchange_audit=0.8)], NOON)
    assert value(metrics, "completeness", source="entra_signin") is None
    assert value(metrics, "completeness", source="exchange_audit") == 0.8
    observe(metrics, [], NOON)
    assert value(metrics, "completeness", source="exchange_audit") is None
    assert value(metrics, "tenants") == 0
    assert value(metrics, "watermark_delay_seconds") == 0
