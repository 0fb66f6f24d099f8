"""Uses become token requests: a refresh every 60 to 90 minutes, refusals, daily failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.model.vocabulary import Client
from pipeline.simulate import codes
from pipeline.simulate.catalog import RESOURCE_NAMES
from pipeline.simulate.disturb import REFUSED_BLOCK, lost, salt, shares, victims
from pipeline.simulate.habits import HABITS
from pipeline.simulate.plan import Mode
from pipeline.simulate.population import CLIENT_INDEX
from pipeline.simulate.rows import INTERACTIVE, REFRESH, Rows, chance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.simulate.disturb import Disturbed
    from pipeline.simulate.plan import Effect
    from pipeline.simulate.world import World

EXCHANGE_AT: Final = RESOURCE_NAMES.index("exchange")
# Part of the token refreshes of a federated user that must ask the federation again.
REASKED: Final = 0.35
_REAUTH: Final = (70043, 700082, 50173)


@dataclass(slots=True)
class Requests:
    """Token requests: arrays of one length; ``person`` = an interactive sign-in."""

    hold: NDArray[np.int64]
    t: NDArray[np.int64]
    ip: NDArray[np.int32]
    resource: NDArray[np.int8]
    code: NDArray[np.int32]
    person: NDArray[np.bool_]

    def at(self, index: NDArray[np.int64]) -> Requests:
        """The requests at ``index``."""
        return Requests(
            self.hold[index],
            self.t[index],
            self.ip[index],
            self.resource[index],
            self.code[index],
            self.person[index],
        )


def joined(parts: list[Requests]) -> Requests:
    """All requests of ``parts``, in their order."""
    return Requests(
        *(
            np.concatenate([getattr(p, name) for p in parts])
            for name in ("hold", "t", "ip", "resource", "code", "person")
        )
    )


def day_signins(world: World, day: Disturbed, rng: np.random.Generator) -> list[Rows]:
    """Sign-in rows of a day's uses; takes away from ``day.works`` what refusals cost."""
    granted, refused = _requests(world, day, rng)
    retried = Requests(
        day.retries.hold,
        day.retries.t,
        day.retries.ip,
        np.full(day.retries.t.size, EXCHANGE_AT, np.int8),
        np.zeros(day.retries.t.size, np.int32),
        np.zeros(day.retries.t.size, bool),
    )
    failed = [refused]
    for effect in world.plan.effects:
        if effect.mode is Mode.REFUSE:
            granted, more = _refuse(world, effect, granted, rng)
            failed.append(more)
            day.works &= ~lost(world, effect, day.uses, REFUSED_BLOCK)
    return [
        *_with_daily_failures(world, granted, rng),
        _rows(world, joined([retried, *failed])),
    ]


def _requests(world: World, day: Disturbed, rng: np.random.Generator) -> tuple[Requests, Requests]:
    """Granted requests for every resource, and those that the tenant's own rules refuse."""
    uses, holdings = day.uses, world.people.holdings
    slot = (uses.t - holdings.phase[uses.hold]) // holdings.life[uses.hold]
    first = np.ones(slot.size, bool)
    first[1:] = (uses.hold[1:] != uses.hold[:-1]) | (slot[1:] != slot[:-1])
    number = np.cumsum(first) - 1
    person = chance(world.spec.seed + 21, uses.hold, slot) < world.interactive[uses.hold]
    asks, refused = first.copy(), []
    for effect in world.plan.effects:
        if effect.mode is not Mode.BLOCK:
            continue
        blocked = _blocked(world, effect, day, slot, first, number, person)
        after = np.zeros(blocked.size, bool)
        after[1:] = blocked[:-1] & ~blocked[1:] & ~first[1:]
        asks = (asks & ~blocked) | after
        day.works &= ~blocked
        at = np.flatnonzero(blocked & (first | (rng.random(blocked.size) < 0.8)))
        refused.append(
            Requests(
                uses.hold[at],
                uses.t[at],
                uses.ip[at],
                _main_resource(world, uses.hold[at]),
                _codes(rng, effect, at.size),
                person[at],
            )
        )
    at = np.flatnonzero(asks)
    base = Requests(
        uses.hold[at],
        uses.t[at],
        uses.ip[at],
        np.full(at.size, -1, np.int8),
        np.zeros(at.size, np.int32),
        person[at],
    )
    return _for_resources(world, base, rng), joined(refused or [base.at(at[:0])])


def _blocked(
    world: World,
    effect: Effect,
    day: Disturbed,
    slot: NDArray[np.int64],
    first: NDArray[np.bool_],
    number: NDArray[np.int64],
    person: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Uses without a token: theirs ran out while the tenant's rule was in force."""
    uses, user = day.uses, world.people.holdings.user[day.uses.hold]
    during = shares(effect, uses.t) > 0
    mine = world.holds(effect.clients)[uses.hold] & during[first][number]
    if effect.federated_only:
        hit = world.people.accounts.federated[user] & (
            person | (chance(salt(world, effect.name) + 2, uses.hold, slot) < REASKED)
        )
    else:
        hit = chance(salt(world, effect.name) + 3, user) < effect.episodes[0].share
    out: NDArray[np.bool_] = mine & hit & during
    return out


def _main_resource(world: World, hold: NDArray[np.int64]) -> NDArray[np.int8]:
    table = np.full(len(Client), EXCHANGE_AT, np.int8)
    for client, habit in HABITS.items():
        table[CLIENT_INDEX[client]] = RESOURCE_NAMES.index(habit.resources[0][0])
    return table[world.people.holdings.client[hold]]


def _for_resources(world: World, base: Requests, rng: np.random.Generator) -> Requests:
    parts = []
    client = world.people.holdings.client[base.hold]
    for kind, habit in HABITS.items():
        mine = np.flatnonzero(client == CLIENT_INDEX[kind])
        for place, (name, probability) in enumerate(habit.resources):
            at = mine[rng.random(mine.size) < probability] if probability < 1 else mine
            part = base.at(at)
            part.resource[:] = RESOURCE_NAMES.index(name)
            if place:  # side tokens come silently, a moment after the first
                part.t += rng.integers(200_000, 3_000_000, at.size)
                part.person[:] = False
            parts.append(part)
    return joined(parts)


def _refuse(
    world: World, effect: Effect, granted: Requests, rng: np.random.Generator
) -> tuple[Requests, Requests]:
    """Each request fails with the episode's share; the client tries again until it works."""
    targets = [RESOURCE_NAMES.index(r) for r in effect.resources]
    share = shares(effect, granted.t)
    share[~victims(world, effect, granted.hold) | ~np.isin(granted.resource, targets)] = 0.0
    tries = np.where(share > 0, rng.geometric(np.clip(1 - share, 0.05, 1.0)) - 1, 0)
    gave_up = tries > 7  # a person stops trying; the request is never granted
    tries = np.minimum(tries, 7)
    which = np.repeat(np.arange(tries.size), tries)
    gaps = rng.uniform(15e6, 90e6, which.size)
    total = np.cumsum(gaps)
    # Each run of tries counts its waiting from its own first request.
    begins = (np.cumsum(tries) - tries)[tries > 0]
    before = np.repeat((total - gaps)[begins], tries[tries > 0])
    failed = granted.at(which)
    failed.t += (total - gaps - before).astype(np.int64)
    failed.code[:] = _codes(rng, effect, which.size)
    waited = np.bincount(which, weights=gaps, minlength=tries.size).astype(np.int64)
    granted.t = granted.t + waited
    return granted.at(np.flatnonzero(~gave_up)), failed


def _codes(rng: np.random.Generator, effect: Effect, size: int) -> NDArray[np.int32]:
    values = np.array([c for c, _ in effect.codes], np.int32)
    weights = np.array([w for _, w in effect.codes])
    return rng.choice(values, size=size, p=weights / weights.sum())


def _with_daily_failures(world: World, granted: Requests, rng: np.random.Generator) -> list[Rows]:
    """Add the failures and interrupts of daily life before the successes they lead to."""
    size = granted.t.size
    person, draw = granted.person, rng.random(size)
    lapsed = np.flatnonzero(~person & (draw < codes.REFRESH_RATE))
    wrong = np.flatnonzero(person & (draw < codes.PERSON_RATE))
    asked = np.flatnonzero(person & (rng.random(size) < 0.25))
    before = granted.at(np.concatenate([lapsed, wrong]))
    before.t -= rng.integers(5_000_000, 60_000_000, before.t.size)
    before.code[: lapsed.size] = rng.choice(
        codes.REFRESH_FAILURES, size=lapsed.size, p=codes.REFRESH_WEIGHTS
    )
    before.code[lapsed.size :] = rng.choice(
        codes.PERSON_FAILURES, size=wrong.size, p=codes.PERSON_WEIGHTS
    )
    # After an expired grant the person has to sign in.
    granted.person[lapsed[np.isin(before.code[: lapsed.size], _REAUTH)]] = True
    success = _rows(world, granted)
    step = granted.at(asked)
    step.t -= rng.integers(4_000_000, 40_000_000, asked.size)
    step.code[:] = rng.choice(codes.INTERRUPTS, size=asked.size, p=codes.INTERRUPT_WEIGHTS)
    interrupts = _rows(world, step)
    # The steps of one sign-in share its correlationId, three in ten even its request id.
    interrupts["corr"] = success["corr"][asked]
    same = rng.random(asked.size) < 0.3
    interrupts["serial"][same] = success["serial"][asked][same]
    return [success, _rows(world, before), interrupts]


def _rows(world: World, requests: Requests) -> Rows:
    holdings = world.people.holdings
    return world.signins(
        requests.t.size,
        t=requests.t,
        account=holdings.user[requests.hold],
        software=holdings.software[requests.hold],
        resource=requests.resource,
        code=requests.code,
        ip=requests.ip,
        category=np.where(requests.person, INTERACTIVE, REFRESH),
    )
