"""The last eight days of user-hours, as compact arrays sorted by cell."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.model.vocabulary import Client, OutcomeFamily, Source
from pipeline.sorting import sorted_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.model.window import Cell

U64: TypeAlias = npt.NDArray[np.uint64]
I32: TypeAlias = npt.NDArray[np.int32]

HISTORY_HOURS: Final = 8 * 24  # "this hour last week" plus a day
BLIND: Final = 0.8  # an hour less complete than this is no reference
FAMILIES: Final = tuple(OutcomeFamily)
FAILED_COLUMNS: Final = tuple(f"failed_{f}" for f in FAMILIES)
ATTRIBUTES: Final = ("country", "network", "client_version")
_FEW_NAMES: Final = 64  # so many are not worth looking for those no longer used
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads the bits of a user

ROW: Final = np.dtype(
    [
        ("user", "u8"),
        ("country", "i4"),
        ("network", "i4"),
        ("client_version", "i4"),
        ("code", "i4"),
        ("attempts", "u2"),
        ("ok", "u2"),
        ("failed", "u2", (len(FAMILIES),)),
    ]
)
"""One user's hour in one cell: 34 bytes, so eight days of 5,000 users in 8 cells are 85 MB."""

Rows: TypeAlias = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Hour:
    """All rows of one hour, sorted by cell, then user.

    Attributes:
        hour: hours since 1970.
        cells: by cell, the half-open row range.
        rows: array of ROW.
        completeness: by (tenant, source), mean over the hour, 0..1.
    """

    hour: int
    cells: dict[Cell, tuple[int, int]]
    rows: Rows
    completeness: dict[tuple[str, Source], float]
    _good: dict[Cell, tuple[U64, I32]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def good(self, cell: Cell) -> tuple[U64, I32]:
        """Users with a success in ``cell``, in order, and their networks (-1 = none).

        Worked out once: an incident's hour is compared with the same hours of a week for
        every client that may still work, each hour anew.
        """
        known = self._good.get(cell)
        if known is None:
            rows = self.of(cell)
            good = rows["ok"] > 0
            known = self._good[cell] = rows["user"][good], rows["network"][good]
        return known

    def unchanging(self) -> tuple[Rows]:
        """Arrays that nothing changes."""
        return (self.rows,)

    def of(self, cell: Cell) -> Rows:
        """The rows of ``cell`` (a view; empty if it had none)."""
        start, end = self.cells.get(cell, (0, 0))
        return self.rows[start:end]

    def blind(self, tenant: str, source: Source) -> bool:
        """Whether the source told too little of this hour to compare with."""
        return self.completeness.get((tenant, source), 1.0) < BLIND


@dataclass(slots=True)
class Names:
    """Strings as small numbers, -1 = none; ``digests`` are stable across processes."""

    values: list[str] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    digests: list[int] = field(default_factory=list)

    def add(self, value: str) -> int:
        """The number of ``value``, a new one if it is new."""
        at = self.index.get(value)
        if at is None:
            at = self.index[value] = len(self.values)
            self.values.append(value)
            digest = blake2b(value.encode(), digest_size=8).digest()
            self.digests.append(int.from_bytes(digest, "little"))
        return at

    def copy(self) -> Names:
        """An independent copy."""
        return Names(list(self.values), dict(self.index), list(self.digests))


@dataclass(slots=True)
class History:
    """User-hours of the last HISTORY_HOURS hours, all tenants.

    Attributes:
        hours: by hour since 1970, in order of time.
        names: of countries, networks and client versions, shared.
        good: by day since 1970, sorted keys of (user, network) pairs that succeeded; ask
            :meth:`good_pairs` for them.
        fresh: such keys of the last day that are not sorted in yet.
        users: by tenant and hour, distinct users of any client but server-side traffic.
    """

    hours: dict[int, Hour] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    good: dict[int, U64] = field(default_factory=dict)
    fresh: tuple[U64, ...] = ()
    users: dict[str, dict[int, int]] = field(default_factory=dict)

    def copy(self) -> History:
        """A copy that may be added to; the hours themselves are shared, never changed."""
        users = {tenant: dict(counts) for tenant, counts in self.users.items()}
        return replace(
            self, hours=dict(self.hours), names=self.names.copy(), good=dict(self.good), users=users
        )

    def add(self, packed: Hour) -> None:
        """Take in the next hour and forget the oldest."""
        self.hours[packed.hour] = packed
        for old in [h for h in self.hours if h <= packed.hour - HISTORY_HOURS]:
            del self.hours[old]
        self._count_users(packed)
        self._remember_pairs(packed)

    def _count_users(self, hour: Hour) -> None:
        for tenant in sorted({c.tenant for c in hour.cells}):
            seen = distinct(hour.of(c)["user"] for c in human(hour.cells, tenant))
            self.users.setdefault(tenant, {})[hour.hour] = len(seen)
        for counts in self.users.values():
            for old in [h for h in counts if h <= hour.hour - HISTORY_HOURS]:
                del counts[old]

    def _remember_pairs(self, hour: Hour) -> None:
        day = hour.hour // 24
        keys = self.pair_keys(hour.rows)
        keys = keys[(hour.rows["ok"] > 0) & (hour.rows["network"] >= 0)]
        if day not in self.good:
            self._sort_in()
            self.good[day] = keys[:0]
        self.fresh = (*self.fresh, keys)
        # Sorting a whole day each hour took a fifth of the correlation of a busy tenant.
        if sum(map(len, self.fresh)) > len(self.good[day]):
            self._sort_in()
        for old in [d for d in self.good if d <= day - HISTORY_HOURS // 24]:
            del self.good[old]

    def _sort_in(self) -> None:
        if self.fresh:
            day = max(self.good)
            self.good[day] = distinct([self.good[day], *self.fresh])
            self.fresh = ()

    def good_pairs(self) -> dict[int, U64]:
        """By day since 1970, sorted keys of (user, network) pairs that succeeded."""
        self._sort_in()
        return self.good

    def pair_keys(self, rows: Rows) -> U64:
        """One key for each row's (user, network); ids of names never enter it."""
        if not len(rows):
            return np.empty(0, np.uint64)
        digests = np.asarray([*self.names.digests, 0], np.uint64)
        with np.errstate(over="ignore"):
            return np.asarray((rows["user"] * _MIX) ^ digests[rows["network"]], np.uint64)

    def seen_good(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """For each row, whether this user succeeded from this network in the last days."""
        keys = self.pair_keys(rows)
        known = np.zeros(len(rows), bool)
        for pairs in self.good_pairs().values():
            known |= among(keys, pairs)
        return known

    def forget_names(self, needed: Iterable[I32]) -> I32 | None:
        """Drop names that neither a row nor ``needed`` uses, if they are the greater part.

        Returns:
            The new number of each old one (-1 = dropped), or None if nothing changed.
        """
        names = len(self.names.values)
        if names <= _FEW_NAMES:
            return None
        met = np.zeros(names + 1, bool)  # the last one is -1, none
        for codes in (*needed, *(h.rows[a] for h in self.hours.values() for a in ATTRIBUTES)):
            met[codes] = True
        used = np.flatnonzero(met[:-1])
        if names <= 2 * len(used) + _FEW_NAMES:
            return None
        fresh = Names()
        mapping = np.full(names + 1, -1, np.int32)
        for old in used.tolist():
            mapping[old] = fresh.add(self.names.values[old])
        for hour, packed in self.hours.items():
            rows = packed.rows.copy()
            for attribute in ATTRIBUTES:
                rows[attribute] = mapping[rows[attribute]]
            self.hours[hour] = replace(packed, rows=rows)
        self.names = fresh
        return mapping

    def reference(self, hour: int, before: int, tenant: str, source: Source) -> list[Hour]:
        """The same hour of the last seven days, as far as ``source`` saw it.

        Days of the same kind (working day or weekend) alone, if there are two of them.

        Args:
            hour: hour since 1970.
            before: first hour that must not serve as reference (the incident's own).
            tenant: whose feed has to have been complete.
            source: which feed has to have been complete.
        """
        found = [
            self.hours[h]
            for h in range(hour - 7 * 24, hour, 24)
            if h < before and h in self.hours and not self.hours[h].blind(tenant, source)
        ]
        alike = [h for h in found if _weekend(h.hour) == _weekend(hour)]
        return alike if len(alike) >= 2 else found

    def cells(self, tenant: str) -> list[Cell]:
        """All cells of ``tenant`` that had a user in these days, in order of name."""
        return sorted({c for h in self.hours.values() for c in h.cells if c.tenant == tenant})

    def name(self, at: int) -> str:
        """The string of a number that is not -1."""
        return self.names.values[at]


def _weekend(hour: int) -> bool:
    return (hour // 24 + 3) % 7 >= 5  # 1970-01-01 was a Thursday: +3 makes Monday 0


def human(cells: Iterable[Cell], tenant: str) -> list[Cell]:
    """The cells of ``tenant`` that show a person: all but server-side traffic."""
    return [c for c in cells if c.tenant == tenant and c.client is not Client.SYSTEM]


def distinct(parts: Iterable[npt.NDArray[np.generic]]) -> U64:
    """Sorted distinct users of several arrays."""
    arrays = [np.asarray(p, np.uint64) for p in parts]
    users = sorted_words(np.concatenate([*arrays, np.empty(0, np.uint64)]))
    # numpy's own unique hashes 64-bit words: ten times the time of this, for the same words.
    return users[np.append(True, users[1:] != users[:-1])] if len(users) else users


def among(values: U64, known: U64) -> npt.NDArray[np.bool_]:
    """Which of ``values`` are in ``known``, sorted as :func:`distinct` gives it.

    Of 50,000 sorted users in as many it takes 31 ns each and of 500 in 50,000 it takes 22; numpy's
    own ``isin`` takes 187 ns and 14 us: it knows nothing of the order, hashes both and sorts them.
    """
    if not len(known):
        return np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.asarray(known[at] == values, bool)
