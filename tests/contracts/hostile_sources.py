"""One well-behaved source over records in memory, and twins that break one promise each."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.model.contracts import Poll
from pipeline.model.errors import StateError
from pipeline.model.event import EVENT_SCHEMA
from pipeline.model.reject import Reject, RejectReason
from tests.contracts.source_checks import SourceCase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.model.contracts import Cursor

USER = "adele.vance@contoso.example"
START = datetime(2026, 3, 19, 8, tzinfo=UTC)
BAD, SKIP = "bad", "skip"
# Eleven good records, one that cannot be used and one of a kind that is no evidence.
RECORDS: tuple[Any, ...] = (0, 1, 2, BAD, 3, 4, 5, 6, SKIP, 7, 8, 9, 10)
PORTION = 4


def event(number: int) -> dict[str, Any]:
    """One event of the minute ``number``."""
    at = START + timedelta(minutes=number)
    return {
        "event_id": number.to_bytes(16, "big"),
        "event_time": at,
        "received_time": at + timedelta(minutes=3),
        "tenant": "contoso",
        "source": "entra_signin",
        "service": "exchange_online",
        "client": "owa",
        "operation": "signIn",
        "outcome": "success",
        "error_code": 0,
        "user": 1000 + number,
        "weight": 1,
        "flags": 0,
    }


def table(numbers: Sequence[int]) -> pa.Table:
    """The events of these numbers as one batch."""
    return pa.Table.from_pylist([event(n) for n in numbers], schema=EVENT_SCHEMA)


class GoodSource:
    """Gives four records at a time."""

    def poll(self, cursor: Cursor | None) -> Poll:
        return self.read(self.position(cursor))

    def position(self, cursor: Cursor | None) -> int:
        if cursor is None:
            return 0
        if cursor.get("v") != 1 or not isinstance(cursor.get("next"), int):
            raise StateError("cursor: want version 1 with 'next'; start anew")
        return int(cursor["next"])

    def read(self, start: int) -> Poll:
        part = RECORDS[start : start + PORTION]
        numbers = [r for r in part if isinstance(r, int)]
        end = start + len(part)
        return Poll(
            batches=[table(numbers)] if numbers else [],
            rejects=[self.reject(start + i) for i, r in enumerate(part) if r == BAD],
            cursor={"v": 1, "next": end},
            complete_to=START + timedelta(minutes=end),
            finished=end >= len(RECORDS),
            received=len(part),
            ignored=sum(r == SKIP for r in part),
        )

    def reject(self, record: int) -> Reject:
        return Reject("memory", RejectReason.BAD_VALUE, "count: want a number", record=record)


def altered(poll: Poll, **changes: Any) -> Poll:
    """The poll with some attributes replaced."""
    names = ("batches", "rejects", "cursor", "complete_to", "finished", "received", "ignored")
    return Poll(**({n: getattr(poll, n) for n in names} | changes))


class LosesTheLast(GoodSource):
    """Drops one record, and says that it received one less."""

    def read(self, start: int) -> Poll:
        poll = super().read(start)
        if not poll.finished or not poll.batches:
            return poll
        (batch,) = poll.batches
        return altered(
            poll, batches=[batch.slice(0, batch.num_rows - 1)], received=poll.received - 1
        )


class Miscounts(GoodSource):
    def read(self, start: int) -> Poll:
        poll = super().read(start)
        return altered(poll, received=poll.received + 1)


class OtherColumns(GoodSource):
    def read(self, start: int) -> Poll:
        poll = super().read(start)
        return altered(poll, batches=[b.append_column("more", b["weight"]) for b in poll.batches])


class NullsWhereNoneMayBe(GoodSource):
    def read(self, start: int) -> Poll:
        poll = super().read(start)
        holes = [
            b.set_column(
                b.schema.get_field_index("weight"),
                EVENT_SCHEMA.field("weight"),
                pa.nulls(b.num_rows, pa.int32()),
            )
            for b in poll.batches
        ]
        return altered(poll, batches=holes)


class RepeatsAfterResume(GoodSource):
    """A cursor that points at the last record given, not after it: right only from memory."""

    def __init__(self) -> None:
        self._polls = 0

    def poll(self, cursor: Cursor | None) -> Poll:
        start = self.position(cursor)
        resumed = cursor is not None and self._polls == 0 and start < len(RECORDS)
        self._polls += 1
        return self.read(start - 1 if resumed else start)


class NeverQuiet(GoodSource):
    """Gives the last record again when there is nothing more."""

    def read(self, start: int) -> Poll:
        poll = super().read(start)
        if start < len(RECORDS):
            return poll
        return altered(poll, batches=[table([10])], received=1)


class KeepsAPosition(GoodSource):
    """Goes on from where it stands when it is asked from the start."""

    def __init__(self) -> None:
        self._next = 0

    def poll(self, cursor: Cursor | None) -> Poll:
        poll = self.read(self._next if cursor is None else self.position(cursor))
        self._next = poll.cursor["next"] % len(RECORDS) or PORTION
        return poll


class NeverTwiceTheSame(GoodSource):
    """Stamps each row with a moment of its own making."""

    def read(self, start: int) -> Poll:
        poll = super().read(start)
        cursor = {**poll.cursor, "luck": random.random()}
        return altered(poll, cursor=cursor) if start else poll


class OpaqueCursor(GoodSource):
    """A tuple, which JSON would give back as a list."""

    def read(self, start: int) -> Poll:
        poll = super().read(start)
        return altered(poll, cursor={**poll.cursor, "range": (start, poll.cursor["next"])})


class MovesTheCallersCursor(GoodSource):
    def poll(self, cursor: Cursor | None) -> Poll:
        poll = super().poll(cursor)
        if cursor is not None:
            cursor["next"] = poll.cursor["next"]
        return poll


class TakesAnyCursor(GoodSource):
    def position(self, cursor: Cursor | None) -> int:
        return 0 if cursor is None else int(cursor.get("next", 0))


class NamesAUser(GoodSource):
    def reject(self, record: int) -> Reject:
        detail = f"count of {USER}: want a number"
        return Reject("memory", RejectReason.BAD_VALUE, detail, record=record)


class GivesNoReason(GoodSource):
    def reject(self, record: int) -> Reject:
        return Reject("memory", RejectReason.BAD_VALUE, "", record=record)


class GoesBackInTime(GoodSource):
    def read(self, start: int) -> Poll:
        return altered(super().read(start), complete_to=START - timedelta(minutes=start))


def case_of(cls: type) -> SourceCase:
    return SourceCase(make=cls, events=11, ignored=1, rejects=1, secrets=(USER,))


# Twin: the one check that must fail on it.
TWINS: dict[type, str] = {
    LosesTheLast: "it_gives_everything_and_finishes",
    Miscounts: "received_is_events_and_ignored_and_rejects",
    OtherColumns: "batches_have_the_event_schema",
    NullsWhereNoneMayBe: "batches_have_the_event_schema",
    RepeatsAfterResume: "any_position_resumes_without_loss_or_repetition",
    NeverQuiet: "after_the_end_there_is_nothing",
    KeepsAPosition: "a_source_keeps_no_position",
    NeverTwiceTheSame: "reading_is_repeatable",
    OpaqueCursor: "the_cursor_is_versioned_json",
    MovesTheCallersCursor: "the_callers_cursor_is_left_alone",
    TakesAnyCursor: "another_versions_cursor_is_refused",
    NamesAUser: "nobody_is_named",
    GivesNoReason: "rejects_say_where_and_why",
    GoesBackInTime: "complete_to_never_goes_back",
}
