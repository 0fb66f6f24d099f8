"""Handing documents to a destination: how far it has settled them, and when to come again.

Documents of one line (a partition, a ledger) are handed over in order. A destination settles a
document by accepting or finally refusing it; the caller remembers the place up to which all are
settled, and hands in from there again after a restart. What was settled behind a gap is kept in
mind here, so that only the gap is handed in again while the process lives.

Nothing here sleeps: a destination that asks for time is not called before it is over, and the
caller goes on with other work meanwhile. One that is far away is called on a thread of its own, so
that a slow one costs itself time and nobody else.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from pipeline.model.contracts import Delivery
from pipeline.model.dead_letter import DOCUMENT, REFUSED_BY_SINK, DeadLetter
from pipeline.model.errors import FatalError, RetriableError
from pipeline.runtime.tracing import span

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from pipeline.model.contracts import Sink

# For a destination that failed, or took nothing, and did not say when to come again.
AGAIN_SECONDS: Final = 30.0
# One that asks for more is asked after this, all the same: it may have meant milliseconds.
MOST_SECONDS: Final = 3600.0
# What a person has to mend is looked at again now and then: they may have.
MENDED_SECONDS: Final = 300.0
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
        asked: it was called and has not answered yet; call again, with the same or more.
    """

    taken: int
    refused: tuple[int, ...] = ()
    again: float | None = None
    problem: str | None = None
    asked: bool = False

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
        pool: of threads, for one that is far away; None = it is called on the caller's own.
        patient: what only a person can mend, a wrong token say, is a problem that is looked at
            again in some minutes, so that others go on; else it is raised.
        monotonic: seconds that only grow.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        *,
        pool: Executor | None = None,
        patient: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self._sink, self._monotonic = name, sink, monotonic
        self._pool, self._patient, self._until = pool, patient, -math.inf
        # One call at a time, whatever the line: a destination is used by one thread.
        self._calls: dict[Hashable, Future[Delivery]] = {}
        # By line and key: whether it was accepted.
        self._ahead: dict[Hashable, dict[tuple[str, int], bool]] = {}
        self.problem: str | None = None
        """Why it takes nothing now, None if it does as far as is known."""
        self.hopeless = False
        """Whether a person has to act before it takes anything."""

    @property
    def asked(self) -> bool:
        """Whether a portion is under way whose answer nobody has taken yet."""
        return bool(self._calls)

    @property
    def waiting(self) -> bool:
        """Whether it has asked for time that is not over yet, or is still at the last portion."""
        return self._monotonic() < self._until or any(not c.done() for c in self._calls.values())

    def hand(self, portion: Sequence[Document], line: Hashable = None) -> Handed:
        """Hand one portion over, in order.

        Args:
            portion: what follows the last settled document of the line.
            line: which line it belongs to.

        Raises:
            FatalError: a person has to act; nothing of the portion counts as settled.
        """
        ahead = self._ahead.setdefault(line, {})
        fresh = [d.document for d in portion if (d.id, d.revision) not in ahead]
        done, problem, again = Delivery(()), None, None
        try:
            if fresh:
                answer = self._call(fresh, line)
                if answer is None:
                    return Handed(0, asked=True)
                done = answer
            again, self.hopeless = done.retry_after, False
        except RetriableError as error:
            problem, self.hopeless = str(error), False
            again = AGAIN_SECONDS if error.retry_after is None else error.retry_after
        except FatalError as error:
            if not self._patient:
                raise
            problem, again, self.hopeless = str(error), MENDED_SECONDS, True
        except Exception as error:
            if not self._patient:
                raise
            problem = f"{self.name}: {type(error).__name__} while delivering; please report it"
            again, self.hopeless = MENDED_SECONDS, True
        self.problem = problem
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

    def _call(self, documents: Sequence[Mapping[str, Any]], line: Hashable) -> Delivery | None:
        """What the destination answers; None while it is at it."""
        if self._pool is None:
            return self._deliver(documents)
        if line not in self._calls:
            self._calls[line] = self._pool.submit(self._deliver, documents)
        if not self._calls[line].done():
            return None
        return self._calls.pop(line).result()

    def _deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        with span("delivery") as work:
            work.update(sink=self.name, documents=len(documents))
            done = self._sink.deliver(documents)
            work.update(accepted=len(done.accepted), refused=len(done.rejected))
        return done

    def forget(self, line: Hashable) -> None:
        """Drop what is known of a line that goes to somebody else."""
        self._ahead.pop(line, None)

    def close(self) -> None:
        """Let go of the destination's connections, unless it is still at a portion."""
        end = getattr(self._sink, "close", None)
        if end is not None and not self._calls:
            end()

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
