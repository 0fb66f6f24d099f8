"""Asking the run that works on a ledger to try dead letters again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.model.clock import to_us
from pipeline.runtime.dead_letters import (
    Outcome,
    Prospect,
    Tried,
    choose,
    prospect,
    prospect_of_body,
)
from pipeline.runtime.live.held import held_in, revived

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.ledger.store import Ledger
    from pipeline.model.clock import Clock
    from pipeline.model.dead_letter import DeadLetter
    from pipeline.runtime.dead_letters import Wish
    from pipeline.runtime.judging import Settings


def queue(ledger: Ledger, wish: Wish, settings: Settings, clock: Clock) -> list[Tried]:
    """Queue letters; the run takes them at its next step, or when it is started.

    Args:
        ledger: of the run, which may be going on.
        wish: which letters.
        settings: of the stages, to bring the tenants back with.
        clock: dates the wish.

    Raises:
        ConfigError: a letter that is named is not there.
        RetriableError: the ledger cannot be written; nothing was queued.
        StateError: a tenant's state is damaged or of another version.
    """
    closed: dict[str, datetime | None] = {}
    tried, meant = [], []
    for letter in choose(list(ledger.dead_letters()), wish):
        found = prospect(letter, wish)
        whole = ledger.dead_letter(letter.seq) if found.outcome is None else None
        if whole is not None:
            found = prospect_of_body(
                whole, _closed_to(ledger, settings, whole.tenant, closed), force=wish.force
            )
        if found.outcome is None:
            meant.append(letter.seq)
        tried.append(_tried(letter, found))
    with ledger.transaction():
        ledger.queue(meant, to_us(clock.now()), again=wish.again)
    return tried


def _closed_to(
    ledger: Ledger, settings: Settings, tenant: str | None, known: dict[str, datetime | None]
) -> datetime | None:
    if tenant is None:
        return None
    if tenant not in known:
        held = held_in(ledger, tenant)
        known[tenant] = None if held is None else revived(settings, held).ground.closed_to
    return known[tenant]


def _tried(letter: DeadLetter, found: Prospect) -> Tried:
    outcome = Outcome.QUEUED if found.outcome is None else found.outcome
    return Tried(letter.letter_id, letter.reason, outcome, found.text)
