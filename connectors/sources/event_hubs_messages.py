"""Messages of Event Hubs on their way into one intake."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from connectors.normalise.intake import Intake
from connectors.sources.json_documents import DocumentReader
from connectors.sources.readable import Memory
from pipeline.model.reject import RejectReason

if TYPE_CHECKING:
    from connectors.normalise.intake import Portion
    from connectors.normalise.settings import NormaliseSettings
    from pipeline.model.reject import Reject

_US: Final = 1000
_EMPTY: Final = "an empty message; nothing can be read from it"


def arrival(message: Any) -> int:
    """When a message was enqueued, us since 1970; 0 = it does not tell."""
    return max(int(message.timestamp), 0) * _US


class Taking:
    """Takes messages; each reject is told by its message.

    Args:
        settings: key, tenant and sites.
    """

    def __init__(self, settings: NormaliseSettings) -> None:
        self._intake = Intake(settings, "event_hubs")
        self._firsts: list[int] = []
        self._told: list[tuple[str, int]] = []

    def full(self, most: int) -> bool:
        """Whether there are ``most`` records, or memory asks for a portion now."""
        return self._intake.pending >= most or self._intake.crowded

    def take(self, key: str, message: Any) -> None:
        """Take a message of the partition ``key``: a page, an array or a record."""
        self._firsts.append(self._intake.pending)
        self._told.append((key, message.offset))
        self._intake.arrived(arrival(message))
        body = message.value or b""
        if not body.strip():
            self._intake.reject(RejectReason.NOT_JSON, _EMPTY)
            return
        for _ in DocumentReader(Memory(body, 0), self._intake).run():
            pass

    def portion(self) -> Portion:
        """Everything taken; a reject's offset is that of its message."""
        portion = self._intake.portion()
        return replace(portion, rejects=tuple(self._located(r) for r in portion.rejects))

    def _located(self, reject: Reject) -> Reject:
        ordinal = reject.record or 0
        number = bisect_right(self._firsts, ordinal) - 1
        key, offset = self._told[number]
        record = ordinal - self._firsts[number]
        return replace(reject, path=f"event_hubs {key}", line=None, record=record, offset=offset)
