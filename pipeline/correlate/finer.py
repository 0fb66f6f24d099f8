"""The generation of a client that one log cannot tell and another one can.

Sign-ins know only "Outlook for Mac". If nearly all of those who are hit use one generation
of it in the mailbox audit, the incident is that generation's. Where the two logs have other
ids for a person, all who use it in the mailbox audit stand for those who are hit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.correlate.history import distinct
from pipeline.model.vocabulary import FINER_CLIENTS, Client

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.correlate.history import U64, History
    from pipeline.correlate.tally import Affected

ENOUGH: Final = 3  # users whose generation is known
NEARLY_ALL: Final = 0.9


def finer_clients(
    history: History, tenant: str, clients: Iterable[Client], rows: Affected, since: int
) -> tuple[Client, ...]:
    """The clients, coarse ones replaced where the affected users tell which it is.

    Args:
        history: user-hours.
        tenant: whose incident.
        clients: named clients, in any order.
        rows: affected users.
        since: first hour of the incident, since 1970.

    Returns:
        Clients in the order of the vocabulary.
    """
    found: set[Client] = set()
    for client in clients:
        fine = sorted(FINER_CLIENTS.get(client, ()))
        found.add((_told(history, tenant, client, fine, rows, since) if fine else None) or client)
    return tuple(c for c in Client if c in found)


def _told(
    history: History,
    tenant: str,
    client: Client,
    fine: list[Client],
    rows: Affected,
    since: int,
) -> Client | None:
    used = {c: _users(history, tenant, c) for c in fine}
    hit = np.intersect1d(rows["user"], _users(history, tenant, client, since))
    known = {c: np.intersect1d(hit, users) for c, users in used.items()}
    if not len(distinct(known.values())):
        known = used
    everyone = len(distinct(known.values()))
    best = max(fine, key=lambda c: len(known[c]))
    others = len(distinct(users for c, users in known.items() if c is not best))
    if everyone >= ENOUGH and others <= (1.0 - NEARLY_ALL) * everyone:
        return best
    return None


def _users(history: History, tenant: str, client: Client, since: int = 0) -> U64:
    """Users of a client, in any service and log, from an hour on."""
    return distinct(
        hour.of(cell)["user"]
        for at, hour in history.hours.items()
        if at >= since
        for cell in hour.cells
        if cell.tenant == tenant and cell.client is client
    )
