"""Paths to a plan: folders and patterns expanded, files recognised, large ones sliced."""

from __future__ import annotations

import glob
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connectors.sources.recognise import recognise, unknown_detail
from connectors.sources.units import SLICE_BYTES, FilePlan, FileUnit, Form
from connectors.sources.unpacking import STDIN, Input
from pipeline.model.ids import content_id
from pipeline.model.reject import Reject, RejectReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NO_SUCH: Final = "no such file, folder or pattern; check the path"


def plan(paths: Sequence[str], *, slice_bytes: int = SLICE_BYTES) -> FilePlan:
    """What these files, folders and patterns hold; ``-`` is the standard input.

    Deterministic: the same files give the same units in the same order, whatever the
    order in which they are named. Nothing is unpacked beyond the first bytes.
    """
    rejects: list[Reject] = []
    units: list[FileUnit] = []
    advisories: list[str] = []
    empty = 0
    for path in sorted(set(_files(paths, rejects))):
        if path == STDIN:
            units.append(FileUnit(_unit_id(path, 0, 0, 0), path, Form.STREAM, 0, 0, 0))
            continue
        try:
            form, packed, size, changed, detail = _look(path)
        except OSError as error:
            rejects.append(_unreadable(path, error))
            continue
        if form is Form.UNKNOWN:
            rejects.append(Reject(path, RejectReason.UNKNOWN_SHAPE, detail))
        elif form is Form.ADVISORY:
            advisories.append(path)
        elif form is Form.EMPTY:
            empty += 1
        else:
            units.extend(_slices(path, form, size, changed, slice_bytes, packed=packed))
    return FilePlan(
        units=tuple(units),
        advisory_paths=tuple(advisories),
        rejects=tuple(sorted(rejects, key=lambda r: r.path)),
        total_bytes=sum(unit.stop - unit.start for unit in units),
        empty_files=empty,
    )


def _files(paths: Sequence[str], rejects: list[Reject]) -> Iterator[str]:
    for path in paths:
        if path == STDIN or Path(path).is_file():
            yield path
        elif Path(path).is_dir():
            yield from _walk(path, rejects)
        else:
            found = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 # absolute patterns
            if not found:
                rejects.append(Reject(path, RejectReason.UNREADABLE, _NO_SUCH))
            for name in found:
                if Path(name).is_dir():
                    yield from _walk(name, rejects)
                else:
                    yield name


def _walk(folder: str, rejects: list[Reject]) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        rejects.append(_unreadable(str(error.filename), error))

    for place, folders, names in os.walk(folder, onerror=refuse):
        # Hidden files are editors' and file managers' own, and ours (.outrider).
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield from (str(Path(place) / n) for n in sorted(names) if not n.startswith("."))


def _unreadable(path: str, error: OSError) -> Reject:
    detail = f"{(error.strerror or 'cannot be read').lower()}; check the path and its permissions"
    return Reject(path, RejectReason.UNREADABLE, detail)


def _look(path: str) -> tuple[Form, bool, int, int, str]:
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        return Form.UNKNOWN, False, 0, 0, "no regular file; give files, folders or -"
    with Input(path, 0, status.st_size) as source:
        head = source.head
        form = recognise(head)
        # Something that does not even unpack is read, to be refused with its reason.
        if form is Form.EMPTY and source.problem is not None:
            form = Form.JSON_LINES
        plain = not source.packed and not source.recoded
        detail = unknown_detail(head)
    return form, not plain, status.st_size, status.st_mtime_ns, detail


def _slices(
    path: str, form: Form, size: int, changed: int, slice_bytes: int, *, packed: bool
) -> Iterator[FileUnit]:
    count = 1
    if form is Form.JSON_LINES and not packed:
        count = max(1, -(-size // slice_bytes))
    for number in range(count):
        start = number * slice_bytes
        stop = size if number == count - 1 else start + slice_bytes
        unit_id = _unit_id(path, size, changed, start)
        yield FileUnit(unit_id, path, form, start, stop, size, packed)


def _unit_id(path: str, size: int, changed: int, start: int) -> str:
    place = path if path == STDIN else str(Path(path).absolute())
    return content_id("unit", place, size, changed, start)
