"""What every source of logs must do, as a plain list of checks."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.model.errors import OutriderError
from pipeline.model.event import EVENT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.model.contracts import Cursor, Poll, Source

MAX_POLLS = 1000


@dataclass(frozen=True)
class SourceCase:
    """A source over some fixed records.

    Attributes:
        make: a new source over the same records, every time the same.
        events, ignored, rejects: what these records hold.
        secrets: user names, addresses and words of unusable records that stand in them.
    """

    make: Callable[[], Source]
    events: int
    ignored: int = 0
    rejects: int = 0
    secrets: tuple[str, ...] = ()


def _polls(source: Source, cursor: Cursor | None = None) -> list[Poll]:
    """Everything after ``cursor``, each position taken through JSON as a store would."""
    polls: list[Poll] = []
    while not polls or not polls[-1].finished:
        assert len(polls) < MAX_POLLS, "a bounded source did not finish"
        poll = source.poll(cursor)
        polls.append(poll)
        cursor = json.loads(json.dumps(poll.cursor))
    return polls


def _rows(polls: list[Poll]) -> list[dict[str, Any]]:
    return [row for poll in polls for batch in poll.batches for row in batch.to_pylist()]


def _rejects(polls: list[Poll]) -> list[Any]:
    return [reject for poll in polls for reject in poll.rejects]


def it_gives_everything_and_finishes(case: SourceCase) -> None:
    polls = _polls(case.make())
    assert len(_rows(polls)) == case.events
    assert sum(p.ignored for p in polls) == case.ignored
    assert len(_rejects(polls)) == case.rejects


def received_is_events_and_ignored_and_rejects(case: SourceCase) -> None:
    for poll in _polls(case.make()):
        rows = sum(batch.num_rows for batch in poll.batches)
        assert poll.received == rows + poll.ignored + len(poll.rejects)


def batches_have_the_event_schema(case: SourceCase) -> None:
    for poll in _polls(case.make()):
        for batch in poll.batches:
            assert isinstance(batch, pa.Table)
            assert batch.schema.equals(EVENT_SCHEMA, check_metadata=True), batch.schema
            batch.validate(full=True)
            for column in EVENT_SCHEMA:
                assert column.nullable or batch[column.name].null_count == 0, column.name


def any_position_resumes_without_loss_or_repetition(case: SourceCase) -> None:
    polls = _polls(case.make())
    for given, poll in enumerate(polls[:-1], start=1):
        rest = _polls(case.make(), json.loads(json.dumps(poll.cursor)))
        assert _rows(polls[:given]) + _rows(rest) == _rows(polls), f"resumed after poll {given}"
        assert _rejects(polls[:given]) + _rejects(rest) == _rejects(polls)


def after_the_end_there_is_nothing(case: SourceCase) -> None:
    end = _polls(case.make())[-1].cursor
    rest = _polls(case.make(), json.loads(json.dumps(end)))
    assert not _rows(rest)
    assert not _rejects(rest)


def a_source_keeps_no_position(case: SourceCase) -> None:
    source = case.make()
    first = source.poll(None)
    _polls(source)
    again = source.poll(None)
    assert _rows([again]) == _rows([first])
    assert again.cursor == first.cursor
    assert list(again.rejects) == list(first.rejects)


def reading_is_repeatable(case: SourceCase) -> None:
    one, two = _polls(case.make()), _polls(case.make())
    assert _rows(one) == _rows(two)
    assert [p.cursor for p in one] == [p.cursor for p in two]
    assert _rejects(one) == _rejects(two)


def the_cursor_is_versioned_json(case: SourceCase) -> None:
    for poll in _polls(case.make()):
        assert json.loads(json.dumps(poll.cursor, allow_nan=False)) == poll.cursor
        assert isinstance(poll.cursor["v"], int)


def the_callers_cursor_is_left_alone(case: SourceCase) -> None:
    cursor = case.make().poll(None).cursor
    kept = copy.deepcopy(cursor)
    _polls(case.make(), cursor)
    case.make().poll(cursor)
    assert cursor == kept


def another_versions_cursor_is_refused(case: SourceCase) -> None:
    cursor = case.make().poll(None).cursor
    for foreign in ({**cursor, "v": cursor["v"] + 1}, {"position": 3}):
        try:
            case.make().poll(foreign)
        except OutriderError:
            continue
        raise AssertionError(f"took the cursor {sorted(foreign)} for its own")


def nobody_is_named(case: SourceCase) -> None:
    assert case.secrets, "name the users and addresses of the records in the case"
    polls = _polls(case.make())
    shown = repr([_rows(polls), _rejects(polls), [p.cursor for p in polls]])
    assert not [secret for secret in case.secrets if secret in shown]


def rejects_say_where_and_why(case: SourceCase) -> None:
    for reject in _rejects(_polls(case.make())):
        assert reject.path
        assert reject.detail
        assert "\n" not in reject.detail


def complete_to_never_goes_back(case: SourceCase) -> None:
    told = [p.complete_to for p in _polls(case.make()) if p.complete_to is not None]
    assert all(moment.utcoffset() == timedelta(0) for moment in told)
    assert told == sorted(told)


SOURCE_CHECKS: list[Callable[[SourceCase], None]] = [
    it_gives_everything_and_finishes,
    received_is_events_and_ignored_and_rejects,
    batches_have_the_event_schema,
    any_position_resumes_without_loss_or_repetition,
    after_the_end_there_is_nothing,
    a_source_keeps_no_position,
    reading_is_repeatable,
    the_cursor_is_versioned_json,
    the_callers_cursor_is_left_alone,
    another_versions_cursor_is_refused,
    nobody_is_named,
    rejects_say_where_and_why,
    complete_to_never_goes_back,
]
