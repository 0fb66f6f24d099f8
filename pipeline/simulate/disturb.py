"""What the effects of the plan do to a day's uses: refusals, retries, turning to OWA."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.simulate.activity import MINUTE_US, Uses
from pipeline.simulate.plan import Mode
from pipeline.simulate.rows import chance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.simulate.plan import Effect
    from pipeline.simulate.world import World

# A mailbox that does not answer keeps silent for the whole half hour; a refused token
# for ten minutes.
SILENT_BLOCK: Final = 30 * MINUTE_US
REFUSED_BLOCK: Final = 10 * MINUTE_US
SWITCHERS: Final = 0.4  # part of the users who think of the web client
SWITCHES: Final = 0.6  # how often they do


@dataclass(slots=True)
class Disturbed:
    """A day's uses after the silent effects.

    ``works`` says whether the mailbox answered; ``retries`` are the extra token requests
    of clients that got none.
    """

    uses: Uses
    works: NDArray[np.bool_]
    retries: Uses
    silent: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))


def salt(world: World, name: str) -> int:
    """A number of its own for every scenario's draws of who is hit."""
    return world.spec.seed * 1000 + zlib.crc32(name.encode()) % 997


def shares(effect: Effect, t: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of failing accesses at the moments ``t``, 0 outside the episodes."""
    starts = np.array([e.start for e in effect.episodes])
    ends = np.array([e.end for e in effect.episodes])
    levels = np.array([e.share for e in effect.episodes])
    at = np.searchsorted(starts, t, side="right") - 1
    inside = (at >= 0) & (t < ends[at])
    out: NDArray[np.float64] = np.where(inside, levels[at], 0.0)
    return out


def victims(world: World, effect: Effect, hold: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the holdings ``hold`` an effect can hit at all."""
    out: NDArray[np.bool_] = world.holds(effect.clients)[hold]
    if effect.hit < 1.0:
        user = world.people.holdings.user[hold]
        out &= chance(salt(world, effect.name) + 4, user) < effect.hit
    return out


def lost(world: World, effect: Effect, uses: Uses, block: int) -> NDArray[np.bool_]:
    """Which uses fail: drawn once per holding and stretch of ``block`` microseconds."""
    mine = victims(world, effect, uses.hold)
    draw = chance(salt(world, effect.name), uses.hold, uses.t // block)
    out: NDArray[np.bool_] = mine & (draw < shares(effect, uses.t))
    return out


def disturb(world: World, uses: Uses, rng: np.random.Generator) -> Disturbed:
    """Apply the effects that silence mailboxes without refusing tokens."""
    works = np.ones(uses.t.size, bool)
    retries, turned = [], []
    for effect in world.plan.effects:
        if effect.mode is not Mode.SILENT or not _near(effect, uses):
            continue
        failing = lost(world, effect, uses, SILENT_BLOCK)
        works &= ~failing
        first = _firsts(uses, failing)
        retries.append(_retry(uses, first, rng))
        turned.append(_turn(world, effect, uses, first, rng))
    if not turned:
        return Disturbed(uses, works, Uses(uses.hold[:0], uses.t[:0], uses.ip[:0]))
    extra = _joined(turned)
    both = _joined([uses, extra])
    order = np.lexsort((both.t, both.hold))
    answered = np.concatenate([works, np.ones(extra.t.size, bool)])[order]
    return Disturbed(
        Uses(both.hold[order], both.t[order], both.ip[order]), answered, _joined(retries)
    )


def _near(effect: Effect, uses: Uses) -> bool:
    start, end = effect.span
    return bool(uses.t.size) and bool(uses.t.max() >= start) and bool(uses.t.min() < end)


def _firsts(uses: Uses, failing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Index of the first failing use of each (holding, half hour)."""
    at = np.flatnonzero(failing)
    block = uses.t[at] // SILENT_BLOCK
    new = np.ones(at.size, bool)
    new[1:] = (uses.hold[at][1:] != uses.hold[at][:-1]) | (block[1:] != block[:-1])
    return at[new]


def _retry(uses: Uses, first: NDArray[np.int64], rng: np.random.Generator) -> Uses:
    """A client without answer asks for a new token every 1 to 3 minutes while in use."""
    counts = 1 + rng.poisson(3, first.size)
    which = np.repeat(first, counts)
    gaps = rng.uniform(60e6, 180e6, which.size)
    total = np.cumsum(gaps)
    before = np.repeat((total - gaps)[np.cumsum(counts) - counts], counts)
    t = uses.t[which] + (total - before).astype(np.int64)
    return Uses(uses.hold[which], t, uses.ip[which])


def _turn(
    world: World, effect: Effect, uses: Uses, first: NDArray[np.int64], rng: np.random.Generator
) -> Uses:
    """Some of the users without mail open Outlook on the web some minutes later."""
    user = world.people.holdings.user[uses.hold[first]]
    owa = world.owa_of[user]
    goes = (
        (owa >= 0)
        & (chance(salt(world, effect.name) + 1, user) < SWITCHERS)
        & (rng.random(first.size) < SWITCHES)
    )
    first, owa = first[goes], owa[goes]
    counts = 1 + rng.poisson(1.2, first.size)
    which = np.repeat(np.arange(first.size), counts)
    begin = uses.t[first] + (rng.uniform(3, 15, first.size) * MINUTE_US).astype(np.int64)
    within = (rng.exponential(4, which.size) * MINUTE_US).astype(np.int64)
    return Uses(owa[which], begin[which] + within, uses.ip[first][which])


def _joined(parts: list[Uses]) -> Uses:
    return Uses(
        np.concatenate([p.hold for p in parts]),
        np.concatenate([p.t for p in parts]),
        np.concatenate([p.ip for p in parts]),
    )
