"""Texts as numbers: equal texts get the same one, in order of first appearance."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from connectors.scan.compiled import compiled
from connectors.scan.wide import pointer, word_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL: Final = -1
_WORD: Final = 8
_USED: Final = 1  # in ``counts``, behind the number of texts
_ROTATE: Final = np.uint64(29)
# Odd and without a pattern: multiples of it differ in their upper bits (2**64 / golden ratio).
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)


class Texts(NamedTuple):
    """A hash table with open addressing, of fixed size; at most half of its slots are used.

    Attributes:
        slots: int32: number of the text that hashed to a place near by, or -1.
        hashes: uint64, shape (texts,).
        starts, lengths: int64, shape (texts,): where a text stands in ``letters``.
        letters: uint8: all texts one behind the other.
        counts: int64: number of texts, bytes used of ``letters``, seed of the hash.
    """

    slots: NDArray[np.int32]
    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    letters: NDArray[np.uint8]
    counts: NDArray[np.int64]


def texts(most: int, most_bytes: int) -> Texts:
    """Room for so many texts of so many bytes altogether.

    The seed is drawn anew, so that nobody can write logs whose texts all collide.
    """
    slots = 1 << (2 * most - 1).bit_length()
    return Texts(
        slots=np.full(slots, -1, np.int32),
        hashes=np.zeros(most, np.uint64),
        starts=np.zeros(most, np.int64),
        lengths=np.zeros(most, np.int64),
        letters=np.zeros(most_bytes, np.uint8),
        counts=np.array([0, 0, secrets.randbits(62)], np.int64),
    )


def text_of(table: Texts, number: int) -> bytes:
    """The text with this number."""
    start = int(table.starts[number])
    return table.letters[start : start + int(table.lengths[number])].tobytes()


def texts_of(table: Texts, numbers: NDArray[np.int64]) -> list[bytes]:
    """The texts with these numbers; cheaper than one by one."""
    letters = table.letters[: table.counts[_USED]].tobytes()
    starts = table.starts[numbers]
    stops = starts + table.lengths[numbers]
    return [letters[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]


def forget(table: Texts) -> None:
    """Make the table empty again."""
    table.slots.fill(-1)
    table.counts[:2] = 0


def intern(table: Texts, text: bytes) -> int:
    """Number of a text, which is kept if it is new; FULL if there is no room."""
    return int(_intern(table, np.frombuffer(text + bytes(_WORD), np.uint8), len(text)))


@compiled
def _intern(table: Any, letters: Any, length: int) -> int:
    return number_of(texts_view(table), pointer(letters), 0, length)


@compiled
def texts_view(table: Any) -> Any:
    """The table as compiled code takes it: pointers, and its sizes behind ``counts``."""
    return (
        pointer(table.slots),
        pointer(table.hashes),
        pointer(table.starts),
        pointer(table.lengths),
        pointer(table.letters),
        pointer(table.counts),
        len(table.slots) - 1,
        len(table.hashes),
        len(table.letters) - 2 * _WORD,
    )


@compiled
def number_of(view: Any, data: Any, start: int, stop: int) -> int:
    """Number of the text ``data[start:stop]``; FULL if it is new and there is no room.

    Args:
        view: what :func:`texts_view` gave.
        data: pointer to bytes, eight of them readable behind ``stop``.
        start: of the text.
        stop: of the text.
    """
    slots, hashes, starts, lengths, letters, counts, last, most, room = view
    length = stop - start
    mixed = _hash(data, start, length, np.uint64(counts[2]))
    place = np.int64(mixed >> np.uint64(32)) & last
    while slots[place] >= 0:
        number: Any = np.int64(slots[place])
        if (
            hashes[number] == mixed
            and lengths[number] == length
            and _same(data, start, letters, starts[number], length)
        ):
            return number
        place = (place + 1) & last
    number, used = counts[0], counts[_USED]
    if number >= most or used + length > room:
        return FULL
    for i in range(length):
        letters[used + i] = data[start + i]
    slots[place] = number
    hashes[number], starts[number], lengths[number] = mixed, used, length
    counts[0], counts[_USED] = number + 1, used + length
    return number


@compiled
def _hash(data: Any, start: int, length: int, seed: Any) -> Any:
    mixed = seed ^ (np.uint64(length) * _SPREAD)
    while length >= _WORD:
        mixed = _stir(mixed, word_at(data, start))
        start += _WORD
        length -= _WORD
    if length > 0:
        mask = (np.uint64(1) << np.uint64(8 * length)) - np.uint64(1)
        mixed = _stir(mixed, word_at(data, start) & mask)
    return mixed


@compiled
def _stir(mixed: Any, word: Any) -> Any:
    mixed = (mixed ^ word) * _SPREAD
    return mixed ^ (mixed >> _ROTATE)


@compiled
def _same(data: Any, start: int, letters: Any, at: int, length: int) -> bool:
    while length >= _WORD:
        if word_at(data, start) != word_at(letters, at):
            return False
        start += _WORD
        at += _WORD
        length -= _WORD
    if length == 0:
        return True
    mask = (np.uint64(1) << np.uint64(8 * length)) - np.uint64(1)
    return bool((word_at(data, start) ^ word_at(letters, at)) & mask == 0)
