"""Rows of numbers on their way to the files, and repeatable hashes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTERACTIVE, REFRESH, PRINCIPAL, IDENTITY = range(4)

# ``t`` event time and ``avail`` time of delivery, microseconds UTC; ``serial`` numbers the
# record and gives its id, ``corr`` the sign-in it belongs to; ``account``, ``software``,
# ``resource`` and ``ip`` are indices of the population's and the catalogue's lists.
SIGNIN: Final = np.dtype(
    [
        ("t", "i8"),
        ("avail", "i8"),
        ("serial", "u8"),
        ("corr", "u8"),
        ("account", "i4"),
        ("software", "i2"),
        ("resource", "i1"),
        ("code", "i4"),
        ("ip", "i4"),
        ("category", "i1"),
    ]
)
AUDIT: Final = np.dtype(
    [
        ("t", "i8"),
        ("avail", "i8"),
        ("serial", "u8"),
        ("account", "i4"),
        ("software", "i2"),
        ("operation", "i1"),
        ("sync", "i1"),
        ("count", "i2"),
        ("throttled", "i1"),
        ("ip", "i4"),
    ]
)
OPERATIONS: Final = (
    "MailItemsAccessed",
    "Send",
    "Create",
    "MoveToDeletedItems",
    "SoftDelete",
    "Update",
    "HardDelete",
)

Rows = np.ndarray[Any, np.dtype[np.void]]


def make(dtype: np.dtype[np.void], size: int, **columns: Any) -> Rows:
    """Rows of ``dtype`` with the given columns, the rest zero."""
    out = np.zeros(size, dtype)
    for name, values in columns.items():
        out[name] = values
    return out


def take(rows: Rows, mask: NDArray[np.bool_]) -> Rows:
    """The rows where ``mask`` holds."""
    chosen: Rows = rows[mask]
    return chosen


def mix(seed: int, *values: Any) -> NDArray[np.uint64]:
    """Hash arrays of integers to 64 bits each (SplitMix64's finaliser)."""
    state = np.uint64(seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    out: Any = state
    with np.errstate(over="ignore"):
        for value in values:
            out = out ^ np.asarray(value).astype(np.uint64)
            out = (out ^ (out >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            out = (out ^ (out >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            out = out ^ (out >> np.uint64(31))
    hashed: NDArray[np.uint64] = out
    return hashed


def chance(seed: int, *values: Any) -> NDArray[np.float64]:
    """Hash arrays of integers to numbers from 0 to 1."""
    share: NDArray[np.float64] = (mix(seed, *values) >> np.uint64(11)) / float(1 << 53)
    return share


def guids(seed: int, serials: NDArray[np.uint64]) -> list[str]:
    """Write one GUID of version 4 for every serial."""
    halves = np.stack([mix(seed, serials), mix(seed + 1, serials)], axis=1)
    digits = halves.astype(">u8").tobytes().hex()
    return [
        f"{digits[i : i + 8]}-{digits[i + 8 : i + 12]}-4{digits[i + 13 : i + 16]}"
        f"-a{digits[i + 17 : i + 20]}-{digits[i + 20 : i + 32]}"
        for i in range(0, len(digits), 32)
    ]
