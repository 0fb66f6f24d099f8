"""Record ids folded to 16 bytes, whole columns at once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_GUID_LENGTH: Final = 36
_DASHES: Final = np.array([8, 13, 18, 23])
_DIGITS: Final = np.array([i for i in range(_GUID_LENGTH) if i not in (8, 13, 18, 23)])
_BAD: Final = 255


def _digit_values() -> NDArray[np.uint8]:
    table = np.full(256, _BAD, np.uint8)
    for value, digit in enumerate("0123456789abcdef"):
        table[ord(digit)] = table[ord(digit.upper())] = value
    return table


_VALUES: Final = _digit_values()


def fold_id(text: str) -> bytes:
    """One id to 16 bytes: a GUID's own bytes, else BLAKE2b-128 of the text.

    >>> fold_id("00000002-0000-0ff1-ce00-000000000000").hex()
    '0000000200000ff1ce00000000000000'
    """
    return bytes(fold_ids([text])[0])


def fold_ids(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Ids to an array of shape (n, 16): a GUID's own bytes, else BLAKE2b-128 of the text."""
    out = np.zeros((len(texts), 16), np.uint8)
    if not texts:
        return out
    column = pa.array(texts, pa.string())
    _, offsets_buffer, data_buffer = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32, len(texts) + 1)
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer else np.zeros(0, np.uint8)
    long_enough = np.diff(offsets) == _GUID_LENGTH
    chosen = np.flatnonzero(long_enough)
    if len(chosen) == len(texts):
        letters = data[offsets[0] : offsets[-1]].reshape(-1, _GUID_LENGTH)
    else:
        letters = data[offsets[chosen][:, None] + np.arange(_GUID_LENGTH)]
    values = _VALUES[letters[:, _DIGITS]]
    good = (letters[:, _DASHES] == ord("-")).all(axis=1) & (values != _BAD).all(axis=1)
    guids = values[:, 0::2] << 4 | (values[:, 1::2] & 15)
    out[chosen[good]] = guids[good]
    rest = np.ones(len(texts), bool)
    rest[chosen[good]] = False
    for index in np.flatnonzero(rest).tolist():
        digest = hashlib.blake2b(texts[index].encode("utf-8", "replace"), digest_size=16).digest()
        out[index] = np.frombuffer(digest, np.uint8)
    return out
