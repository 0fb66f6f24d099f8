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
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^\",]*")
_CODE: Final = re.compile(r'("{1,2}(?:errorCode|RecordType)"{1,2}:)-?\d+')


def damage(seed: int, rows: Rows, texts: list[str], *, by_line: bool) -> list[str]:
    """Damage a few of ``texts``; only forms with one record a line get broken syntax."""
    hit = np.flatnonzero(chance(seed + 41, rows["serial"], rows["avail"]) < RATE)
    kinds = mix(seed + 42, rows["serial"][hit]) % np.uint64(6 if by_line else 4)
    for at, kind in zip(hit.tolist(), kinds.tolist(), strict=True):
        texts[at] = _spoil(texts[at], kind)
    return texts


def _spoil(text: str, kind: int) -> str:
    if kind < 4:
        pattern, replacement = _REPLACED[kind]
        if pattern.search(text):
            return pattern.sub(replacement, text, count=1)
        return _STAMP.sub("31/31/2026 25:61", text)  # a table without names in its cells
    if kind == 4:  # the writer died in the middle
        return text[: len(text) * 3 // 5]
    return text[:40] + "\x00\x00" + text[40:]


_REPLACED: Final = (
    (_TIME, r"\g<1>"),  # no event time at all
    (_CODE, r"\g<1>null"),  # a number that is missing
    (_TIME, r"\g<1>31/31/2026 25:61"),  # a time as a spreadsheet spoils it
    (_TIME, r"\g<1>2026-03-1\\u0000"),  # a NUL character inside a value
)
