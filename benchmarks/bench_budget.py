"""False flags of quiet tenants against the budget that was promised, by size of tenant.

    python benchmarks/bench_budget.py [--sizes USERS:TENANTS ...] [--seed N]

Nothing happens to these tenants: whatever their banks flag is false. The promise is one false
page a tenant and month over all lanes and signals together, whatever the size; flags that
start within half a day of the one before are one page. The first two weeks are for learning
and not counted. Printed: pages a tenant-month, which signals they came from, and the range
within which a kept promise would lie nine times out of ten (Poisson).

Nothing was tuned on the default seeds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lived import closed, parsed
from scipy.stats import poisson

from connectors.normalise.meanings import meanings
from detectors.bank import BankSettings, TenantBank, families_of
from pipeline.model.flag import FlagState
from pipeline.simulate.run import simulate
from pipeline.simulate.spec import SimulationSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.model.flag import Flag

BEGIN: Final = datetime(2026, 3, 2, tzinfo=UTC)
WEEKS: Final = 6
WARM: Final = timedelta(weeks=2)
MONTH: Final = timedelta(days=30)
EPISODE: Final = timedelta(hours=12)
PROMISED: Final = 1.0
SIZES: Final = ("100:24", "300:16", "1000:8", "3000:3", "10000:1")


def flags_of(users: int, seed: int) -> list[Flag]:
    """What a quiet tenant's bank raises after the weeks of learning."""
    with tempfile.TemporaryDirectory(prefix="outrider-bench-") as folder:
        logs, spool = Path(folder) / "logs", Path(folder) / "spool"
        spec = SimulationSpec(users=users, weeks=WEEKS, seed=seed, start=BEGIN, compression="zstd")
        simulate(spec, logs)
        codes = families_of({code: outcome for code, (outcome, _) in meanings().items()})
        bank: TenantBank | None = None
        flags: list[Flag] = []
        for block in closed(parsed([logs / "signins", logs / "audit"], spool), spool):
            bank = bank or TenantBank(block.cells[0].tenant, BankSettings(PROMISED, codes))
            flags += bank.advance(block)
    opened = (f for f in flags if f.state is FlagState.OPEN and f.revision == 1)
    return sorted((f for f in opened if f.alarm_at >= BEGIN + WARM), key=lambda f: f.alarm_at)


def pages(flags: Sequence[Flag]) -> list[Flag]:
    """The first flag of each page."""
    return [
        flag
        for before, flag in zip([None, *flags], flags, strict=False)
        if before is None or flag.alarm_at - before.alarm_at > EPISODE
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sizes", nargs="*", default=SIZES, metavar="USERS:TENANTS")
    parser.add_argument("--seed", type=int, default=700, help="of the first tenant")
    args = parser.parse_args()
    each = (timedelta(weeks=WEEKS) - WARM) / MONTH
    print(f"promised: {PROMISED:.2f} false pages a tenant-month", flush=True)
    for users, tenants in (map(int, size.split(":")) for size in args.sizes):
        first = [pages(flags_of(users, args.seed + n)) for n in range(tenants)]
        found, months = sum(map(len, first)), tenants * each
        low, high = (poisson.ppf(q, PROMISED * months) / months for q in (0.05, 0.95))
        whence = Counter(f"{f.signal}/{f.detector}" for mine in first for f in mine)
        print(
            f"{users:6d} users: {found:3d} in {months:5.1f} tenant-months = "
            f"{found / months:4.2f} (kept: {low:.2f}-{high:.2f})  "
            + ", ".join(f"{n} {name}" for name, n in whence.most_common()),
            flush=True,
        )


if __name__ == "__main__":
    main()
