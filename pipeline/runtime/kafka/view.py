"""What judging shows, as messages of the view topic: workers write them, and who serves follows.

A key is ``tenant NUL what NUL name``; a version of an advisory is no tenant's, and stands once in
each partition however many tenants there were told it. The topic keeps the newest message of each
key, and none for longer than the timeline reaches back: an hour that is judged again replaces
itself, and a tenant that has left leaves nothing behind.
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import zstandard

from pipeline.runtime.live.messages import UnreadableMessageError
from pipeline.runtime.live.showing import Part, keep

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.ledger.followed import FollowedLedger

# The running hours of the largest tenant are some hundred kB; no message is near this.
_LARGEST: Final = 64 * 2**20
_LEVEL: Final = 3
_SHARED: Final = "advisory"
# What a body of another version, or of nobody's, may come to; a full disk is none of it.
_ODD: Final = (
    AttributeError,
    LookupError,
    OverflowError,
    TypeError,
    ValueError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


class Shown(NamedTuple):
    """A part of one tenant; ``tenant`` is empty for what is no tenant's."""

    tenant: str
    part: Part


def pack(tenant: str, parts: Iterable[Part], told: set[str]) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of the parts of a tenant.

    Args:
        tenant: of them.
        parts: in the order in which they are to be kept.
        told: names of shared parts that are in this partition; grows.
    """
    for part in parts:
        shared = part.what == _SHARED
        if shared and part.name in told:
            continue
        if shared:
            told.add(part.name)
        key = f"{'' if shared else tenant}\0{part.what}\0{part.name}".encode()
        body = json.dumps(part.body, separators=(",", ":")).encode()
        yield key, zstandard.compress(body, _LEVEL)


def unpack(key: bytes | None, value: bytes | None) -> Shown:
    """The part in a message.

    Raises:
        UnreadableMessageError: it is none.
    """
    try:
        tenant, what, name = (key or b"").decode().split("\0")
        raw = zstandard.ZstdDecompressor().decompress(value or b"", max_output_size=_LARGEST)
        body: Any = json.loads(raw)
    except (ValueError, RecursionError, zstandard.ZstdError) as error:
        raise UnreadableMessageError(f"nothing to show ({type(error).__name__})") from error
    if not isinstance(body, dict):
        raise UnreadableMessageError("nothing to show (no object)")
    return Shown(tenant, Part(what, name, body))


class Views:
    """Of one portion, the newest message of each key."""

    def __init__(self) -> None:
        self._held: dict[bytes, Shown] = {}

    def add(self, record: Any) -> None:
        """Take a record of the topic in.

        Raises:
            UnreadableMessageError: nothing is shown by it.
        """
        shown = unpack(record.key, record.value)
        self._held.pop(record.key, None)
        self._held[record.key] = shown

    def keep(self, ledger: FollowedLedger, now: int) -> int:
        """Put all of it into a ledger, in a transaction; the number of those left out.

        Args:
            ledger: to write.
            now: in microseconds since 1970.
        """
        unread = 0
        for tenant, part in self._held.values():
            try:
                with ledger.part():
                    keep(ledger, tenant, [part], now)
            except _ODD:
                unread += 1
        return unread
