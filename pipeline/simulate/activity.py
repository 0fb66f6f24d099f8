"""One local day of use: who takes up which client when, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.simulate.confounders import HOLIDAY_FACTOR, is_holiday
from pipeline.simulate.habits import HABITS
from pipeline.simulate.places import OFFICES
from pipeline.simulate.population import CLIENT_INDEX, SERVICE, ZONES
from pipeline.simulate.rhythm import HEADROOM, draw_hours, local_to_us, week_factor
from pipeline.simulate.rows import chance
from pipeline.simulate.spec import stream

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import NDArray

    from pipeline.simulate.world import World

MINUTE_US: Final = 60_000_000
SICK: Final = 0.03
AWAY: Final = 0.04
AT_OFFICE: Final = 0.65


@dataclass(slots=True)
class Uses:
    """Single uses of a client, in the order of (holding, time)."""

    hold: NDArray[np.int64]
    t: NDArray[np.int64]
    ip: NDArray[np.int32]

    def keep(self, mask: NDArray[np.bool_]) -> Uses:
        """Only the uses where ``mask`` holds."""
        return Uses(self.hold[mask], self.t[mask], self.ip[mask])

    def ordered(self) -> Uses:
        """The same, sorted by (holding, time)."""
        order = np.lexsort((self.t, self.hold))
        return Uses(self.hold[order], self.t[order], self.ip[order])


def day_uses(world: World, day: date) -> Uses:
    """Draw every use of the local ``day`` in both time zones."""
    rng = stream(world.spec.seed, "uses", day.toordinal())
    holdings, accounts = world.people.holdings, world.people.accounts
    bot = world.holds([c for c, h in HABITS.items() if h.rhythm == "bot"])
    counts = rng.poisson(_rates(world, day, bot))
    hold = np.repeat(np.arange(len(holdings)), counts)
    user = holdings.user[hold]
    hours = _hours(world, rng, day, hold, counts)
    t = np.empty(hold.size, np.int64)
    for number, zone in enumerate(ZONES):
        here = accounts.zone[user] == number
        t[here] = local_to_us(day, zone, hours[here])
    kept = bot[hold] | (
        rng.random(hold.size) < world.drift.keep_probability(t, holdings.client[hold])
    )
    ip = _places(world, rng, day, hold, hours)
    sessions = Uses(hold, t, ip).keep(kept)
    uses = _expand(world, rng, sessions)
    return _cut(world, uses).ordered()


def _rates(world: World, day: date, bot: NDArray[np.bool_]) -> NDArray[np.float64]:
    holdings = world.people.holdings
    seed = world.spec.seed
    begin = world.spec.begin.date()
    part = (day - begin).days / (7 * world.spec.weeks)
    factor = world.by_client({c: week_factor(h.rhythm, day) for c, h in HABITS.items()})
    if is_holiday(world.plan, day):
        factor = np.where(bot, factor, factor * HOLIDAY_FACTOR)
    week = day.isocalendar().week
    absent = (chance(seed + 11, holdings.user, day.toordinal()) < SICK) | (
        chance(seed + 12, holdings.user, week) < AWAY
    )
    here = (part < holdings.moves_at) & (part >= holdings.arrives_at)
    out: NDArray[np.float64] = holdings.rate * factor * here
    return np.where(bot, out, out * HEADROOM * np.where(absent, 0.04, 1.0))


def _hours(
    world: World,
    rng: np.random.Generator,
    day: date,
    hold: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Local hour of each session, bent to its user's working hours."""
    holdings, accounts = world.people.holdings, world.people.accounts
    hours = np.empty(hold.size)
    user = holdings.user[hold]
    for client, habit in HABITS.items():
        mine = holdings.client[hold] == CLIENT_INDEX[client]
        drawn = draw_hours(rng, habit.rhythm, day, int(mine.sum()))
        if habit.rhythm != "bot" and day.weekday() < 5:
            bent = accounts.begin[user[mine]] + (drawn - 8.5) * accounts.length[user[mine]] / 9
            # A phone follows its owner's hours half way only.
            drawn = bent if habit.rhythm == "desk" else (drawn + bent) / 2
        elif habit.rhythm == "bot":
            # Polls come at an even pace: one in each equal part of the day.
            number = np.arange(hold.size) - np.repeat(np.cumsum(counts) - counts, counts)
            drawn = ((number + rng.random(hold.size)) / np.repeat(counts, counts))[mine] * 24
        hours[mine] = drawn
    return np.mod(hours, 24)


def _places(
    world: World,
    rng: np.random.Generator,
    day: date,
    hold: NDArray[np.int64],
    hours: NDArray[np.float64],
) -> NDArray[np.int32]:
    """Address of each session: office, home or carrier."""
    holdings, accounts = world.people.holdings, world.people.accounts
    user = holdings.user[hold]
    office = (chance(world.spec.seed + 13, user, day.toordinal()) < AT_OFFICE) & (day.weekday() < 5)
    at_work = (hours > accounts.begin[user] - 0.3) & (
        hours < accounts.begin[user] + accounts.length[user] + 0.3
    )
    mobile = world.holds([c for c, h in HABITS.items() if h.rhythm == "mobile"])[hold]
    draw = rng.random(hold.size)
    in_office = office & at_work & (~mobile | (draw < 0.7))
    in_office |= accounts.kind[user] == SERVICE
    on_carrier = mobile & ~in_office & ((draw < 0.5) | (office & at_work))
    out: NDArray[np.int32] = np.where(
        in_office,
        accounts.office_ip[user],
        np.where(on_carrier, accounts.mobile_ip[user], accounts.home_ip[user]),
    )
    return out


def _expand(world: World, rng: np.random.Generator, sessions: Uses) -> Uses:
    """Turn each session into one or more accesses within its length."""
    mean = world.by_client({c: h.uses for c, h in HABITS.items()})[sessions.hold]
    minutes = world.by_client({c: h.minutes for c, h in HABITS.items()})[sessions.hold]
    counts = 1 + rng.poisson(np.maximum(mean - 1, 0))
    length = rng.exponential(minutes) * MINUTE_US
    which = np.repeat(np.arange(counts.size), counts)
    first = np.ones(which.size, bool)
    first[1:] = which[1:] != which[:-1]
    offset = np.where(first, 0.0, rng.random(which.size) * length[which]).astype(np.int64)
    return Uses(sessions.hold[which], sessions.t[which] + offset, sessions.ip[which])


def _cut(world: World, uses: Uses) -> Uses:
    """Drop what an office without network cannot do."""
    gone = np.zeros(uses.t.size, bool)
    for office, episode in world.plan.cut_offices:
        number = [o.name for o in OFFICES].index(office)
        during = (uses.t >= episode.start) & (uses.t < episode.end)
        gone |= during & (world.office_of_ip[uses.ip] == number)
    return uses.keep(~gone)
