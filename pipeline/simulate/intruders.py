"""Sign-in rows that are no member's daily work: sprays, storms, guests, programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.model.clock import to_us
from pipeline.model.vocabulary import Client
from pipeline.simulate.catalog import (
    FIRST_PRINCIPAL,
    FIRST_SPRAYED,
    PRINCIPALS,
    RESOURCE_NAMES,
    SOFTWARE,
    SPRAYED,
    SPRAYED_RESOURCES,
)
from pipeline.simulate.population import CLIENT_INDEX, GHOST, GUEST, MEMBER
from pipeline.simulate.rows import (
    IDENTITY,
    INTERACTIVE,
    PRINCIPAL,
    REFRESH,
    SIGNIN,
    Rows,
    make,
)
from pipeline.simulate.spec import stream

if TYPE_CHECKING:
    from datetime import date

    from pipeline.simulate.plan import Episode
    from pipeline.simulate.world import World

SPRAY_TRIES: Final = 12  # for every member, and 3,000 at least
_SPRAY_CODES: Final = (50126, 50053, 50034)
MINUTE_US: Final = 60_000_000
DAY_US: Final = 1440 * MINUTE_US


def day_others(world: World, day: date) -> list[Rows]:
    """Rows of one UTC day from everybody who is not a member at work."""
    begin = to_us(datetime(day.year, day.month, day.day, tzinfo=UTC))
    rng = stream(world.spec.seed, "others", day.toordinal())
    rows = [_guests(world, begin, day, rng), _programs(world, begin, rng)]
    for number, episode in enumerate(world.plan.sprays):
        if begin <= episode.start < begin + DAY_US:
            rows.append(_spray(world, episode, stream(world.spec.seed, "spray", number)))
    for number, episode in enumerate(world.plan.storms):
        if begin <= episode.start < begin + DAY_US:
            rows.append(_storm(world, episode, number))
    return rows


def _guests(world: World, begin: int, day: date, rng: np.random.Generator) -> Rows:
    guests = np.flatnonzero(world.people.accounts.kind == GUEST)
    size = int(rng.poisson(guests.size * (4 if day.weekday() < 5 else 0.4)))
    account = rng.choice(guests, size)
    web = [i for i, s in enumerate(SOFTWARE) if s.client in {Client.TEAMS, Client.OTHER}]
    resources = [RESOURCE_NAMES.index(n) for n in ("teams", "sharepoint")]
    return world.signins(
        size,
        t=begin + (np.clip(rng.normal(12, 3, size), 0, 23.9) * 60 * MINUTE_US).astype(np.int64),
        account=account,
        software=rng.choice(web, size),
        resource=rng.choice(resources, size),
        code=rng.choice((0, 50126, 65001, 500121), size, p=(0.96, 0.02, 0.01, 0.01)),
        ip=world.people.accounts.home_ip[account],
        category=np.where(rng.random(size) < 0.3, INTERACTIVE, REFRESH),
    )


def _programs(world: World, begin: int, rng: np.random.Generator) -> Rows:
    """Service principals and managed identities, evenly through day and night."""
    size = int(rng.poisson(100 + world.spec.users * 0.4))
    managed = rng.random(size) < 0.25
    return world.signins(
        size,
        t=begin + rng.integers(0, DAY_US, size),
        account=-1,
        software=FIRST_PRINCIPAL + rng.integers(0, len(PRINCIPALS), size),
        resource=rng.choice([RESOURCE_NAMES.index(n) for n in ("graph", "azure")], size),
        code=np.where((rng.random(size) < 0.02) & ~managed, 7000215, 0),
        ip=np.where(managed, -1, rng.choice(world.people.datacentre_ips, size)),
        category=np.where(managed, IDENTITY, PRINCIPAL),
    )


def _spray(world: World, episode: Episode, rng: np.random.Generator) -> Rows:
    """Wrong passwords for everybody in turn, from a few hosting networks abroad."""
    accounts = world.people.accounts
    size = max(3000, SPRAY_TRIES * world.spec.users)
    ghosts = np.flatnonzero(accounts.kind == GHOST)
    # The list is worked through name by name, as spraying tools do.
    members = rng.permutation(accounts.members())
    account = np.resize(members, size)
    ghost = rng.random(size) < 0.12
    account[ghost] = rng.choice(ghosts, int(ghost.sum()))
    locked = ~ghost & (rng.random(size) < 0.2)
    pool = np.concatenate(world.people.foreign_ips)
    kind = rng.choice(len(SPRAYED), size, p=[s.weight for s in SPRAYED])
    resources = np.array([RESOURCE_NAMES.index(r) for r in SPRAYED_RESOURCES])
    return world.signins(
        size,
        t=np.sort(rng.integers(episode.start, episode.end, size)),
        account=account,
        software=FIRST_SPRAYED + kind,
        resource=resources[kind],
        code=np.select([ghost, locked], [_SPRAY_CODES[2], _SPRAY_CODES[1]], _SPRAY_CODES[0]),
        ip=rng.choice(pool, size),
        category=INTERACTIVE,
    )


def _storm(world: World, episode: Episode, number: int) -> Rows:
    """One device repeats a failing request 20 to 40 times a minute."""
    rng = stream(world.spec.seed, "storm", number)
    client = (Client.ACTIVESYNC, Client.OUTLOOK_WINDOWS_CLASSIC)[number % 2]
    holdings, accounts = world.people.holdings, world.people.accounts
    mine = np.flatnonzero(
        (holdings.client == CLIENT_INDEX[client]) & (accounts.kind[holdings.user] == MEMBER)
    )
    if not mine.size:
        return make(SIGNIN, 0)
    hold = int(rng.choice(mine))
    minutes = (episode.end - episode.start) // MINUTE_US
    counts = rng.integers(20, 41, minutes)
    start = episode.start + np.repeat(np.arange(minutes) * MINUTE_US, counts)
    # An old password that locks the account; then a client loop that also overloads.
    codes, weights = (
        ((50126, 50053), (0.7, 0.3)) if number % 2 == 0 else ((50196, 90024), (0.7, 0.3))
    )
    return world.signins(
        start.size,
        t=start + rng.integers(0, MINUTE_US, start.size),
        account=holdings.user[hold],
        software=holdings.software[hold],
        resource=RESOURCE_NAMES.index("exchange"),
        code=rng.choice(codes, start.size, p=weights),
        ip=accounts.mobile_ip[holdings.user[hold]],
        category=REFRESH,
    )
