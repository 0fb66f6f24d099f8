"""Who left which client for which: user-hours in, flags of shifts with both ends named."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.habits import MAIL_CLIENTS, Habits
from detectors.shift import ShiftLanes, ShiftSettings
from pipeline.model.vocabulary import Client, Service, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detectors.evidence import Change
    from pipeline.model.window import Cell, WindowBlock

    Sighting = tuple[NDArray[np.uint64], NDArray[np.int64]]

# Only the mailbox audit tells who really read mail: in a sign-in log a client that gets
# its token and then no answer looks as well as ever.
_SOURCE: Final = Source.EXCHANGE_AUDIT
_SERVICE: Final = Service.EXCHANGE_ONLINE
_HOUR_US: Final = 3_600_000_000
_KEPT_HOURS: Final = 48
_FORGET: Final = 0.5 ** (1 / 168)
_NAMED: Final = 3
_BANDS_OF: Final = {client: at for at, client in enumerate(MAIL_CLIENTS)}


def is_watched(cell: Cell) -> bool:
    """Whether people can be missed in that cell."""
    return (cell.source, cell.service) == (_SOURCE, _SERVICE) and cell.client in _BANDS_OF


@dataclass(frozen=True, slots=True)
class _Went:
    """One hour: people asked after and where the absent were, by lane."""

    hour: int
    asked: NDArray[np.float64]
    found: NDArray[np.float64]


class Moves:
    """Habits of a tenant's users and the lanes that watch them."""

    def __init__(self, settings: ShiftSettings) -> None:
        self.habits = Habits()
        self.lanes = ShiftLanes(settings)
        self.client: list[int] = []
        self._went: deque[_Went] = deque(maxlen=_KEPT_HOURS)
        self._asked = np.zeros(0)
        self._found = np.zeros((0, len(MAIL_CLIENTS)))

    def watch(self, clients: list[Client]) -> None:
        """The client of every lane; new ones come at the end."""
        self.client = [_BANDS_OF[c] for c in clients]
        more = len(clients) - self.lanes.lanes
        self.lanes.grow(len(clients))
        self._asked = np.pad(self._asked, (0, more))
        self._found = np.pad(self._found, ((0, more), (0, 0)))

    def advance(
        self, hour: int, seen: Sighting, threshold: float, *, whole: bool, hold: bool
    ) -> list[Change]:
        """Score and learn one hour.

        Args:
            hour: since 1970.
            seen: who was seen where, see :func:`sightings`.
            threshold: alarm level of the score.
            whole: whether nearly all records of the hour are there.
            hold: whether something else of the tenant is amiss.
        """
        told = self.habits.take(hour, *seen, hold=hold or not whole)
        judged = np.full(len(self.client), whole and told.ordinary)
        asked = told.at_work[self.client].sum(axis=1)
        found = told.found[self.client]
        self._went.append(_Went(hour, asked, found))
        if whole and told.ordinary and not hold:
            self._asked = self._asked * _FORGET + asked
            self._found = self._found * _FORGET + found
        self.lanes.hold = hold
        return self.lanes.advance(
            hour, told.at_work[self.client], told.absent[self.client], judged, threshold
        )

    def destinations(self, change: Change) -> tuple[dict[str, float], dict[str, float]]:
        """Where the absent of a change were beyond the usual: observed and expected users.

        By client name, those that gained most; user-hours of the last 48 hours at most.
        """
        lane = change.lane
        last = change.minute if change.end is None else change.end
        hours = [w for w in self._went if change.onset // 60 <= w.hour <= last // 60]
        found = np.zeros(len(MAIL_CLIENTS))
        asked = 0.0
        for went in hours:
            if lane < len(went.asked):
                found += went.found[lane]
                asked += float(went.asked[lane])
        usual = asked * self._found[lane] / max(float(self._asked[lane]), 1.0)
        order = np.argsort(usual - found, kind="stable")[:_NAMED]
        gained = [at for at in order.tolist() if found[at] > usual[at]]
        names = [str(MAIL_CLIENTS[at]) for at in gained]
        return (
            dict(zip(names, found[gained].tolist(), strict=True)),
            dict(zip(names, np.round(usual[gained], 1).tolist(), strict=True)),
        )


def sightings(block: WindowBlock, tenant: str) -> Mapping[int, Sighting]:
    """Who was seen reading mail where, by hour since 1970: users and indices of clients."""
    table = block.user_hours
    nobody = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    first = int(block.start.timestamp()) // 3600
    hours = range(first, first + block.minutes // 60)
    if not table.num_rows:
        return dict.fromkeys(hours, nobody)
    lookups = {
        "tenant": {tenant: 1},
        "source": {str(_SOURCE): 1},
        "service": {str(_SERVICE): 1},
    }
    kept = table.column("ok").to_numpy() > 0
    for name, wanted in lookups.items():
        kept &= _codes(table, name, wanted, 0) == 1
    client = _codes(table, "client", {str(c): at for c, at in _BANDS_OF.items()}, -1)
    kept &= client >= 0
    hour = table.column("hour").cast("int64").to_numpy()[kept] // _HOUR_US
    user, client = table.column("user").to_numpy()[kept], client[kept].astype(np.int64)
    order = np.argsort(hour, kind="stable")
    edges = np.searchsorted(hour[order], np.arange(first, first + len(hours) + 1))
    parts = [order[a:b] for a, b in pairwise(edges.tolist())]
    return {h: (user[rows], client[rows]) for h, rows in zip(hours, parts, strict=True)}


def _codes(table: object, name: str, wanted: Mapping[str, int], other: int) -> NDArray[np.int8]:
    """A dictionary column as the numbers ``wanted`` gives its names."""
    column = table.column(name).combine_chunks()  # type: ignore[attr-defined] # pyarrow is untyped
    number = np.array([wanted.get(v, other) for v in column.dictionary.to_pylist()], np.int8)
    codes: NDArray[np.int8] = number.take(column.indices.to_numpy())
    return codes
