"""Flags and incidents appended to files that are begun anew by size or by day.

For a forwarder of a SIEM, in any form, in a folder of its own. :class:`NdjsonSink` keeps the
record of a run, without rotation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.encoders.encoder import key_of, kind_of
from connectors.sinks.ndjson import HOPELESS
from connectors.sinks.rotating import Rotation, Series
from pipeline.model.clock import SystemClock
from pipeline.model.contracts import Delivery
from pipeline.model.errors import FatalError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from connectors.sinks.encoders.encoder import Encoder
    from pipeline.model.clock import Clock

# The other process appends some hundred lines meanwhile, or compresses what is full.
_LOCKED_SECONDS: Final = 0.1
_FULL_SECONDS: Final = 10.0


class FilesSink:
    """Appends each (id, revision) once, over restarts and rotation; several processes may share.

    Args:
        folder: of its own; made if it is missing.
        form: of the lines.
        rotation: when a file is full, and what becomes of it.
        clock: tells the day.
    """

    def __init__(
        self,
        folder: Path,
        form: Encoder,
        rotation: Rotation | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._folder, self._form = folder, form
        self._rotation, self._clock = rotation or Rotation(), clock or SystemClock()
        self._series: dict[str, Series] = {}

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Append the documents that the files do not hold yet, and wait for the disk.

        Rejected is what the form has no words for: a newer program wrote it.

        Raises:
            RetriableError: the disk is full.
            FatalError: the folder cannot be written.
        """
        lines: dict[str, dict[tuple[str, int], str]] = {}
        accepted: list[tuple[str, int]] = []
        rejected: list[tuple[str, int]] = []
        for document in documents:
            key = key_of(document)
            try:
                lines.setdefault(f"{kind_of(document)}s", {})[key] = self._form.line(document)
            except (KeyError, TypeError, ValueError):
                rejected.append(key)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for kind, new in lines.items():
                if not self._of(kind).append(new):
                    return Delivery(accepted, rejected, retry_after=_LOCKED_SECONDS)
                accepted += new
        except OSError as error:
            where = f"{self._folder}: cannot append ({error.strerror})"
            if error.errno in HOPELESS:
                raise FatalError(f"{where}; choose another folder") from error
            raise RetriableError(f"{where}; free some space", retry_after=_FULL_SECONDS) from error
        return Delivery(accepted, rejected)

    def _of(self, kind: str) -> Series:
        if kind not in self._series:
            self._series[kind] = Series(self._folder, kind, self._form, self._rotation, self._clock)
        return self._series[kind]
