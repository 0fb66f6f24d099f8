"""Handing documents to a destination: how far it has settled them, and when to come again.

Documents of one line (a partition, a ledger) are handed over in order. A destination settles a
document by accepting or finally refusing it; the caller remembers the place up to which all are
settled, and hands in from there again after a restart. What was settled behind a gap is kept in
mind here, so that only the gap is handed in again while the process lives.

Nothing here sleeps: a destination that asks for time is not called before it is over, and the
caller goes on with other work meanwhile.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from pipeline.model.contracts import Delivery
from pipeline.model.dead_letter import DOCUMENT, REFUSED_BY_SINK, DeadLetter
from pipeline.model.errors import RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from pipeline.model.contracts import Sink

# For a destination that failed, or took nothing, and did not say when to come again.
AGAIN_SECONDS: Final = 30.0
# One that asks for more is asked after this, all the same: it may have meant milliseconds.
MOST_SECONDS: Final = 3600.0
_PACE_SECONDS: Final = 1.0


class Document(Protocol):
    """A revision on its way; (id, revision) is its key."""

    @property
    def kind(self) -> str:
        """``flag`` or ``incident``."""
        ...

    @property
    def id(self) -> str:
        """Of the flag or incident."""
        ...

    @property
    def revision(self) -> int:
        """From 1."""
        ...

    @property
    def tenant(self) -> str:
        """Whose."""
        ...

    @property
    def document(self) -> dict[str, Any]:
        """The whole revision."""
        ...


@dataclass(frozen=True, slots=True)
class Handed:
    """What came of one portion.

    Attributes:
        taken: number of documents, from the first on, that are settled.
        refused: places of the refused ones among those.
        again: seconds before which the destination wants nothing; None = go on.
        problem: why it took nothing; None if it answered.
    """

    taken: int
    refused: tuple[int, ...] = ()
    again: float | None = None
    problem: str | None = None

    @property
    def failed(self) -> bool:
        """Whether somebody should know: it failed, refused, or wants nothing for a while.

        A short wait is a pace: one that takes a few at a time, or that others write to just now.
        """
        put_off = not self.taken and self.again is not None and self.again >= _PACE_SECONDS
        return self.problem is not None or bool(self.refused) or put_off


class Handing:
    """The way of documents to one destination; used by one thread.

    Args:
        name: of the destination.
        sink: the destination.
        monotonic: seconds that only grow.
    """

    def __init__(
        self, name: str, sink: Sink, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.name, self._sink, self._monotonic = name, sink, monotonic
        self._until = -math.inf
        # By line and key: whether it was accepted.
        self._ahead: dict[Hashable, dict[tuple[str, int], bool]] = {}

    @property
    def waiting(self) -> bool:
        """Whether the destination has asked for time that is not over yet."""
        return self._monotonic() < self._until

    def hand(self, portion: Sequence[Document], line: Hashable = None) -> Handed:
        """Hand one portion over, in order.

        Args:
            portion: what follows the last settled document of the line.
            line: which line it belongs to.

        Raises:
            FatalError: a person has to act; nothing of the portion counts as settled.
        """
        ahead = self._ahead.setdefault(line, {})
        fresh = [d for d in portion if (d.id, d.revision) not in ahead]
        done, problem, again = Delivery(()), None, None
        try:
            if fresh:
                done = self._sink.deliver([d.document for d in fresh])
            again = done.retry_after
        except RetriableError as error:
            problem = str(error)
            again = AGAIN_SECONDS if error.retry_after is None else error.retry_after
        ahead.update(dict.fromkeys(done.accepted, True))
        ahead.update(dict.fromkeys(done.rejected, False))
        settled = _prefix(portion, ahead)
        refused = tuple(n for n, d in enumerate(portion[:settled]) if not ahead[d.id, d.revision])
        behind = {(d.id, d.revision) for d in portion[settled:]}
        self._ahead[line] = {k: v for k, v in ahead.items() if k in behind}
        if again is None and portion and not settled:
            again = AGAIN_SECONDS
        if again is not None:
            again = min(max(again, 0.0), MOST_SECONDS)
            self._until = self._monotonic() + again
        return Handed(settled, refused, again, problem)

    def forget(self, line: Hashable) -> None:
        """Drop what is known of a line that goes to somebody else."""
        self._ahead.pop(line, None)

    def refusals(
        self, portion: Sequence[Document], done: Handed, place: Callable[[Any], str], at: int
    ) -> list[DeadLetter]:
        """A dead letter for each refused document, with the document as its body.

        Args:
            portion: as it was handed over.
            done: what came of it.
            place: tells where a document stands.
            at: now, microseconds since 1970.
        """
        return [
            DeadLetter(
                0,
                at,
                d.tenant,
                REFUSED_BY_SINK,
                f"{self.name} refused {d.kind} {d.id} revision {d.revision}; see its own log",
                place(d),
                DOCUMENT,
                json.dumps(d.document, ensure_ascii=False, separators=(",", ":")).encode(),
                self.name,
            )
            for d in (portion[n] for n in done.refused)
        ]


def _prefix(portion: Sequence[Document], settled: dict[tuple[str, int], bool]) -> int:
    for number, document in enumerate(portion):
        if (document.id, document.revision) not in settled:
            return number
    return len(portion)
