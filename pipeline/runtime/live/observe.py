"""What a process and its tenants look like from outside: counters and gauges."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pipeline.model.vocabulary import Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from pipeline.model.dead_letter import DeadLetter
    from pipeline.runtime.live.parts import Issue
    from pipeline.runtime.live.tenant import Tenant
    from pipeline.runtime.metrics import Metrics


def count(
    metrics: Metrics, rows: int, letters: Iterable[DeadLetter], issues: Iterable[Issue]
) -> tuple[int, int]:
    """Count what a step made durable; the flags and incidents among it.

    Args:
        metrics: of the process.
        rows: records taken in.
        letters: what could not be used.
        issues: what was told.
    """
    told = list(issues)
    flags, incidents = sum(len(i.flags) for i in told), sum(len(i.incidents) for i in told)
    metrics.commits.inc()
    metrics.events.inc(rows)
    for letter in letters:
        metrics.dead.labels(letter.reason).inc()
    metrics.documents.labels("flag").inc(flags)
    metrics.documents.labels("incident").inc(incidents)
    return flags, incidents


def observe(metrics: Metrics, tenants: Collection[Tenant], now: datetime) -> None:
    """Set the gauges that follow from the tenants a process holds.

    Args:
        metrics: of the process.
        tenants: all that it holds.
        now: to tell how far the clock of the worst tenant is behind.
    """
    metrics.tenants.set(len(tenants))
    clocks = [t.clock for t in tenants if t.clock is not None]
    metrics.delay.set(max(0.0, (now - min(clocks)).total_seconds()) if clocks else 0.0)
    least: dict[Source, float] = {}
    for tenant in tenants:
        for source, share in tenant.completeness.items():
            least[source] = min(share, least.get(source, 1.0))
    for source in Source:
        if source in least:
            metrics.completeness.labels(source.value).set(least[source])
        else:
            with suppress(KeyError):  # it was never told
                metrics.completeness.remove(source.value)
    metrics.misdated.labels("too_old").set(sum(t.ground.too_old for t in tenants))
    metrics.misdated.labels("too_new").set(sum(t.ground.too_new for t in tenants))
    flags = (f for t in tenants for f in t.issued.flags.last.values())
    metrics.open_flags.set(sum(f.state == "open" for f in flags))
    incidents = (i for t in tenants for i in t.issued.incidents.last.values())
    metrics.open_incidents.set(sum(not i.state.over for i in incidents))
