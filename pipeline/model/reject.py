"""Records that could not be used: where they stand and why, never what they say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class RejectReason(StrEnum):
    """Closed set of reasons, one small name each."""

    NOT_JSON = "not_json"
    TRUNCATED = "truncated"
    TOO_LONG = "too_long"
    TOO_DEEP = "too_deep"
    BAD_ENCODING = "bad_encoding"
    UNKNOWN_SHAPE = "unknown_shape"
    MISSING_FIELD = "missing_field"
    BAD_TIME = "bad_time"
    BAD_VALUE = "bad_value"
    WRONG_WIDTH = "wrong_width"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"


# What only a file as a whole can be; a record has one of the others.
_OF_FILES: Final = frozenset(
    {RejectReason.TRUNCATED, RejectReason.UNREADABLE, RejectReason.TOO_LARGE}
)


def shown_path(path: str) -> str:
    r"""A file's name as text that can be written anywhere; what is no UTF-8 in it is escaped.

    >>> shown_path("Köln.json"), shown_path("K\udcf6ln.json")
    ('Köln.json', 'K\\udcf6ln.json')
    """
    return path.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Reject:
    """One record, or one whole input, that was set aside.

    ``line`` counts from 1 where the form has lines, ``record`` from 0 within the file,
    ``offset`` is the byte offset in the unpacked input. ``detail`` names the field and
    the remedy and never quotes the record: it may hold personal data.
    """

    path: str
    reason: RejectReason
    detail: str
    line: int | None = None
    record: int | None = None
    offset: int | None = None

    def __post_init__(self) -> None:
        """Write bytes of a file's name that are no UTF-8 as escapes, for nothing else shows them."""
        object.__setattr__(self, "path", shown_path(self.path))

    @property
    def loses_file(self) -> bool:
        """Whether a file was not read, or not to its end: nobody knows what is missing then."""
        return self.reason in _OF_FILES or (self.line, self.record, self.offset) == (None,) * 3
