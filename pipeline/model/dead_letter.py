"""Dead letters: what could not be used, kept with reason and place until somebody acts.

A :class:`DeadLetter` is what the ledger and the dead topic keep, with the body to try again.
Its :meth:`~DeadLetter.document` (``outrider.dead/1``) is what others are shown: without the
body, which may be megabytes and in which nobody should look for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 # read back at run time by documents.from_json
from enum import StrEnum
from typing import ClassVar, Final

from pipeline.model.clock import from_us

# What a source refused has one of the reasons in pipeline.model.reject.
UNREADABLE_MESSAGE: Final = "unreadable_message"
REFUSED_BY_SINK: Final = "refused_by_sink"
# What a tenant had taken in since its last stored state when judging it failed.
JUDGING_FAILED: Final = "judging_failed"

# Kinds of letters that are no message: a record that a parser refused, a revision of ours, and
# a tenant's messages in a stretch of the topic, where they still are.
RECORD: Final = "record"
DOCUMENT: Final = "document"
MESSAGES: Final = "messages"


class LetterState(StrEnum):
    """How far somebody has come with a letter; queued: the run takes it at its next step."""

    WAITING = "waiting"
    QUEUED = "queued"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What could not be used.

    Attributes:
        seq: its number; 0 before it is stored.
        at: when, microseconds since 1970.
        tenant: whose; None if not known.
        reason: one of a closed set of small names.
        detail: what is wrong and what helps; nothing personal.
        place: file and line, or topic, partition and offset.
        kind: ``record`` (refused by a parser), ``document`` (refused by a destination),
            ``messages`` (several, in the topic) or the kind of the message it was.
        body: the message or document, to be tried again; None where only the place is kept.
        sink: the destination that refused it; None of anything else.
        headers: those of the message it was.
        queued_at: when somebody asked to try it again, microseconds since 1970; None = nobody.
        replayed_at: when it was tried again, microseconds since 1970; None = it was not.
        partition: of the dead topic, in which ``seq`` is the offset; None in a ledger.
        size: bytes of the body, also where the body itself was not read.
    """

    seq: int
    at: int
    tenant: str | None
    reason: str
    detail: str
    place: str
    kind: str
    body: bytes | None = None
    sink: str | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    queued_at: int | None = None
    replayed_at: int | None = None
    partition: int | None = None
    size: int | None = None

    @property
    def letter_id(self) -> str:
        """What a person calls it by: ``17`` in a ledger, ``3/1042`` in a topic, none before."""
        return str(self.seq or "") if self.partition is None else f"{self.partition}/{self.seq}"

    @property
    def replayed(self) -> bool:
        """Whether it was tried again."""
        return self.replayed_at is not None

    @property
    def state(self) -> LetterState:
        """How far somebody has come with it."""
        if self.queued_at is not None:
            return LetterState.QUEUED
        return LetterState.WAITING if self.replayed_at is None else LetterState.REPLAYED

    def document(self) -> DeadLetterDocument:
        """The letter as it is shown and as it travels."""
        return DeadLetterDocument(
            self.letter_id,
            from_us(self.at),
            self.reason,
            self.detail,
            self.place,
            self.kind,
            self.state,
            self.tenant,
            self.sink,
            self.size if self.body is None else len(self.body),
            None if self.replayed_at is None else from_us(self.replayed_at),
        )


@dataclass(frozen=True, slots=True)
class DeadLetterDocument:
    """A dead letter without its body; ``body_bytes`` is absent where none is kept."""

    SCHEMA: ClassVar[str] = "outrider.dead/1"

    letter_id: str
    at: datetime
    reason: str
    detail: str
    place: str
    kind: str
    state: LetterState
    tenant: str | None = None
    sink: str | None = None
    body_bytes: int | None = None
    replayed_at: datetime | None = None
