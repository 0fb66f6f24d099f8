"""A file of lines that is begun anew by size or by day; the full ones stand beside it.

``incidents.cef.log`` grows; full, it becomes ``incidents-20260319T081500123456Z.cef.log``, and
compressed that with ``.gz`` behind. The names sort by time. Renaming keeps the file's number, so
that a forwarder that follows it goes on where it was.

Several processes may append: one at a time, under a lock that is a file of its own, since the
others come and go. Each first reads what it has not seen, of the growing file and as far back in
the full ones as somebody may hand in again. So each (id, revision) stands once in all of them.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO, Final

from isal import isal_zlib

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from connectors.sinks.encoders.encoder import Encoder
    from pipeline.model.clock import Clock

# A delivery that was cut off is handed in again whole: some hundred documents.
_LOOK_BACK: Final = 16 * 2**20
# Keys kept in mind, some 200 bytes each: far more than 16 MiB of documents.
_KEYS: Final = 100_000
_STAMP: Final = "%Y%m%dT%H%M%S%fZ"
_PIECE: Final = 2**20
_GZIP: Final = 31  # of zlib's window bits: the largest window, in gzip's frame
_COMPRESSED: Final = ".gz"
_UNFINISHED: Final = ".part"


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is full, and what becomes of the full ones.

    Attributes:
        octets: that a file has at most, unless a single portion has more.
        daily: begin a new one with each day of UTC as well.
        keep: so many full ones; older ones are deleted.
        compress: compress full ones with gzip.
    """

    octets: int = 100 * 2**20
    daily: bool = False
    keep: int = 14
    compress: bool = False


class Series:
    """The growing file of one kind of document, and the full ones.

    Args:
        folder: which exists.
        kind: ``flags`` or ``incidents``.
        form: of the lines.
        rotation: when it is full.
        clock: tells the day, and names what is full.
    """

    def __init__(
        self, folder: Path, kind: str, form: Encoder, rotation: Rotation, clock: Clock
    ) -> None:
        self._folder, self._form, self._rotation, self._clock = folder, form, rotation, clock
        self._path = folder / f"{kind}{form.suffix}"
        self._lock = folder / f".{kind}{form.suffix}.lock"
        self._full_name = re.compile(
            rf"{kind}-(\d{{8}}T\d{{12}}Z){re.escape(form.suffix)}({re.escape(_COMPRESSED)})?"
        )
        self._prefix = f"{kind}-"
        self._known: dict[tuple[str, int], None] = {}
        # What was read up to: the growing file by its number, the newest full one, the octets.
        self._seen: tuple[int, str, int] | None = None

    def append(self, lines: Mapping[tuple[str, int], str]) -> bool:
        """Append the lines whose keys stand nowhere yet; False if another process is at it.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        with _held(self._lock) as held:
            if not held:
                return False
            full = self._mended()
            self._catch_up(full)
            new = {key: line for key, line in lines.items() if key not in self._known}
            data = "".join(f"{line}\n" for line in new.values()).encode("utf-8", "backslashreplace")
            if data and self._is_full(len(data)):
                self._rotate(full)
            if data:
                self._write(data)
            self._known.update(dict.fromkeys(new))
            for key in list(self._known)[: max(0, len(self._known) - _KEYS)]:
                del self._known[key]
            self._tidy()
        return True

    def _full(self) -> dict[str, Path]:
        """The full ones by their stamps, oldest first."""
        found = {}
        for path in sorted(self._folder.iterdir()):
            match = self._full_name.fullmatch(path.name)
            if match:
                found[match[1]] = path  # of both forms the compressed one, which sorts behind
        return found

    def _mended(self) -> dict[str, Path]:
        """The full ones, after taking away what a process left that was killed at compressing."""
        for path in self._folder.glob(f"{self._prefix}*{_UNFINISHED}"):
            if self._full_name.fullmatch(path.name.removesuffix(_UNFINISHED)):
                path.unlink()
        found = self._full()
        for path in found.values():
            if path.suffix == _COMPRESSED:
                path.with_suffix("").unlink(missing_ok=True)
        return found

    def _catch_up(self, full: dict[str, Path]) -> None:
        """Read what others appended, and cut off what somebody began and did not finish."""
        newest = next(reversed(full), "")
        made = not self._path.exists()
        with self._path.open("ab+") as file:
            told = os.fstat(file.fileno())
            start = 0
            if self._seen is not None and self._seen[:2] == (told.st_ino, newest):
                start = min(self._seen[2], told.st_size)
            else:
                self._look_back(full, _LOOK_BACK - told.st_size)
                start = max(0, told.st_size - _LOOK_BACK)
            file.seek(start)
            data = file.read()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                file.truncate(start + whole)
            self._learn(data[:whole])
            self._seen = (told.st_ino, newest, start + whole)
        if made:
            _keep_names(self._folder)

    def _look_back(self, full: dict[str, Path], octets: int) -> None:
        """Learn the keys of the newest full ones, oldest first, of so many octets."""
        wanted = []
        for path in reversed(full.values()):
            if octets <= 0:
                break
            size = _size(path)
            wanted.append((path, max(0, size - octets)))
            octets -= size
        for path, start in reversed(wanted):
            with _opened(path) as file:
                file.seek(start)
                for line in file:
                    self._learn(line)

    def _learn(self, data: bytes) -> None:
        for line in data.split(b"\n"):
            with suppress(ValueError, TypeError, KeyError):  # part of a line, or not ours
                self._known[self._form.key(line.decode())] = None

    def _is_full(self, more: int) -> bool:
        told = self._path.stat()
        if not told.st_size:
            return False
        last = datetime.fromtimestamp(told.st_mtime, UTC).date()
        turned = self._rotation.daily and last < self._clock.now().astimezone(UTC).date()
        return turned or told.st_size + more > self._rotation.octets

    def _rotate(self, full: dict[str, Path]) -> None:
        """Put the growing file aside; whoever is killed right after leaves none, or an empty one."""
        now = self._clock.now().astimezone(UTC)
        newest = next(reversed(full), "")
        if newest:
            # A clock that was set back must not change the order.
            least = datetime.strptime(newest, _STAMP).replace(tzinfo=UTC)
            now = max(now, least + timedelta(microseconds=1))
        stamp = now.strftime(_STAMP)
        self._path.rename(self._folder / f"{self._prefix}{stamp}{self._form.suffix}")
        self._path.touch()
        _keep_names(self._folder)
        self._seen = (self._path.stat().st_ino, stamp, 0)

    def _write(self, data: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if self._seen is not None:
                self._seen = (*self._seen[:2], file.tell())

    def _tidy(self) -> None:
        """Delete full ones that are too many, and compress the others, newest last."""
        full = list(self._full().values())
        for path in full[: max(0, len(full) - self._rotation.keep)]:
            path.unlink()
        for path in full[-self._rotation.keep :] if self._rotation.compress else ():
            if path.suffix != _COMPRESSED:
                _compress(path)


def _compress(path: Path) -> None:
    """The same, compressed, under its name at once or not at all."""
    packed = path.with_name(path.name + _COMPRESSED)
    draft = packed.with_name(packed.name + _UNFINISHED)
    # The header tells neither time nor name: the same content gives the same file.
    packer = isal_zlib.compressobj(wbits=_GZIP)
    with path.open("rb") as file, draft.open("wb") as raw:
        while piece := file.read(_PIECE):
            raw.write(packer.compress(piece))
        raw.write(packer.flush())
        raw.flush()
        os.fsync(raw.fileno())
    draft.rename(packed)
    _keep_names(path.parent)
    path.unlink()


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    if path.suffix == _COMPRESSED:
        return gzip.GzipFile(path)
    return path.open("rb")


def _size(path: Path) -> int:
    """Octets of a full one, unpacked."""
    if path.suffix != _COMPRESSED:
        return path.stat().st_size
    with path.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(4), "little")


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Hold the lock, or learn that another process does."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _keep_names(folder: Path) -> None:
    """Have the disk know which files there are."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
