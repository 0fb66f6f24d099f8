"""What still works, and how many of the affected users use it already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.correlate.history import distinct, human
from pipeline.correlate.view import space_of
from pipeline.model.incident import HealthyClient
from pipeline.model.vocabulary import Client, Service, same_client

if TYPE_CHECKING:
    from collections.abc import Collection

    from pipeline.correlate.history import U64, History, Hour
    from pipeline.correlate.tally import Affected
    from pipeline.model.window import Cell

RECENT_HOURS: Final = 3  # "works" is a word about now
TRIED_HOURS: Final = 24
ENOUGH: Final = 5.0  # expected users an hour below which a fall says nothing
FALLEN: Final = 0.7  # of the users expected; fewer = not healthy
WORSE: Final = 0.1  # drop of the success rate that counts as not healthy


@dataclass(frozen=True, slots=True)
class _Health:
    healthy: bool
    success_rate: float
    active: int
    affected: int


def healthy_clients(
    history: History,
    tenant: str,
    services: Collection[Service],
    flagged: Collection[Client],
    rows: Affected,
    onset_hour: int,
    horizon: int,
) -> tuple[HealthyClient, ...]:
    """Clients of the same services that work as usual, the most used first.

    Where no other client reaches these services, the other services' clients are given:
    "mail still works" is an answer too.

    Args:
        history: user-hours.
        tenant: whose incident.
        services: services of the incident.
        flagged: clients with any flag; never healthy.
        rows: affected users.
        onset_hour: first hour of the incident, since 1970.
        horizon: last hour known, since 1970.
    """
    span = range(max(onset_hour, horizon - TRIED_HOURS + 1), horizon + 1)
    hours = [history.hours[h] for h in span if h in history.hours]
    if not hours:
        return ()
    cells = [
        c
        for c in sorted({c for h in hours for c in human(h.cells, tenant)})
        if c.client is not Client.OTHER
        and c.service is not Service.OTHER
        and not any(same_client(c.client, f) for f in flagged)
    ]
    same = [c for c in cells if c.service in services]
    return _list(history, same or cells, hours, rows, onset_hour)


def _list(
    history: History, cells: list[Cell], hours: list[Hour], rows: Affected, before: int
) -> tuple[HealthyClient, ...]:
    by_client: dict[tuple[Client, Service], list[tuple[Cell, _Health]]] = {}
    for cell in cells:
        health = _health(history, cell, hours, rows, before)
        if health is not None:
            by_client.setdefault((cell.client, cell.service), []).append((cell, health))
    found = []
    for (client, service), healths in by_client.items():
        if not all(h.healthy for _, h in healths):
            continue
        # Sign-ins see failures; the mailbox audit would always say 100 %.
        _, first = min(healths, key=lambda p: (space_of(p[0].source), -p[1].active, p[0]))
        found.append(
            HealthyClient(
                client,
                service,
                success_rate=round(first.success_rate, 4),
                active_users=max(h.active for _, h in healths),
                affected_users_succeeding=max(h.affected for _, h in healths),
            )
        )
    return tuple(sorted(found, key=lambda h: (-h.active_users, h.client, h.service)))


def _health(
    history: History, cell: Cell, hours: list[Hour], rows: Affected, before: int
) -> _Health | None:
    recent = [h for h in hours[-RECENT_HOURS:] if not h.blind(cell.tenant, cell.source)]
    tried = distinct(h.of(cell)["user"] for h in recent)
    if not len(tried):
        return None
    good = _succeeding(recent, cell)
    observed = _user_hours(recent, cell)
    pairs = [(h, history.reference(h.hour, before, cell.tenant, cell.source)) for h in recent]
    expected = sum(_user_hours(r, cell) / len(r) for _, r in pairs if r)
    earlier = [r for _, hs in pairs for r in hs]
    usual_tried = sum(len(h.of(cell)) for h in earlier)
    usual_rate = _user_hours(earlier, cell) / usual_tried if usual_tried else 1.0
    rate = len(good) / len(tried)
    fallen = expected >= ENOUGH * len(recent) and observed < FALLEN * expected
    affected = np.intersect1d(_succeeding(hours, cell), rows["user"])
    return _Health(rate >= usual_rate - WORSE and not fallen, rate, len(good), len(affected))


def _succeeding(hours: list[Hour], cell: Cell) -> U64:
    return distinct(h.good(cell)[0] for h in hours)


def _user_hours(hours: list[Hour], cell: Cell) -> float:
    return float(sum(len(h.good(cell)[0]) for h in hours))
