"""How much earlier all signals together find a silent outage than any one of them.

The pattern of EX1256020: Outlook for iOS and Android and the new Outlook for Mac lose part of
their accesses, some of the people turn to Outlook on the web, and nothing fails (the mailbox
audit is all there is; ``--signins`` adds the sign-in log, where clients that try again tell).
One outage a tenant, ten hours of the third Thursday, of different size; quiet tenants beside.

Every way of watching may raise one false alarm a tenant-month by its own promise: each signal
alone on its own lanes, all lanes one by one on a shared budget (the peer), and the joint
evidence alone. ``both`` is what the product does: three quarters of the budget for single
lanes, one for the joint evidence. Printed: outages found within the ten hours, mean delay to
the end of the minute that decides (not found = ten hours; the delivery of the log comes on top
for all alike), and the false alarms of the quiet tenants a month, promised 1.

Nothing was tuned on the default seeds.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from lived import closed, parsed

from connectors.normalise.meanings import meanings
from detectors.bank import BankSettings, TenantBank, families_of
from detectors.budget import threshold
from detectors.flags import JOINT
from pipeline.model.flag import FlagState
from pipeline.model.vocabulary import Client
from pipeline.simulate.outage import Outage
from pipeline.simulate.run import simulate
from pipeline.simulate.spec import SimulationSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.model.flag import Flag
    from pipeline.model.window import WindowBlock

BEGIN: Final = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
START: Final = BEGIN + timedelta(days=17, hours=8)
LENGTH: Final = timedelta(hours=10)
CLIENTS: Final = (Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID, Client.OUTLOOK_MAC_NEW)
NEVER: Final = math.inf
# Alarms this close are one episode.
EPISODE: Final = timedelta(hours=12)
WARM: Final = timedelta(days=7)


class OneSignal(TenantBank):
    """A bank that only listens to one group of lanes, with the whole budget for it."""

    group = ""

    def threshold(self) -> float:
        """One false alarm a month over the lanes of the group."""
        return threshold(1.0, int(self._parts()[self.group].warm().sum()))

    def joint_threshold(self) -> float:
        """Never."""
        return NEVER


class OneByOne(TenantBank):
    """All lanes, each for itself."""

    def threshold(self) -> float:
        """One false alarm a month over all lanes."""
        return threshold(1.0, sum(int(p.warm().sum()) for p in self._parts().values()))

    def joint_threshold(self) -> float:
        """Never."""
        return NEVER


class JointOnly(TenantBank):
    """The joint evidence alone."""

    def threshold(self) -> float:
        """Out of reach; its exponential is still a double."""
        return 600.0

    def joint_threshold(self) -> float:
        """One false alarm a month."""
        return threshold(1.0, 1)


def _alone(name: str) -> type[OneSignal]:
    return type(f"Only{name.title()}", (OneSignal,), {"group": name})


WAYS: Final[dict[str, tuple[type[TenantBank], Callable[[Flag], bool]]]] = {
    "drop of users": (_alone("users"), lambda f: f.signal == "active_users"),
    "drop of accesses": (_alone("volume"), lambda f: f.signal == "access_volume"),
    "client shift": (_alone("shifts"), lambda f: f.signal == "client_shift"),
    "retry pressure": (_alone("retries"), lambda f: f.signal == "retry_pressure"),
    "all, one by one": (OneByOne, lambda _: True),
    "joint": (JointOnly, lambda f: f.detector == JOINT),
    "both": (TenantBank, lambda _: True),
}


@dataclass(slots=True)
class Tally:
    """Delays in hours (None = not found) and false alarms by way."""

    delays: dict[str, list[float | None]] = field(default_factory=lambda: {w: [] for w in WAYS})
    false: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WAYS, 0))
    months: float = 0.0


def windows(spec: SimulationSpec) -> list[WindowBlock]:
    """The windows of a simulated tenant, by day."""
    with tempfile.TemporaryDirectory(prefix="outrider-bench-") as folder:
        logs, spool = Path(folder) / "logs", Path(folder) / "spool"
        simulate(spec, logs)
        return list(closed(parsed([logs / "signins", logs / "audit"], spool), spool))


def alarms(blocks: Sequence[WindowBlock], way: str) -> list[datetime]:
    """When the flags of a way of watching rose, in order."""
    make, mine = WAYS[way]
    codes = families_of({code: outcome for code, (outcome, _) in meanings().items()})
    bank = make(blocks[-1].cells[0].tenant, BankSettings(1.0, codes))
    flags = [f for block in blocks for f in bank.advance(block)]
    return sorted(f.alarm_at for f in flags if f.state is FlagState.OPEN and mine(f))


def episodes(found: Sequence[datetime]) -> int:
    """Alarms that are not within half a day of the one before."""
    return sum(i == 0 or at - found[i - 1] > EPISODE for i, at in enumerate(found))


def judge(tally: Tally, spec: SimulationSpec, ways: Sequence[str]) -> None:
    """Watch a tenant in every way."""
    blocks = windows(spec)
    if not spec.outages:
        tally.months += (timedelta(weeks=spec.weeks) - WARM) / timedelta(days=30)
    for way in ways:
        found = alarms(blocks, way)
        if spec.outages:
            hits = [at for at in found if START <= at < START + LENGTH]
            delay = (hits[0] - START + timedelta(minutes=1)) / timedelta(hours=1) if hits else None
            tally.delays[way].append(delay)
        else:
            tally.false[way] += episodes(found)


def report(what: str, tally: Tally, ways: Sequence[str]) -> None:
    """One table: found, mean delay, and how it compares with the best single signal."""
    cap = LENGTH / timedelta(hours=1)
    means = {w: float(np.mean([cap if d is None else d for d in tally.delays[w]])) for w in ways}
    best = min(means[w] for w in ways if w not in {"joint", "both", "all, one by one"})
    print(f"\n{what}: {len(tally.delays[ways[0]])} outages")
    for way in ways:
        found = sum(d is not None for d in tally.delays[way])
        print(
            f"  {way:18} found {found:3d}   mean delay {means[way]:5.2f} h"
            f"   / best single signal {means[way] / best:4.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", nargs="*", type=int, default=list(range(501, 507)))
    parser.add_argument("--effects", nargs="*", type=float, default=[0.2, 0.35, 0.6])
    parser.add_argument("--users", nargs="*", type=int, default=[500])
    parser.add_argument("--lasting", action="store_true", help="the same people all the time")
    parser.add_argument("--signins", action="store_true", help="with the sign-in log")
    parser.add_argument("--quiet", type=int, default=8, help="quiet tenants of each size")
    args = parser.parse_args()
    without = () if args.signins else ("signins",)
    ways = [w for w in WAYS if args.signins or w != "retry pressure"]
    for users in args.users:
        for effect in args.effects:
            outage = Outage(CLIENTS, START, LENGTH, effect, silent=True, lasting=args.lasting)
            tally = Tally()
            for seed in args.seeds:
                spec = SimulationSpec(
                    users=users,
                    weeks=3,
                    seed=seed,
                    start=BEGIN,
                    without=without,
                    compression="none",
                    outages=(outage,),
                )
                judge(tally, spec, ways)
            report(f"{users} users, {effect:.0%} of the accesses fail", tally, ways)
        if not args.quiet:
            continue
        tally = Tally()
        for seed in range(601, 601 + args.quiet):
            spec = SimulationSpec(
                users=users, weeks=4, seed=seed, start=BEGIN, without=without, compression="none"
            )
            judge(tally, spec, ways)
        print(f"\n{users} users, quiet: {tally.months:.1f} tenant-months")
        for way in ways:
            rate = tally.false[way] / max(tally.months, 1e-9)
            print(f"  {way:18} false alarms {tally.false[way]:3d}, {rate:4.2f} a month")


if __name__ == "__main__":
    main()
