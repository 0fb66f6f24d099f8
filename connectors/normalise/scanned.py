"""Sign-ins that compiled code has read, to event tables: what their numbers stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from connectors.normalise.clients import SigninTraits, signin_profile
from connectors.normalise.columns import Columns, event_table
from connectors.normalise.problems import kind_of
from connectors.normalise.signin import signin_context
from connectors.normalise.signin_fields import INTERACTIVE, SOURCES
from connectors.scan.signin_rows import (
    CONTEXT,
    NONE,
    TREES,
    new_scan,
    take_lines,
)
from connectors.scan.texts import forget, intern, text_of, texts_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from connectors.normalise.clients import Profile
    from connectors.normalise.columns import Context
    from connectors.normalise.pseudonyms import Pseudonyms
    from connectors.normalise.settings import NormaliseSettings
    from connectors.scan.texts import Texts

_ROWS: Final = 1 << 17
# How the services write the categories; other spellings go to the general reader.
_CATEGORIES: Final = ("SignInLogs", "NonInteractiveUserSignInLogs", "SigninLogs")
_MACHINES: Final = ("servicePrincipal", "managedIdentity")
_KNOWN: Final = (*_CATEGORIES, *(f'["{kind}"]' for kind in _MACHINES))


class ScannedSignins:
    """Rows of sign-ins, filled a block of lines at a time and turned to a table at once.

    It gives the very rows that :class:`connectors.normalise.signin.Signins` gives; lines of
    which it is not sure it leaves to that one.
    """

    def __init__(self, settings: NormaliseSettings, pseudonyms: Pseudonyms) -> None:
        self.settings = settings
        self._tenant = settings.tenant
        self._sites = bool(settings.site_names)
        self._pseudonyms = pseudonyms
        self._scan = new_scan(_ROWS)
        self._forget()

    def _forget(self) -> None:
        for table in (self._scan.texts, self._scan.profiles, self._scan.contexts):
            forget(table)
        for text in _KNOWN:
            intern(self._scan.texts, text.encode())
        self.profiles: list[Profile] = []
        self.contexts: list[Context] = []
        self._users = np.zeros(len(self._scan.texts.starts), np.uint64)
        self._networks: dict[int, str | None] = {}

    def __len__(self) -> int:
        return int(self._scan.filled[0])

    @property
    def crowded(self) -> bool:
        """Whether so little room is left that a table should be made now."""
        return len(self) > _ROWS // 2 or any(
            _share(table) > 0.5
            for table in (self._scan.texts, self._scan.profiles, self._scan.contexts)
        )

    def take(
        self, data: NDArray[np.uint8], begin: int, end: int, *, envelope: bool
    ) -> tuple[int, int]:
        """Take lines up to one that is unusual, or finds no room.

        Args:
            data: bytes, at least 64 of them behind ``end``.
            begin: first byte of the first line.
            end: newline of the last line.
            envelope: whether the records stand in envelopes of Azure Monitor.

        Returns:
            The first byte of the first line that was not taken; how many were.
        """
        tree = TREES[envelope]
        # Of envelopes the category tells whether a user signed in, of the others the event type.
        categories, machines = (len(_CATEGORIES), 0) if envelope else (0, len(_KNOWN))
        stop, lines = take_lines(
            data, begin, end, tree, categories, machines, self._sites, self._scan
        )
        return int(stop), int(lines)

    def passed(self) -> list[tuple[str, int]]:
        """Kinds and numbers of records without a user, since the rows were cleared."""
        counts = self._scan.passed[len(_CATEGORIES) : len(_KNOWN)].tolist()
        return [(kind_of("signin", k), n) for k, n in zip(_MACHINES, counts, strict=True) if n]

    def clear(self) -> None:
        """Forget the rows; keep what texts stand for while there is room for more."""
        full = self.crowded
        self._scan.filled[0] = 0
        self._scan.passed.fill(0)
        if full:
            self._forget()

    def table(self) -> tuple[pa.Table, list[int], NDArray[np.int64], NDArray[np.int64]]:
        """The rows as a table of EVENT_SCHEMA, no bad times, and their profiles and contexts."""
        count = len(self)
        rows = self._scan.rows[:count]
        self._learn()
        created, received, profile, context, user, address, latency = (
            np.ascontiguousarray(column) for column in rows.T
        )
        columns = Columns(
            ids=self._scan.ids[:count].copy(),
            event_time=created,
            received_time=np.maximum(received, 0),
            profile=profile,
            context=context,
            user=self._hashed(user),
            weight=np.ones(count, np.int32),
            latency=latency,
            networks=self._networks_of(context, address),
        )
        return event_table(columns, self.profiles, self.contexts), [], profile, context

    def _learn(self) -> None:
        """What the profiles and contexts are that were met since the last table."""
        scan = self._scan
        for number in range(len(self.profiles), int(scan.profiles.counts[0])):
            texts = np.frombuffer(text_of(scan.profiles, number), np.int64)
            self.profiles.append(signin_profile(SigninTraits(*map(self._text, texts.tolist()))))
        for number in range(len(self.contexts), int(scan.contexts.counts[0])):
            key = np.frombuffer(text_of(scan.contexts, number), np.int64).tolist()
            self.contexts.append(self._context(key))

    def _context(self, key: list[int]) -> Context:
        kind, tenant, home, reached, user_type, country, code, system = key[:CONTEXT]
        source = (
            INTERACTIVE[bool(kind)] if tenant == NONE else SOURCES[_CATEGORIES[kind].casefold()]
        )
        place = (
            source,
            self._text(tenant),
            self._text(home),
            self._text(reached),
            self._text(user_type),
            code,
            self._text(country),
            system,
            None,
        )
        return signin_context(place, self._tenant)

    def _text(self, number: int) -> str | None:
        return None if number == NONE else text_of(self._scan.texts, number).decode()

    def _hashed(self, texts: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Keyed hashes of the users with these texts."""
        met = np.zeros(len(self._users), bool)
        met[texts] = True
        fresh = np.flatnonzero(met & (self._users == 0))
        for number, text in zip(fresh.tolist(), texts_of(self._scan.texts, fresh), strict=True):
            self._users[number] = self._pseudonyms.user(text.decode())
        hashed: NDArray[np.uint64] = self._users[texts]
        return hashed

    def _networks_of(
        self, context: NDArray[np.int64], address: NDArray[np.int64]
    ) -> tuple[list[str | None], NDArray[np.int64]]:
        """Names of networks and which a row has: its site, else the AS, else the prefix."""
        names: list[str | None] = [c.network for c in self.contexts]
        if (address == NONE).all():
            return names, context
        chosen = context.copy()
        pairs = np.stack([address, context], axis=1)[address != NONE]
        found, where = np.unique(pairs, axis=0, return_inverse=True)
        codes = np.zeros(len(found), np.int64)
        for index, (text, number) in enumerate(found.tolist()):
            names.append(self._network(text, names[number]))
            codes[index] = len(names) - 1
        chosen[address != NONE] = codes[where.ravel()]
        return names, chosen

    def _network(self, address: int, system: str | None) -> str | None:
        if system is None:
            return self._pseudonyms.network(self._text(address))
        return self._pseudonyms.site(self._text(address)) or system


_spare: list[ScannedSignins] = []


def borrow(settings: NormaliseSettings, pseudonyms: Pseudonyms) -> ScannedSignins:
    """A reader without rows; the one given back last, which knows users and clients already."""
    while _spare:
        reader = _spare.pop()
        if reader.settings == settings:
            reader.clear()
            return reader
    return ScannedSignins(settings, pseudonyms)


def give_back(reader: ScannedSignins) -> None:
    """Keep a reader that nobody uses any more for the next input."""
    _spare[:] = [reader]


def _share(table: Texts) -> float:
    """Share of a table's room that is used."""
    count, used = int(table.counts[0]), int(table.counts[1])
    return max(count / len(table.starts), used / len(table.letters))
