"""What a blob of diagnostic settings holds: lines of records, or one page that grows at its end.

Lines are how all of Azure writes since November 2018; where that change has not arrived, a blob
is ``{"records": [...]}``, and each addition is written over its closing brackets. Of both, whole
records only are taken, and the place behind the last one is where to read on.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from connectors.normalise.intake import Intake
from connectors.sources.json_documents import DocumentReader
from connectors.sources.json_lines import LineReader
from connectors.sources.parsing import MAX_RECORD
from connectors.sources.readable import LinesInMemory, Memory
from connectors.sources.structure import value_ends
from pipeline.model.reject import RejectReason

if TYPE_CHECKING:
    from connectors.normalise.intake import Portion
    from connectors.normalise.settings import NormaliseSettings

_MARK: Final = b"\xef\xbb\xbf"  # that the text is UTF-8
_HEAD: Final = rb'\s*\{\s*"records"\s*:\s*\['
_PAGE: Final = re.compile(_HEAD)
_NEXT_PAGE: Final = re.compile(rb"\]\s*\}" + _HEAD)
_BETWEEN: Final = b" \t\r\n,"
_LONG: Final = f"a record of more than {MAX_RECORD} bytes; not a log record"


class Taken(NamedTuple):
    """What came of a piece of a blob.

    Attributes:
        portion: of its whole records; the offsets of rejects are those in the blob.
        read_on: offset in the blob behind the last whole record.
        cut: whether a record begins there that is not whole.
    """

    portion: Portion
    read_on: int
    cut: bool


def is_page(start: bytes) -> bool:
    """Whether a blob that starts so is a page, and not lines."""
    return _PAGE.match(start.removeprefix(_MARK)) is not None


def take(body: bytes, offset: int, path: str, settings: NormaliseSettings, *, page: bool) -> Taken:
    """Take the whole records of a piece of a blob.

    Args:
        body: the piece.
        offset: where it stands in the blob; it begins with a record, or between two.
        path: of the blob, for rejects.
        settings: key, tenant and sites.
        page: whether the blob is one page.
    """
    intake = Intake(settings, path)
    start = len(_MARK) if offset == 0 and body.startswith(_MARK) else 0
    reader = _of_page if page else _of_lines
    read_on, cut = reader(body, start, offset, intake)
    if read_on == start and len(body) > MAX_RECORD:
        # It would never end.
        intake.reject(RejectReason.TOO_LONG, _LONG, offset=offset)
        read_on, cut = len(body), False
    portion = intake.portion()
    # Lines are counted from the start of the piece only, and so are records.
    rejects = tuple(replace(r, line=None, record=None) for r in portion.rejects)
    return Taken(replace(portion, rejects=rejects), offset + read_on, cut)


def _of_lines(body: bytes, start: int, offset: int, intake: Intake) -> tuple[int, bool]:
    """Take lines; where to read on in the piece, and whether a line is cut off there."""
    reader = LineReader(LinesInMemory(body[start:], offset + start), intake, growing=True)
    for _ in reader.run():
        pass
    if reader.partial_tail is None:
        return len(body), False
    return reader.partial_tail - offset, True


def _of_page(body: bytes, start: int, offset: int, intake: Intake) -> tuple[int, bool]:
    """Take the records of a page, or of several; where to read on, and whether one is cut."""
    head = _PAGE.match(body, start) if offset == 0 else None
    here = start if head is None else head.end()
    while True:
        found = value_ends(body, here, len(body))
        if found.ends:
            records = Memory(body[here : found.ends[-1]], offset + here)
            for _ in DocumentReader(records, intake).run():
                pass
            here = found.ends[-1]
        if found.closed is None:
            return here, bool(body[here:].strip(_BETWEEN))
        following = _NEXT_PAGE.match(body, found.closed)
        if following is None:
            return here, False
        here = following.end()
