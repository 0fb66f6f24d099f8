"""What every feed of advisories must do, as a plain list of checks."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipeline.model.documents import to_line
from pipeline.model.errors import OutriderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.model.contracts import AdvisoryFeed, AdvisoryPoll, Cursor


@dataclass(frozen=True)
class FeedCase:
    """A feed over some fixed advisories.

    Attributes:
        make: a new feed over the same advisories, every time the same.
        versions: (advisory id, number of versions) that it must give in all.
        rejects: how many records in it cannot be used.
        secrets: words of the unusable records that no reject may quote.
    """

    make: Callable[[], AdvisoryFeed]
    versions: dict[str, int]
    rejects: int = 0
    secrets: tuple[str, ...] = ()


def _seen(poll: AdvisoryPoll) -> list[str]:
    return [to_line(a) for a in poll.advisories]


def every_version_is_told_once(case: FeedCase) -> None:
    poll = case.make().changed_since(None)
    assert Counter(a.advisory_id for a in poll.advisories) == case.versions
    assert len(set(_seen(poll))) == len(poll.advisories)


def what_was_told_is_not_told_again(case: FeedCase) -> None:
    first = case.make().changed_since(None)
    again = case.make().changed_since(json.loads(json.dumps(first.cursor)))
    assert not again.advisories


def a_feed_keeps_no_position(case: FeedCase) -> None:
    feed = case.make()
    first = feed.changed_since(None)
    feed.changed_since(first.cursor)
    assert _seen(feed.changed_since(None)) == _seen(first)


def reading_is_repeatable(case: FeedCase) -> None:
    one, two = case.make().changed_since(None), case.make().changed_since(None)
    assert _seen(one) == _seen(two)
    assert one.cursor == two.cursor
    assert list(one.rejects) == list(two.rejects)


def the_cursor_is_versioned_json(case: FeedCase) -> None:
    cursor = case.make().changed_since(None).cursor
    assert json.loads(json.dumps(cursor, allow_nan=False)) == cursor
    assert isinstance(cursor["v"], int)


def the_callers_cursor_is_left_alone(case: FeedCase) -> None:
    cursor = case.make().changed_since(None).cursor
    kept = copy.deepcopy(cursor)
    case.make().changed_since(cursor)
    assert cursor == kept


def another_versions_cursor_is_refused(case: FeedCase) -> None:
    cursor: Cursor = case.make().changed_since(None).cursor
    for foreign in ({**cursor, "v": cursor["v"] + 1}, {"position": 3}):
        try:
            case.make().changed_since(foreign)
        except OutriderError:
            continue
        raise AssertionError(f"took the cursor {sorted(foreign)} for its own")


def counts_add_up(case: FeedCase) -> None:
    poll = case.make().changed_since(None)
    assert len(poll.rejects) == case.rejects
    # A version that comes twice is read twice and told once.
    assert poll.received >= len(poll.advisories) + poll.ignored
    assert poll.ignored >= 0


def rejects_quote_nothing(case: FeedCase) -> None:
    for reject in case.make().changed_since(None).rejects:
        assert reject.detail
        assert not [s for s in case.secrets if s in repr(reject)]


def _moments(value: Any) -> list[datetime]:
    if isinstance(value, datetime):
        return [value]
    if isinstance(value, tuple):
        return [m for item in value for m in _moments(item)]
    if hasattr(type(value), "__dataclass_fields__"):
        return [m for f in fields(value) for m in _moments(getattr(value, f.name))]
    return []


def every_time_is_utc(case: FeedCase) -> None:
    for advisory in case.make().changed_since(None).advisories:
        for moment in _moments(advisory):
            assert moment.utcoffset() == timedelta(0), f"{advisory.advisory_id}: {moment}"


ADVISORY_FEED_CHECKS: list[Callable[[FeedCase], None]] = [
    every_version_is_told_once,
    what_was_told_is_not_told_again,
    a_feed_keeps_no_position,
    reading_is_repeatable,
    the_cursor_is_versioned_json,
    the_callers_cursor_is_left_alone,
    another_versions_cursor_is_refused,
    counts_add_up,
    rejects_quote_nothing,
    every_time_is_utc,
]
