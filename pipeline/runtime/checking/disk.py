"""The folder of the state: there is one, it takes files, and there is room for them."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Final

from pipeline.runtime.checking.finding import Finding, State, skipped

if TYPE_CHECKING:
    from pathlib import Path

_WHERE: Final = "state"
# A tenant of 10,000 users writes some 50 MB a day; a full disk stops everything.
_LEAST: Final = 256 * 2**20
_FEW: Final = 2 * 2**30


def room(folder: Path) -> list[Finding]:
    """Look at the folder, or where it would be made; a file is written and removed again."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        told = f"{place}: is no folder"
        remedy = "name another folder with --state"
        return [Finding(_WHERE, "folder", State.FAIL, told, remedy)]
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"outrider check")
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(place).free
    except OSError as error:
        return [
            Finding(
                _WHERE,
                "folder",
                State.FAIL,
                f"{place}: cannot be written: {error.strerror}",
                f"let the user of this process (id {os.geteuid()}) write there, or name another "
                "folder with --state",
            ),
            skipped(_WHERE, "space", "the folder cannot be written"),
        ]
    made = "" if place == folder else ", where it will be made"
    return [
        Finding(_WHERE, "folder", State.OK, f"{place}{made}: can be written"),
        _space(free),
    ]


def _space(free: int) -> Finding:
    told = f"{free / 2**30:.1f} GiB are free"
    if free >= _FEW:
        return Finding(_WHERE, "space", State.OK, told)
    return Finding(
        _WHERE,
        "space",
        State.FAIL if free < _LEAST else State.WARN,
        told,
        "make room, or name another disk with --state; ledger.keep_days tells how long is kept",
    )
