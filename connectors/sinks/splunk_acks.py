"""What was sent to Splunk and is not confirmed yet: acknowledgements of its indexers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from connectors.sinks.parcels import Key

# Splunk's advice to its clients, as Vector's documents tell it: 30 looks, one in 10 s, then again. An indexer that was lost
# answers "not yet" for ever, as does one that was restarted.
_LOST_SECONDS: Final = 300.0
# Confirmed for a caller who did not come back for it: a partition that went to another worker.
_MOST_CONFIRMED: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Sent:
    keys: tuple[Key, ...]
    at: float


class Acks:
    """Requests that await their acknowledgement, kept between calls.

    Args:
        monotonic: seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._sent: dict[int, _Sent] = {}
        self._confirmed: dict[Key, None] = {}

    @property
    def open(self) -> list[int]:
        """Numbers of the requests to ask for."""
        return list(self._sent)

    @property
    def awaited(self) -> set[Key]:
        """Keys that were sent and are not confirmed."""
        return {key for sent in self._sent.values() for key in sent.keys}

    def note(self, number: int, keys: Iterable[Key]) -> None:
        """Remember a request by the number (ackId) that Splunk gave it."""
        self._sent[number] = _Sent(tuple(keys), self._monotonic())

    def told(self, acks: Mapping[str, object]) -> None:
        """Take in which numbers are confirmed; give up those that are overdue.

        Args:
            acks: numbers as text to whether they are indexed.
        """
        for number in [n for n in self._sent if acks.get(str(n)) is True]:
            self._confirmed.update(dict.fromkeys(self._sent.pop(number).keys))
        for key in list(self._confirmed)[: max(0, len(self._confirmed) - _MOST_CONFIRMED)]:
            del self._confirmed[key]
        late = self._monotonic() - _LOST_SECONDS
        self._sent = {n: sent for n, sent in self._sent.items() if sent.at > late}

    def settle(self, keys: Iterable[Key]) -> list[Key]:
        """Those of ``keys`` that are confirmed; each is told once."""
        found = [key for key in keys if key in self._confirmed]
        for key in found:
            del self._confirmed[key]
        return found
