"""Dirty records: what real exports hold now and then, about one in 20,000."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.simulate.rows import chance, mix

if TYPE_CHECKING:
    from pipeline.simulate.rows import Rows

RATE: Final = 1 / 20_000
_TIME: Final = re.compile(
    r'("{1,2}(?:createdDateTime|CreationTime|CreatedDateTime)"{1,2}:"{1,2})[^"]*'
)
_CODE: Final = re.compile(r'("{1,2}errorCode"{1,2}:)-?\d+|("{1,2}RecordType"{1,2}:)\d+')


def damage(seed: int, rows: Rows, texts: list[str], *, by_line: bool) -> list[str]:
    """Damage a few of ``texts``; only forms with one record a line get broken syntax."""
    hit = np.flatnonzero(chance(seed + 41, rows["serial"], rows["avail"]) < RATE)
    kinds = mix(seed + 42, rows["serial"][hit]) % np.uint64(6 if by_line else 4)
    for at, kind in zip(hit.tolist(), kinds.tolist(), strict=True):
        texts[at] = _spoil(texts[at], kind)
    return texts


def _spoil(text: str, kind: int) -> str:
    if kind == 0:  # no event time at all
        return _TIME.sub(r"\1", text, count=1)
    if kind == 1:  # a number that is a word
        return _CODE.sub(lambda m: f"{m[1] or m[2]}null", text, count=1)
    if kind == 2:  # a time as a spreadsheet writes it
        return _TIME.sub(r"\g<1>31/31/2026 25:61", text, count=1)
    if kind == 3:  # a NUL character inside a value
        return _TIME.sub(r"\g<1>2026-03-1\\u0000", text, count=1)
    if kind == 4:  # the writer died in the middle
        return text[: len(text) * 3 // 5]
    return text[:40] + "\x00\x00" + text[40:]
