"""What advisories mean for a tenant, and who was first: worked out from the ledger, bit by bit.

An incident's revision, a version of an advisory, a new day of users or another power of the
detectors makes some of it stale; the ledger remembers what. The answers are those of the
stages that a backfill asks once at its end (``pipeline.match``), given one incident or one
advisory at a time, so that memory does not grow with the history. Incidents that late records
took back are left out: a backfill would not have them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.ledger.answers import Stale
from pipeline.match.impact import impact
from pipeline.match.ledger import ledger as leads_of
from pipeline.model.advisory import Advisory
from pipeline.model.clock import to_us
from pipeline.model.documents import from_json, to_line
from pipeline.model.incident import Incident, IncidentState
from pipeline.model.vocabulary import Client, Service

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from pipeline.ledger.store import Ledger
    from pipeline.match.impact import Exposure
    from pipeline.match.ledger import LedgerRow

# One takes some milliseconds; records are read in between.
_AT_ONCE: Final = 50
_SECONDS: Final = 0.2


def answer(ledger: Ledger, log: FilteringBoundLogger, *, seconds: float = _SECONDS) -> bool:
    """Work out some of what is stale; whether there may be more.

    A document that cannot be read, since another version wrote it, is told of and left out.

    Args:
        ledger: to read and to write.
        log: one line for each call that left something out.
        seconds: about so long at most.

    Raises:
        RetriableError: the disk is full; nothing of this call was kept.
    """
    until = time.monotonic() + seconds
    found = ledger.stale(_AT_ONCE)
    if not found:
        return False
    exposures: dict[str, Exposure] = {}
    unread = 0
    with ledger.transaction():
        for what in found:
            try:
                _work_out(ledger, what, exposures)
            except (KeyError, TypeError, ValueError):
                unread += 1
            ledger.settle_stale(what)
            if time.monotonic() > until:
                break
    if unread:
        log.warning("answer", outcome="left out", unreadable=unread)
    return True


def _work_out(ledger: Ledger, what: Stale, exposures: dict[str, Exposure]) -> None:
    if what.kind == "incident":
        _incident(ledger, what)
        return
    if what.tenant not in exposures:
        exposures[what.tenant] = _exposure(ledger, what.tenant)
    _advisory(ledger, what, exposures[what.tenant])


def _incident(ledger: Ledger, what: Stale) -> None:
    """The leads of one incident; the advisories beside it now or before are asked again."""
    tenant, _, name = what
    chain = [from_json(Incident, d) for d in ledger.chain(name)]
    before = ledger.leads_with(tenant, incident=name)
    rows: tuple[LedgerRow, ...] = ()
    beside: set[str] = set()
    if chain and chain[-1].state is not IncidentState.RETRACTED:
        beside = _beside(chain[-1])
        versions = [v for a in sorted(beside) for v in _versions(ledger, a, tenant)]
        rows = leads_of(chain, versions)
    ledger.put_leads(tenant, incident=name, advisory="", rows=[_lead(r) for r in rows])
    ledger.mark_stale(Stale(tenant, "advisory", a) for a in sorted(before | beside))


def _beside(incident: Incident) -> set[str]:
    """The advisories that an incident names."""
    matches = [m for m in (incident.advisory, *incident.other_advisories) if m is not None]
    return {name for m in matches for name in (m.advisory_id, *m.relisted_as)}


def _advisory(ledger: Ledger, what: Stale, exposure: Exposure) -> None:
    """What one advisory means, and its lead if it stands alone."""
    tenant, _, name = what
    versions = _versions(ledger, name, tenant)
    if not versions:
        return
    held = (ledger.last_revision(i) for i in sorted(ledger.leads_with(tenant, advisory=name)))
    ours = [from_json(Incident, d) for d in held if d is not None]
    alone = () if ours else leads_of((), versions)
    ledger.put_leads(tenant, incident="", advisory=name, rows=[_lead(r) for r in alone])
    told_now = impact(versions[-1], ours, exposure)
    ledger.put_impact(
        tenant,
        name,
        answer=told_now.answer.value,
        over=told_now.over.value,
        users=told_now.affected_users,
        document=to_line(told_now),
    )


def _versions(ledger: Ledger, name: str, tenant: str) -> list[Advisory]:
    return [from_json(Advisory, d) for d in ledger.versions(name, tenant)]


def _lead(row: LedgerRow) -> tuple[Any, ...]:
    times = [t for t in (row.raised_at, row.first_published_at) if t is not None]
    at = to_us(min(times)) // 1_000_000 if times else 0
    return (
        row.advisory_id or "",
        row.kind.value,
        row.in_scope,
        at,
        row.lead_seconds,
        to_line(row),
    )


def _exposure(ledger: Ledger, tenant: str) -> Exposure:
    """By (service, client): users on a usual working day, smallest effect that would show."""
    return {
        (Service(e.service), Client(e.client)): (
            int(np.quantile(e.users, 0.75)),
            1.0 if e.effect is None else e.effect,
        )
        for e in ledger.exposed(tenant)
    }
