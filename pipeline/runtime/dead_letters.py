"""Looking at dead letters, and choosing which to try again: the same for ledger and topic."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 # read at run time by documents.to_json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model.clock import from_us, rfc3339
from pipeline.model.dead_letter import DOCUMENT, RECORD, DeadLetter, LetterState
from pipeline.model.errors import ConfigError, StateError
from pipeline.runtime.live.messages import (
    Kind,
    Message,
    UnreadableMessageError,
    unpack_advisories,
    unpack_events,
)
from pipeline.runtime.remedies import READ_AGAIN, remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FORM: Final = "%Y-%m-%d %H:%MZ"


@dataclass(slots=True)
class Group:
    """The letters of one reason.

    Attributes:
        reason: of all of them.
        letters: how many there are.
        waiting, queued, replayed: how many of these are in which state.
        first_at, last_at: when the first and the last one were buried.
        meaning, remedy: what the reason says, and what to do.
    """

    reason: str
    first_at: datetime
    last_at: datetime
    meaning: str
    remedy: str
    letters: int = 0
    waiting: int = 0
    queued: int = 0
    replayed: int = 0

    def add(self, letter: DeadLetter) -> None:
        """Count one letter."""
        at = from_us(letter.at)
        self.first_at, self.last_at = min(self.first_at, at), max(self.last_at, at)
        self.letters += 1
        self.waiting += letter.state is LetterState.WAITING
        self.queued += letter.state is LetterState.QUEUED
        self.replayed += letter.state is LetterState.REPLAYED


class Survey(NamedTuple):
    """Groups, the largest first, and the newest letters, the newest last."""

    groups: list[Group]
    newest: list[DeadLetter]


def survey(letters: Iterable[DeadLetter], *, reason: str | None = None, limit: int) -> Survey:
    """Count letters by reason, and keep the newest.

    Args:
        letters: in order of burial; a pass is enough.
        reason: only these.
        limit: how many to keep.
    """
    groups: dict[str, Group] = {}
    newest: deque[DeadLetter] = deque(maxlen=limit)
    for letter in letters:
        if reason not in {None, letter.reason}:
            continue
        if letter.reason not in groups:
            told, at = remedy(letter.reason), from_us(letter.at)
            groups[letter.reason] = Group(letter.reason, at, at, told.meaning, told.remedy)
        groups[letter.reason].add(letter)
        newest.append(letter)
    ordered = sorted(groups.values(), key=lambda g: (-g.letters, g.reason))
    return Survey(ordered, sorted(newest, key=lambda d: d.at))


@dataclass(frozen=True, slots=True)
class Wish:
    """Which letters to try again: those named, or of a reason, or every one.

    Attributes:
        ids: as ``dead list`` shows them.
        reason: all of a reason.
        every: all there are.
        again: also those that were tried again before.
        force: also those that cannot help as far as is known here.

    Raises:
        ConfigError: none of the three, or more than one.
    """

    ids: tuple[str, ...] = ()
    reason: str | None = None
    every: bool = False
    again: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        """Refuse a wish that says nothing or two things."""
        if (bool(self.ids), self.reason is not None, self.every).count(True) != 1:
            raise ConfigError("say which letters: their ids, or --reason, or --all")


def choose(letters: Sequence[DeadLetter], wish: Wish) -> list[DeadLetter]:
    """The letters that are meant. Of those not named one by one, only who waits.

    Raises:
        ConfigError: an id is not there.
    """
    if wish.ids:
        known = {d.letter_id: d for d in letters}
        missing = [i for i in wish.ids if i not in known]
        if missing:
            raise ConfigError(
                f"no dead letter {missing[0]!r}; 'outrider dead list' shows their ids"
            )
        return [known[i] for i in dict.fromkeys(wish.ids)]
    meant = [d for d in letters if wish.every or d.reason == wish.reason]
    states = {LetterState.WAITING} | ({LetterState.REPLAYED} if wish.again else set())
    return [d for d in meant if d.state in states]


class Outcome(StrEnum):
    """What came of the wish to try a letter again; the first two are that it is."""

    SENT = "sent"  # it is in the topic again
    QUEUED = "queued"  # the run takes it at its next step
    BEFORE = "replayed_before"
    FILE = "needs_file"
    UNREADABLE = "still_unreadable"
    TOO_LATE = "too_late"
    GONE = "gone"

    @property
    def done(self) -> bool:
        """Whether the letter is tried again."""
        return self in {Outcome.SENT, Outcome.QUEUED}


@dataclass(frozen=True, slots=True)
class Tried:
    """One letter and what came of it; ``text`` says why, and what helps."""

    letter_id: str
    reason: str
    outcome: Outcome
    text: str


class Prospect(NamedTuple):
    """Whether a letter is worth trying again; ``outcome`` is None if it is."""

    outcome: Outcome | None
    text: str


def message_of(letter: DeadLetter) -> Message:
    """The message that a letter was.

    Raises:
        UnreadableMessageError: it is none, whatever its body holds.
    """
    headers = letter.headers or (("kind", letter.kind.encode()),)
    return Message.of_record((letter.tenant or "").encode(), headers, letter.body)


@dataclass(frozen=True, slots=True)
class DocumentAgain:
    """A document out of a letter, for the destination that refused it."""

    letter_id: str
    kind: str
    id: str
    revision: int
    tenant: str
    document: dict[str, Any]


def document_of(letter: DeadLetter) -> DocumentAgain:
    """The flag, incident or notice that a letter holds.

    Raises:
        StateError: its body is none.
    """
    try:
        document = json.loads(letter.body or b"")
        kind = next(k for k in ("flag", "incident", "notice") if f"{k}_id" in document)
        name, revision = str(document[f"{kind}_id"]), int(document["revision"])
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise StateError(
            f"dead letter {letter.letter_id} holds no flag, incident or notice"
        ) from error
    return DocumentAgain(letter.letter_id, kind, name, revision, letter.tenant or "", document)


def prospect(letter: DeadLetter, wish: Wish) -> Prospect:
    """What can be told without the body."""
    if letter.state is LetterState.QUEUED:
        return Prospect(Outcome.BEFORE, "is queued: the run takes it at its next step")
    if letter.replayed_at is not None and not wish.again:
        at = from_us(letter.replayed_at).strftime(_FORM)
        return Prospect(Outcome.BEFORE, f"was replayed {at}; --again does it once more")
    if letter.kind == RECORD:
        return Prospect(
            Outcome.FILE,
            f"{letter.place}: {remedy(letter.reason).remedy}; {READ_AGAIN}",
        )
    return Prospect(None, "")


def prospect_of_body(
    letter: DeadLetter, closed_to: datetime | None, *, force: bool = False
) -> Prospect:
    """What the body of a letter tells.

    Args:
        letter: with its body.
        closed_to: moment before which its tenant's days are judged for good, None if none is.
        force: nothing of it is a reason against trying.
    """
    if letter.kind == DOCUMENT:
        try:
            document_of(letter)
        except StateError as error:
            return Prospect(Outcome.UNREADABLE, str(error))
        return Prospect(None, f"for {letter.sink}")
    try:
        message = message_of(letter)
    except UnreadableMessageError as error:
        return _unless(force, Outcome.UNREADABLE, _unread(error))
    return prospect_of_messages([message], closed_to, force=force)


def prospect_of_messages(
    messages: Iterable[Message], closed_to: datetime | None, *, force: bool = False
) -> Prospect:
    """What messages that are to be sent again would do; arguments as above."""
    rows = late = 0
    try:
        for message in messages:
            if message.kind is Kind.EVENTS:
                events = unpack_events(message.body)
                rows += events.num_rows
                late += _before(events, closed_to)
            elif message.kind is Kind.ADVISORIES:
                unpack_advisories(message.body)
    except UnreadableMessageError as error:
        return _unless(force, Outcome.UNREADABLE, _unread(error))
    if closed_to is None or not late:
        return Prospect(None, f"{rows:,} records" if rows else "")
    days = f"before {rfc3339(closed_to)}, which is judged for good"
    if late == rows:
        text = (
            f"all of its {rows:,} records are of {days}: a backfill of the logs still counts them"
        )
        return _unless(force, Outcome.TOO_LATE, text)
    return Prospect(None, f"{rows:,} records; {late:,} of these are of {days}, and change nothing")


def _unread(error: Exception) -> str:
    return f"{error}: this version cannot read it either; --force if the run is of another one"


def _unless(force: bool, outcome: Outcome, text: str) -> Prospect:  # noqa: FBT001 # reads as one
    return Prospect(None if force else outcome, text)


def _before(events: pa.Table, moment: datetime | None) -> int:
    if moment is None:
        return 0
    wanted = pa.scalar(moment, events.schema.field("event_time").type)
    return pc.sum(pc.less(events.column("event_time"), wanted)).as_py() or 0
