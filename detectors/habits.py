"""Which clients people usually read mail with, learned from their user-hours."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from pipeline.model.vocabulary import CLIENT_FAMILIES, Client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

# Clients that a person holds and opens: being seen in one of them is being at work. Mail
# clients that fetch by themselves show nobody at work, but can be missed like the others.
HELD: Final = (
    Client.OUTLOOK_IOS,
    Client.OUTLOOK_ANDROID,
    Client.OUTLOOK_MAC_NEW,
    Client.OUTLOOK_MAC_LEGACY,
    Client.OUTLOOK_WINDOWS_CLASSIC,
    Client.OUTLOOK_WINDOWS_NEW,
    Client.OWA,
    Client.ACTIVESYNC,
)
MAIL_CLIENTS: Final = (*HELD, Client.IMAP4, Client.POP3)
# Shares of the hours at work in which somebody uses a client. A person who is nearly
# always there tells most by being away: told apart so, the same outage gives twice the
# evidence of one pool of all who use the client in two hours of five (simulated tenants).
BANDS: Final = (0.25, 0.5, 0.75)
WEEK_SLOTS: Final = 48  # hours of a working day, then of a day off
# 1970-01-01 was a Thursday.
_THURSDAY: Final = 3
_WORKING_DAYS: Final = 5
_FADE_A_DAY: Final = 0.9  # a habit is what the last ten working days say
_KNOWN_HOURS: Final = 3.0  # hours at work before a person's habits say anything
_FORGOTTEN: Final = 0.05
# An hour with less than half of the usual people is a holiday: who does work then, works
# otherwise. It is known as usual after so many such hours of working days and days off.
_ATTENDANCE: Final = 0.5
_FADE_A_VISIT: Final = 0.85
_VISITS: Final = (2.5, 1.5)
# A refusal to learn ends after ten days: then the new habits are accepted.
_HELD_BACK: Final = 240


def _line_of() -> Floats:
    """Whether two clients are one product line: moving within one is an upgrade."""
    same = np.eye(len(MAIL_CLIENTS), dtype=bool)
    for name in ("mobile", "mac", "windows"):
        line = np.array([c in CLIENT_FAMILIES[name] for c in MAIL_CLIENTS])
        same |= np.outer(line, line)
    return same.astype(np.float32)


def _hours(*shape: int) -> Floats:
    return np.zeros(shape, np.float32)


_LINE: Final = _line_of()
_BY_HAND: Final = np.array([c in HELD for c in MAIL_CLIENTS])


def slot_of(hour: int) -> int:
    """Hour of the day, plus 24 on Saturdays and Sundays; ``hour`` since 1970, UTC."""
    day_off = (hour // 24 + _THURSDAY) % 7 >= _WORKING_DAYS
    return hour % 24 + 24 * day_off


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the people of each client were in one hour; all arrays begin with clients.

    Attributes:
        at_work: people at work by how usual the client is for them, shape (clients, bands).
        absent: of these, seen in no client of its product line, same shape.
        found: of the absent, seen in each client, shape (clients, clients).
        ordinary: whether as many people as usual were at work, as far as that is known.
    """

    at_work: NDArray[np.float64]
    absent: NDArray[np.float64]
    found: NDArray[np.float64]
    ordinary: bool


@dataclass(slots=True)
class Habits:
    """Decayed hours of every user, in all and by client; working days only.

    No array of users is written to once it is made: copies of a bank share them (a tenant of
    30,000 users has 3 MB of them).

    Attributes:
        user: keyed hashes, sorted.
        work: hours at work, shape (users,). used: by client, shape (users, clients).
        today_work, today_used: the same of the day that is not over.
        people, visits: decayed sums by slot of the week, shape (48,).
        day: day since 1970 that is not over, None before the first.
        held_back: hours in a row that were not learned.
    """

    user: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    work: Floats = field(default_factory=lambda: _hours(0))
    used: Floats = field(default_factory=lambda: _hours(0, len(MAIL_CLIENTS)))
    today_work: Floats = field(default_factory=lambda: _hours(0))
    today_used: Floats = field(default_factory=lambda: _hours(0, len(MAIL_CLIENTS)))
    people: NDArray[np.float64] = field(default_factory=lambda: np.zeros(WEEK_SLOTS))
    visits: NDArray[np.float64] = field(default_factory=lambda: np.zeros(WEEK_SLOTS))
    day: int | None = None
    held_back: int = 0

    def take(
        self, hour: int, user: NDArray[np.uint64], client: NDArray[np.int64], *, hold: bool
    ) -> Whereabouts:
        """Count one hour by the habits of the days before, then learn it.

        Args:
            hour: since 1970; hours come in order.
            user: who was seen, once for each client.
            client: where, as an index into MAIL_CLIENTS; of the same length.
            hold: whether the tenant is not itself, so that nothing is to be learned.
        """
        if self.day is not None and hour // 24 != self.day:
            self._fold()
        self.day = hour // 24
        people, row = np.unique(user, return_inverse=True)
        seen = np.zeros((len(people), len(MAIL_CLIENTS)), dtype=bool)
        seen[row, client] = True
        working = seen[:, _BY_HAND].any(axis=1)
        people, seen = people[working], seen[working]
        told = self._count(hour, people, seen)
        self.held_back = self.held_back + 1 if hold else 0
        if told.ordinary and (not hold or self.held_back > _HELD_BACK):
            self._learn(hour, people, seen)
        return told

    def _count(self, hour: int, people: NDArray[np.uint64], seen: NDArray[np.bool_]) -> Whereabouts:
        at = np.searchsorted(self.user, people)
        known = at < len(self.user)
        known[known] = self.user[at[known]] == people[known]
        at, seen = at[known], seen[known]
        work = self.work[at]
        share = self.used[at] / np.maximum(work, 1e-9)[:, None]
        band = np.searchsorted(BANDS, share, side="right") - 1
        band[work < _KNOWN_HOURS] = -1
        usual = band[:, :, None] == np.arange(len(BANDS))
        away = seen.astype(np.float32) @ _LINE == 0.0
        missed = usual & away[:, :, None]
        slot = slot_of(hour)
        mean = self.people[slot] / max(self.visits[slot], 1e-9)
        return Whereabouts(
            at_work=usual.sum(axis=0).astype(float),
            absent=missed.sum(axis=0).astype(float),
            found=(missed.any(axis=2).T.astype(np.float32) @ seen.astype(np.float32)).astype(float),
            ordinary=not self.settled(hour) or bool(len(people) >= _ATTENDANCE * mean),
        )

    def settled(self, hour: int) -> bool:
        """Whether such hours have been met often enough to know how many people are usual."""
        slot = slot_of(hour)
        return bool(self.visits[slot] >= _VISITS[slot // 24])

    def _learn(self, hour: int, people: NDArray[np.uint64], seen: NDArray[np.bool_]) -> None:
        slot = slot_of(hour)
        self.people[slot] = self.people[slot] * _FADE_A_VISIT + len(people)
        self.visits[slot] = self.visits[slot] * _FADE_A_VISIT + 1.0
        if slot >= WEEK_SLOTS // 2:
            return  # on days off people read mail elsewhere than at work
        self._meet(people)
        at = np.searchsorted(self.user, people)
        self.today_work, self.today_used = self.today_work.copy(), self.today_used.copy()
        self.today_work[at] += 1.0
        self.today_used[at] += seen

    def _meet(self, people: NDArray[np.uint64]) -> None:
        """Make room for people not met before."""
        new = np.setdiff1d(people, self.user, assume_unique=True)
        if len(new):
            at = np.searchsorted(self.user, new)
            self.user = np.insert(self.user, at, new)
            for name in ("work", "used", "today_work", "today_used"):
                setattr(self, name, np.insert(getattr(self, name), at, 0.0, axis=0))

    def _fold(self) -> None:
        """Add a day that is over to the habits, if it was one of work."""
        if not self.today_work.any():
            return
        self.work = self.work * _FADE_A_DAY + self.today_work
        self.used = self.used * _FADE_A_DAY + self.today_used
        kept = self.work >= _FORGOTTEN
        self.user, self.work, self.used = self.user[kept], self.work[kept], self.used[kept]
        self.today_work = _hours(len(self.user))
        self.today_used = _hours(len(self.user), len(MAIL_CLIENTS))

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Self:
        """A copy that shares what is never written to."""
        return replace(self, people=self.people.copy(), visits=self.visits.copy())
