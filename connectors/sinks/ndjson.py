"""Documents appended to files: ``flags.ndjson`` and ``incidents.ndjson`` in a folder.

Another form goes beside them into files of its own, so that what reads these two goes on.

Several processes may share the folder: each locks a file while it appends, and reads first what
the others have appended. So each (id, revision) is in the files once, in the order of its
partition, whoever was killed in between. Folders know nothing of each other.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from connectors.sinks.encoders.encoder import key_of, kind_of
from connectors.sinks.encoders.plain import JSON
from pipeline.model.contracts import Delivery
from pipeline.model.errors import FatalError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from connectors.sinks.encoders.encoder import Encoder

# A delivery that was cut off is handed in again whole: some hundred documents.
_LOOK_BACK: Final = 16 * 2**20
# Keys kept in mind, some 200 bytes each: far more than 16 MiB of documents.
_KEYS: Final = 100_000
# The other process appends some hundred lines meanwhile.
_LOCKED_SECONDS: Final = 0.1
# Waiting helps against a full disk or a server that is away, and against none of these.
HOPELESS: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST,
     errno.ENAMETOOLONG, errno.ENOTSUP, errno.ENOLCK}
)  # fmt: skip


class NdjsonSink:
    """Appends each (id, revision) once, also over a restart in the middle of a line.

    Args:
        folder: made if it is missing.
        form: written beside plain JSON, from when it is first asked for; plain JSON always is.
    """

    def __init__(self, folder: Path, form: Encoder = JSON) -> None:
        self._folder = folder
        self._forms = [JSON] if form is JSON else [JSON, form]
        self._files: dict[str, _File] = {}

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Append the documents that the files do not hold yet, and wait for the disk.

        Rejected is what the form has no words for: a newer program wrote it.

        Raises:
            RetriableError: the disk is full.
            FatalError: the folder cannot be written.
        """
        wanted: dict[str, dict[tuple[str, int], Mapping[str, Any]]] = {}
        for document in documents:
            wanted.setdefault(f"{kind_of(document)}s", {})[key_of(document)] = document
        accepted: list[tuple[str, int]] = []
        rejected: list[tuple[str, int]] = []
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name, new in wanted.items():
                # Accepted is what every form holds: the rest is handed in again, told once.
                odd: set[tuple[str, int]] = set()
                for form in self._forms:
                    unsaid = self._file(name, form).append(new)
                    if unsaid is None:
                        return Delivery(accepted, rejected, retry_after=_LOCKED_SECONDS)
                    odd |= unsaid
                accepted += [key for key in new if key not in odd]
                rejected += odd
        except OSError as error:
            where = f"{self._folder}: cannot append ({error.strerror})"
            if error.errno in HOPELESS:
                raise FatalError(f"{where}; choose another folder") from error
            raise RetriableError(f"{where}; free some space", retry_after=10.0) from error
        return Delivery(accepted, rejected)

    def _file(self, name: str, form: Encoder) -> _File:
        name += form.suffix
        if name not in self._files:
            self._files[name] = _File(self._folder / name, form)
        return self._files[name]


class _File:
    """One file, and what is known of its end."""

    def __init__(self, path: Path, form: Encoder) -> None:
        self._path = path
        self._form = form
        self._known: dict[tuple[str, int], None] = {}
        self._inode = 0
        self._end: int | None = None

    def append(
        self, documents: Mapping[tuple[str, int], Mapping[str, Any]]
    ) -> set[tuple[str, int]] | None:
        """Append what is not there yet; None if another process is at it.

        Returns:
            Keys of documents that this form cannot say.
        """
        unsaid: set[tuple[str, int]] = set()
        with self._path.open("ab+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            self._catch_up(file)
            lines = []
            for key, document in documents.items():
                if key in self._known:
                    continue
                try:
                    lines.append(self._form.line(document) + "\n")
                except (KeyError, TypeError, ValueError):
                    unsaid.add(key)
            file.write("".join(lines).encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
            self._end = file.tell()
        self._known.update(dict.fromkeys(k for k in documents if k not in unsaid))
        for key in list(self._known)[: max(0, len(self._known) - _KEYS)]:
            del self._known[key]
        return unsaid

    def _catch_up(self, file: BinaryIO) -> None:
        """Read what others appended, and cut off what somebody began and did not finish."""
        told = os.fstat(file.fileno())
        size = told.st_size
        if self._end is None or told.st_ino != self._inode or size < self._end:
            # The first time, or the file was moved away and made anew.
            self._end = max(0, size - _LOOK_BACK)
            self._inode = told.st_ino
            if not size:
                _keep_name(self._path.parent)
        file.seek(self._end)
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            file.truncate(self._end + whole)
        for line in data[:whole].split(b"\n"):
            try:
                self._known[self._form.key(line.decode())] = None
            except (ValueError, TypeError, KeyError):
                continue  # the rest of a line before the part that is looked at, or not ours


def _keep_name(folder: Path) -> None:
    """Have the disk know a file that was just made."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
