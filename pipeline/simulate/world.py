"""The tenant of one simulation: who, what happens, and arrays looked up all day long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.model.clock import to_us
from pipeline.model.vocabulary import Client
from pipeline.simulate.habits import AUDITED, HABITS
from pipeline.simulate.places import OFFICES
from pipeline.simulate.population import CLIENT_INDEX, CLIENTS, MEMBER, populate
from pipeline.simulate.rhythm import Drift
from pipeline.simulate.rows import SIGNIN, Rows, make
from pipeline.simulate.scenarios import make_plan
from pipeline.simulate.spec import stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from pipeline.simulate.spec import SimulationSpec

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
THROTTLED_PER_DAY = 1 / 3500  # one mailbox of 500 a week; Microsoft says below 1 %


class World:
    """Everything that stays the same while the days pass, and the running numbers.

    Attributes:
        spec, people, plan, drift: the parts.
        begin, end: the period, microseconds UTC.
        throttles: rows (account, start, end of silence) of throttled mailboxes.
    """

    def __init__(self, spec: SimulationSpec) -> None:
        self.spec = spec
        self.people = populate(spec)
        self.plan = make_plan(spec)
        self.drift = Drift(spec, len(CLIENTS))
        self.begin, self.end = to_us(spec.begin), to_us(spec.end)
        self._serial = 1
        holdings, accounts = self.people.holdings, self.people.accounts
        self.owa_of = np.full(accounts.kind.size, -1, np.int64)
        owa = np.flatnonzero(holdings.client == CLIENT_INDEX[Client.OWA])
        self.owa_of[holdings.user[owa]] = owa
        self.interactive = self.by_client({c: h.interactive for c, h in HABITS.items()})
        self.audited = self.by_client(dict(AUDITED))
        self.sync = self.by_client({c: h.sync for c, h in HABITS.items()})
        self.binds = self.by_client({c: h.binds for c, h in HABITS.items()})
        self.office_of_ip = np.array(
            [OFFICES.index(n) if n in OFFICES else -1 for n in self.people.networks], np.int8
        )
        self.throttles = self._throttle()

    def by_client(self, values: dict[Client, float]) -> NDArray[np.float64]:
        """One number a holding, from a table by client."""
        table = np.array([values.get(c, 0.0) for c in CLIENTS])
        out: NDArray[np.float64] = table[self.people.holdings.client]
        return out

    def holds(self, clients: Iterable[Client]) -> NDArray[np.bool_]:
        """Which holdings are of ``clients``."""
        codes = [CLIENT_INDEX[c] for c in clients]
        out: NDArray[np.bool_] = np.isin(self.people.holdings.client, codes)
        return out

    def serials(self, size: int) -> NDArray[np.uint64]:
        """The next ``size`` record numbers."""
        first = self._serial
        self._serial += size
        return np.arange(first, self._serial, dtype=np.uint64)

    def signins(self, size: int, **columns: object) -> Rows:
        """Sign-in rows with fresh serials; each its own sign-in unless ``corr`` is given."""
        serial = self.serials(size)
        columns.setdefault("corr", serial)
        return make(SIGNIN, size, serial=serial, **columns)

    def _throttle(self) -> NDArray[np.int64]:
        rng = stream(self.spec.seed, "throttle")
        members = np.flatnonzero(self.people.accounts.kind == MEMBER)
        days = (self.end - self.begin) // DAY_US
        size = int(rng.poisson(members.size * days * THROTTLED_PER_DAY))
        start = self.begin + rng.integers(0, days, size) * DAY_US
        start += (rng.uniform(6, 18, size) * HOUR_US).astype(np.int64)
        return np.stack([rng.choice(members, size), start, start + DAY_US], axis=1)
