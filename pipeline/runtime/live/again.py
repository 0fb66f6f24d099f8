"""Dead letters of a ledger that somebody wants to be tried again, as the run takes them.

A letter is queued by another process (:mod:`pipeline.runtime.live.queueing`). A message goes
before the news of a step, and the transaction of that step says that it was replayed; what
cannot be read this time either becomes a letter of its own. A document goes to the destination
that refused it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.runtime.dead_letters import document_of, message_of
from pipeline.runtime.live.messages import UnreadableMessageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from pipeline.ledger.store import Ledger
    from pipeline.model.dead_letter import DeadLetter
    from pipeline.runtime.handing import Handing
    from pipeline.runtime.live.messages import Message

# A message may be megabytes; those that are asked for again come in between the others.
_AT_ONCE: Final = 50


@dataclass(slots=True)
class Again:
    """Queued messages of one step.

    Attributes:
        letters: that were queued.
        messages: what they were, in order.
        refused: new letters about those that are no message.
    """

    letters: list[DeadLetter] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    refused: list[DeadLetter] = field(default_factory=list)

    def mark(self, ledger: Ledger, at: int) -> None:
        """Say within the step's transaction that these were replayed at a moment (us)."""
        for letter in self.letters:
            ledger.mark_replayed(letter.seq, at)


def messages_again(ledger: Ledger, at: int) -> Again:
    """The messages to try again in this step; ``at`` is now, microseconds since 1970."""
    found = Again(ledger.queued((), messages=True, limit=_AT_ONCE))
    for letter in found.letters:
        try:
            found.messages.append(message_of(letter))
        except UnreadableMessageError as error:
            found.refused.append(replace(letter, at=at, detail=str(error)))
    return found


def is_asked_for(ledger: Ledger, sinks: Collection[str]) -> bool:
    """Whether anything is queued that this run can try again."""
    return bool(ledger.queued(sinks, messages=True, limit=1))


class Delivered(NamedTuple):
    """What came of handing over again: documents taken, new letters, whether there may be more."""

    taken: int
    refused: list[DeadLetter]
    more: bool


def hand_again(ledger: Ledger, handing: Handing, at: int) -> Delivered:
    """Hand one portion of what a destination refused to it again; ``at`` is now (us).

    Raises:
        RetriableError: the ledger cannot be written; it is handed over once more.
    """
    letters = ledger.queued([handing.name], messages=False, limit=_AT_ONCE)
    if handing.waiting or not letters:
        return Delivered(0, [], more=False)
    portion = [document_of(letter) for letter in letters]
    done = handing.hand(portion, line="again")
    refused = handing.refusals(portion, done, lambda d: f"dead letter {d.letter_id}", at)
    with ledger.transaction():
        ledger.bury(refused)
        for letter in letters[: done.taken]:
            ledger.mark_replayed(letter.seq, at)
    more = bool(done.taken) and done.again is None
    return Delivered(done.taken - len(refused), refused, more)
