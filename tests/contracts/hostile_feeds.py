"""One well-behaved feed of advisories in memory, and twins that break one promise each."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from pipeline.model.advisory import Advisory, Symptom
from pipeline.model.contracts import AdvisoryPoll
from pipeline.model.errors import StateError
from pipeline.model.reject import Reject, RejectReason
from tests.contracts.advisory_feed_checks import FeedCase

if TYPE_CHECKING:
    from pipeline.model.contracts import Cursor

USER = "adele.vance@contoso.example"
MODIFIED = datetime(2026, 3, 19, 8, tzinfo=UTC)


def version(advisory_id: str, number: int) -> Advisory:
    """The version ``number`` of an advisory."""
    return Advisory(
        advisory_id=advisory_id,
        title="Users cannot reach mail",
        service="Exchange Online",
        status="serviceDegradation",
        is_resolved=False,
        classification="incident",
        impact_description="",
        posts=(),
        services=(),
        clients=(),
        excluded_clients=(),
        protocols=(),
        regions=(),
        symptom=Symptom.ACCESS,
        is_false_positive=False,
        last_modified_at=MODIFIED + timedelta(hours=number),
    )


VERSIONS = (version("EX1", 1), version("EX1", 2), version("EX2", 1))


class GoodFeed:
    """Three versions of two advisories, a message that is no advisory and a broken record."""

    def changed_since(self, cursor: Cursor | None) -> AdvisoryPoll:
        new = self.versions()[self.position(cursor) :]
        return AdvisoryPoll(
            advisories=new,
            rejects=[Reject("memory", RejectReason.BAD_TIME, self.reason(), record=4)],
            cursor={"v": 1, "told": len(VERSIONS)},
            received=len(VERSIONS) + 2,
            ignored=1,
        )

    def position(self, cursor: Cursor | None) -> int:
        if cursor is None:
            return 0
        if cursor.get("v") != 1 or not isinstance(cursor.get("told"), int):
            raise StateError("cursor: want version 1 with 'told'; start anew")
        return int(cursor["told"])

    def versions(self) -> tuple[Advisory, ...]:
        return VERSIONS

    def reason(self) -> str:
        return "startDateTime: want a time"


class ForgetsAVersion(GoodFeed):
    def versions(self) -> tuple[Advisory, ...]:
        return VERSIONS[1:]


class TellsTwice(GoodFeed):
    def position(self, cursor: Cursor | None) -> int:
        return max(0, super().position(cursor) - 1)


class KeepsAPosition(GoodFeed):
    def __init__(self) -> None:
        self._calls = 0

    def position(self, cursor: Cursor | None) -> int:
        self._calls += 1
        return super().position(cursor) if cursor is not None or self._calls < 3 else 1


class Shuffles(GoodFeed):
    """Keeps the order within one feed, and gives another one in the next."""

    made = 0

    def __init__(self) -> None:
        Shuffles.made += 1
        self._turn = Shuffles.made % 3

    def versions(self) -> tuple[Advisory, ...]:
        return VERSIONS[self._turn :] + VERSIONS[: self._turn]


class OpaqueCursor(GoodFeed):
    def changed_since(self, cursor: Cursor | None) -> AdvisoryPoll:
        poll = super().changed_since(cursor)
        return replace(poll, cursor={**poll.cursor, "ids": ("EX1", "EX2")})


class MovesTheCallersCursor(GoodFeed):
    def changed_since(self, cursor: Cursor | None) -> AdvisoryPoll:
        poll = super().changed_since(cursor)
        if cursor is not None:
            cursor["read"] = random.random()
        return poll


class TakesAnyCursor(GoodFeed):
    def position(self, cursor: Cursor | None) -> int:
        return 0 if cursor is None else int(cursor.get("told", 0))


class Miscounts(GoodFeed):
    def changed_since(self, cursor: Cursor | None) -> AdvisoryPoll:
        return replace(super().changed_since(cursor), received=1)


class NamesAUser(GoodFeed):
    def reason(self) -> str:
        return f"startDateTime: {USER} is no time"


class LocalTimes(GoodFeed):
    def versions(self) -> tuple[Advisory, ...]:
        berlin = timezone(timedelta(hours=1))
        return tuple(
            replace(a, last_modified_at=MODIFIED.replace(tzinfo=berlin) + timedelta(hours=i))
            for i, a in enumerate(VERSIONS)
        )


def case_of(cls: type[Any]) -> FeedCase:
    return FeedCase(make=cls, versions={"EX1": 2, "EX2": 1}, rejects=1, secrets=(USER,))


# Twin: the one check that must fail on it.
TWINS: dict[type, str] = {
    ForgetsAVersion: "every_version_is_told_once",
    TellsTwice: "what_was_told_is_not_told_again",
    KeepsAPosition: "a_feed_keeps_no_position",
    Shuffles: "reading_is_repeatable",
    OpaqueCursor: "the_cursor_is_versioned_json",
    MovesTheCallersCursor: "the_callers_cursor_is_left_alone",
    TakesAnyCursor: "another_versions_cursor_is_refused",
    Miscounts: "counts_add_up",
    NamesAUser: "rejects_quote_nothing",
    LocalTimes: "every_time_is_utc",
}
