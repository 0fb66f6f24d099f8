"""The wanted keys of a record as a tree in arrays, for compiled code to walk."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from connectors.scan.compiled import compiled
from connectors.scan.wide import pointer, word_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_SLOTS: Final = 256  # of a node; some 25 keys stand there without a collision
_TAIL: Final = 8  # a key is compared eight bytes at a time, the last of them masked
MOST_DEEP: Final = 8


class KeyTree(NamedTuple):
    """Wanted keys: of the record itself at node 0, of a wanted object inside at its own node.

    A key is found by its length and its first and last byte, which tell the wanted ones of
    a node apart; then all of its bytes are compared.

    Attributes:
        slots: int16, shape (nodes, 256): number of the key, or -1.
        factors: int64, shape (nodes, 3): what length, first and last byte are multiplied by.
        letters: uint8: the keys one behind the other, each padded to whole words.
        starts: int64, shape (keys,): where a key begins in ``letters``.
        lengths: int64, shape (keys,): bytes of a key.
        fields: int64, shape (keys,): number of the field that its value is, or -1.
        children: int64, shape (keys,): node of the keys inside its value, or -1.
    """

    slots: NDArray[np.int16]
    factors: NDArray[np.int64]
    letters: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    fields: NDArray[np.int64]
    children: NDArray[np.int64]


class _Key(NamedTuple):
    name: bytes
    field: int
    child: int


def key_tree(paths: Mapping[str, int]) -> KeyTree:
    """Tree of dotted paths and the numbers of their fields.

    >>> tree = key_tree({"id": 0, "status.errorCode": 1})
    >>> len(tree.slots), tree.fields.tolist(), tree.children.tolist()
    (2, [0, -1, 1], [-1, 1, -1])
    """
    nodes: list[list[_Key]] = [[]]
    inside: dict[str, int] = {}
    for path, number in paths.items():
        *outer, last = path.split(".")
        node = 0
        for depth in range(len(outer)):
            prefix = ".".join(outer[: depth + 1])
            if prefix not in inside:
                inside[prefix] = len(nodes)
                nodes[node].append(_Key(outer[depth].encode(), -1, len(nodes)))
                nodes.append([])
            node = inside[prefix]
        nodes[node].append(_Key(last.encode(), number, -1))
    return _packed(nodes)


def _packed(nodes: list[list[_Key]]) -> KeyTree:
    keys = [key for node in nodes for key in node]
    padded = [len(key.name) + -len(key.name) % _TAIL for key in keys]
    letters = b"".join(k.name.ljust(n, b"\0") for k, n in zip(keys, padded, strict=True))
    slots = np.full((len(nodes), _SLOTS), -1, np.int16)
    factors = np.zeros((len(nodes), 3), np.int64)
    number = 0
    for row, node in enumerate(nodes):
        factors[row] = chosen = _factors(node)
        for key in node:
            slots[row, _slot(key.name, chosen)] = number
            number += 1
    return KeyTree(
        slots=slots,
        factors=factors,
        letters=np.frombuffer(letters + bytes(_TAIL), np.uint8).copy(),
        starts=np.cumsum([0, *padded[:-1]], dtype=np.int64),
        lengths=np.array([len(key.name) for key in keys], np.int64),
        fields=np.array([key.field for key in keys], np.int64),
        children=np.array([key.child for key in keys], np.int64),
    )


def _factors(node: list[_Key]) -> tuple[int, int, int]:
    """Factors under which no two keys of a node share a slot."""
    span = range(1, 64)
    for factors in itertools.product(span, span, span):
        if len({_slot(key.name, factors) for key in node}) == len(node):
            return factors
    raise ValueError("two keys of a node agree in length, first and last letter")


def _slot(name: bytes, factors: tuple[int, int, int]) -> int:
    marks = (len(name), name[0], name[-1])
    return sum(f * m for f, m in zip(factors, marks, strict=True)) % _SLOTS


@compiled
def tree_view(tree: Any) -> Any:
    """The tree as compiled code takes it: pointers."""
    return KeyTree(
        pointer(tree.slots),
        pointer(tree.factors),
        pointer(tree.letters),
        pointer(tree.starts),
        pointer(tree.lengths),
        pointer(tree.fields),
        pointer(tree.children),
    )


@compiled
def find_key(tree: Any, node: int, data: Any, start: int, stop: int) -> int:
    """Number of the key that ``data[start:stop]`` is in a node, or -1."""
    length = stop - start
    if length == 0:
        return -1
    a, b, c = (tree.factors[3 * node], tree.factors[3 * node + 1], tree.factors[3 * node + 2])
    slot = a * length + b * np.int64(data[start]) + c * np.int64(data[stop - 1])
    key = np.int64(tree.slots[_SLOTS * node + (slot & (_SLOTS - 1))])
    if key < 0 or tree.lengths[key] != length:
        return -1
    at = tree.starts[key]
    while length >= _TAIL:
        if word_at(data, start) != word_at(tree.letters, at):
            return -1
        start += _TAIL
        at += _TAIL
        length -= _TAIL
    if length > 0:
        mask = (np.uint64(1) << np.uint64(8 * length)) - np.uint64(1)
        if (word_at(data, start) & mask) != word_at(tree.letters, at):
            return -1
    return int(key)
