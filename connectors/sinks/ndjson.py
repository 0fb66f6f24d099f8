"""Documents appended to files: ``flags.ndjson`` and ``incidents.ndjson`` in a folder."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.contracts import Delivery
from pipeline.model.errors import FatalError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ID: Final = {"flag_id": "flags.ndjson", "incident_id": "incidents.ndjson"}
# A delivery that was cut off is handed in again whole: some hundred documents.
_LOOK_BACK: Final = 16 * 2**20


class NdjsonSink:
    """Appends each (id, revision) once, also over a restart in the middle of a line.

    Args:
        folder: made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, set[tuple[str, int]]] = {}

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Append the documents that the files do not hold yet, and wait for the disk.

        Raises:
            RetriableError: the disk is full.
            FatalError: the folder cannot be written.
        """
        accepted: list[tuple[str, int]] = []
        lines: dict[str, list[str]] = {}
        told: dict[str, list[tuple[str, int]]] = {}
        for document in documents:
            name, key = _key(document)
            accepted.append(key)
            if key not in self._known(name):
                lines.setdefault(name, []).append(json.dumps(document, ensure_ascii=False))
                told.setdefault(name, []).append(key)
        try:
            for name, new in lines.items():
                self._append(self._folder / name, new)
                self._seen[name].update(told[name])
        except OSError as error:
            # What was half written is found and cut off before the next attempt.
            self._seen.clear()
            raise RetriableError(
                f"{self._folder}: cannot append ({error.strerror}); free some space",
                retry_after=10.0,
            ) from error
        return Delivery(accepted)

    def _append(self, path: Path, lines: Sequence[str]) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())

    def _known(self, name: str) -> set[tuple[str, int]]:
        if name not in self._seen:
            self._seen[name] = self._read(self._folder / name)
        return self._seen[name]

    def _read(self, path: Path) -> set[tuple[str, int]]:
        """What the end of a file holds, after a half line has been cut off."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab+") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _LOOK_BACK))
                data = file.read()
                whole = data.rfind(b"\n") + 1
                if whole < len(data):
                    file.truncate(size - len(data) + whole)
        except OSError as error:
            raise FatalError(
                f"{path}: cannot be written ({error.strerror}); choose another folder"
            ) from error
        lines = data[:whole].split(b"\n")
        held = set()
        for line in lines[1 if size > _LOOK_BACK else 0 :]:
            if line:
                held.add(_key(json.loads(line))[1])
        return held


def _key(document: Mapping[str, Any]) -> tuple[str, tuple[str, int]]:
    for field, name in _ID.items():
        if field in document:
            return name, (str(document[field]), int(document["revision"]))
    raise ValueError("neither a flag nor an incident")
