"""State as bytes: one small body and large parts named by their content.

Objects are pickled, but read back by a list of what may be in them: dataclasses of the
stages, numpy arrays, times. Bytes that name anything else are refused, so whoever can write
to the state topic cannot run code here (Python docs, "Restricting Globals").

Large arrays, tables and pieces of records are parts of their own, named by the hash of their packed
content: of eight days of seen ids only today's change, and only these are written again. A class
whose arrays nothing changes once it holds them says so by a method ``unchanging``, which gives
them. What is larger than ``_MOST_BYTES`` is several parts, and the body names it by all of them.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import math
import pickle
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import zstandard

from pipeline.model.errors import StateError
from pipeline.runtime.live.part_names import PartNames
from pipeline.runtime.live.pieces import Piece

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

STATE_VERSION: Final = b"outrider.state/2\n"
# Below this an array costs less inside the body than a row of its own.
_PART_BYTES: Final = 32_768
# A part has to fit into a message; the ids of a day of a million records take 16 MB.
_MOST_BYTES: Final = 4 * 2**20
# Of 65,536 records level 1 takes half as long again, and of ids, which are random, six times as
# long, for 2 and 4 % fewer bytes.
_LEVEL: Final = -1
_OURS: Final = ("pipeline.model.", "pipeline.window.", "pipeline.correlate.", "pipeline.match.")
_OURS_TOO: Final = (
    "detectors.",
    "pipeline.runtime.judging",
    "pipeline.runtime.live.parts",
    "pipeline.runtime.live.pieces",
)
_FOREIGN: Final = frozenset(
    {
        ("builtins", "frozenset"),
        ("builtins", "set"),
        ("collections", "Counter"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("collections", "deque"),
        ("copyreg", "_reconstructor"),
        ("builtins", "object"),
        ("builtins", "int"),
        ("datetime", "datetime"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy.core.numeric", "_frombuffer"),
    }
)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A state as bytes; ``parts`` by the hash that the body names them by."""

    body: bytes
    parts: dict[str, bytes]


class _Pickler(pickle.Pickler):
    def __init__(
        self, file: io.BytesIO, known: Mapping[str, Any], least: float, met: PartNames
    ) -> None:
        super().__init__(file, protocol=5)
        self._least = least
        self.names: list[str] = []
        self.parts: dict[str, bytes] = {}
        self._known = known
        self._met = met
        self._unchanging: set[int] = set()

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | None:
        if isinstance(obj, Piece) and sum(map(len, obj.bodies)) >= self._least:
            told = (obj.rows, obj.first, obj.last, tuple(map(len, obj.bodies)))
            return ("piece", told, *self._parts_of(obj, unchanging=True))
        if isinstance(obj, pa.Table):
            return ("table", *self._parts_of(obj, unchanging=True))
        if isinstance(obj, np.ndarray) and obj.nbytes >= self._least and not obj.dtype.hasobject:
            return ("array", *self._parts_of(obj, unchanging=id(obj) in self._unchanging))
        return None

    def _parts_of(self, obj: Any, *, unchanging: bool) -> tuple[str, ...]:
        names = self._met.of(obj) if unchanging else ()
        if not names or not all(n in self._known or n in self.parts for n in names):
            names = self._add(_packed_parts(obj))
            if unchanging:
                self._met.keep(obj, names)
        self.names += names
        return names

    def reducer_override(self, obj: Any) -> Any:
        unchanging = getattr(type(obj), "unchanging", None)
        if unchanging is not None:
            # They are met after the object that holds them.
            self._unchanging.update(map(id, unchanging(obj)))
        # Python before 3.11.4 writes a member as an attribute of its class.
        return (type(obj), (obj.value,)) if isinstance(obj, Enum) else NotImplemented

    def _add(self, parts: Iterable[bytes]) -> tuple[str, ...]:
        names = []
        for packed in parts:
            name = _name_of(packed)
            if name not in self._known:
                self.parts[name] = packed
            names.append(name)
        return tuple(names)


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, parts: Mapping[str, bytes], met: PartNames) -> None:
        super().__init__(io.BytesIO(data))
        self._parts = parts
        self._met = met

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _FOREIGN:
            return getattr(import_module(module), name)
        if module.startswith((*_OURS, *_OURS_TOO)) and "." not in name:
            found = getattr(import_module(module), name, None)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise StateError(f"state names {module}.{name}, which no state holds; start anew")

    def persistent_load(self, pid: Any) -> Any:
        kind, *names = pid
        if kind == "piece":
            told = names.pop(0)
            found = self._piece(told, names)
        else:
            found = self._unpacked(kind, names)
        self._met.keep(found, tuple(names))
        return found

    def _unpacked(self, kind: str, names: list[str]) -> Any:
        raw = b"".join(zstandard.decompress(self._parts[name]) for name in names)
        if kind == "array":
            return np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False)
        return pa.ipc.open_stream(raw).read_all()

    def _piece(self, told: tuple[int, int, int, tuple[int, ...]], names: list[str]) -> Piece:
        rows, first, last, sizes = told
        raw = b"".join(self._parts[name] for name in names)
        # Its records are read when they are needed, and by then nobody could say what is wrong.
        if [_name_of(self._parts[name]) for name in names] != names or len(raw) != sum(sizes):
            raise ValueError("records are not those that were stored")
        ends = itertools.accumulate(sizes)
        bodies = tuple(raw[end - size : end] for end, size in zip(ends, sizes, strict=True))
        return Piece(rows, first, last, bodies)


def _written(obj: Any) -> bytes:
    if isinstance(obj, np.ndarray):
        out = io.BytesIO()
        np.lib.format.write_array(out, np.ascontiguousarray(obj), allow_pickle=False)
        return out.getvalue()
    sink = pa.BufferOutputStream()
    table = obj.unify_dictionaries().combine_chunks()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    raw: bytes = sink.getvalue().to_pybytes()
    return raw


def _packed_parts(obj: Any) -> Iterator[bytes]:
    """What an object is written down as, packed, in parts that fit into a message."""
    if isinstance(obj, Piece):
        yield from _cut(b"".join(obj.bodies))
    else:
        # Packed before it is hashed: packing is the quicker, and leaves a third to hash.
        yield from map(_packed, _cut(_written(obj)))


def _cut(raw: bytes) -> Iterator[bytes]:
    for at in range(0, len(raw), _MOST_BYTES):
        yield raw[at : at + _MOST_BYTES]


def _name_of(packed: bytes) -> str:
    return hashlib.blake2b(packed, digest_size=16).hexdigest()


def _packed(raw: bytes) -> bytes:
    return zstandard.compress(raw, _LEVEL)


def freeze(
    state: object,
    known: Mapping[str, Any] | None = None,
    *,
    whole: bool = False,
    met: PartNames | None = None,
) -> Frozen:
    """Write a state down.

    Args:
        state: of the classes that :func:`thaw` allows.
        known: names of parts that are stored already and need not be given again.
        whole: arrays stay in the body; a table would still be a part.
        met: names of what was written down before; grows.
    """
    out = io.BytesIO()
    least = math.inf if whole else _PART_BYTES
    pickler = _Pickler(out, known or {}, least, PartNames() if met is None else met)
    pickler.dump(state)
    names = "\n".join(sorted(set(pickler.names))).encode()
    head = len(names).to_bytes(4, "big") + names
    return Frozen(STATE_VERSION + head + _packed(out.getvalue()), pickler.parts)


def parts_of(body: bytes) -> frozenset[str]:
    """Names of the parts that a body needs.

    Raises:
        StateError: the bytes are of another version.
    """
    names, _ = _split(body)
    return frozenset(names.decode().split("\n")) if names else frozenset()


def thaw(
    body: bytes, parts: Mapping[str, bytes], kind: type[Any], *, met: PartNames | None = None
) -> Any:
    """Read what :func:`freeze` wrote.

    Args:
        body: the small one.
        parts: at least those that :func:`parts_of` names.
        kind: class that the state must be of.
        met: learns the names of the parts, so that they are not written down again.

    Raises:
        StateError: the bytes are damaged, of another version, or name what no state holds.
    """
    _, packed = _split(body)
    try:
        names = PartNames() if met is None else met
        state = _Unpickler(zstandard.decompress(packed), parts, names).load()
    except StateError:
        raise
    except Exception as error:
        raise StateError(
            f"stored state is damaged ({type(error).__name__}): restore an earlier one or "
            "start anew from the logs"
        ) from error
    if not isinstance(state, kind):
        raise StateError(f"stored state is a {type(state).__name__}, not a {kind.__name__}")
    return state


def _split(body: bytes) -> tuple[bytes, bytes]:
    start = len(STATE_VERSION)
    if not body.startswith(STATE_VERSION):
        raise StateError(
            f"stored state is not {STATE_VERSION.decode().strip()}: it was written by another "
            "version of outrider; start anew from the logs"
        )
    length = int.from_bytes(body[start : start + 4], "big")
    return body[start + 4 : start + 4 + length], body[start + 4 + length :]
