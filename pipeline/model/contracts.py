"""What each kind of component must do; every one runs through tests/contracts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from pipeline.model.advisory import Advisory
    from pipeline.model.reject import Reject

Cursor: TypeAlias = dict[str, Any]
"""Versioned JSON: ``{"v": 1, ...}``; a source keeps no position of its own."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A stretch of time of which a source knows that it does not have everything.

    ``reason`` says why and what to do, in one sentence.
    """

    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Poll:
    """What one call of a source gave.

    Attributes:
        batches: tables of EVENT_SCHEMA.
        rejects: records set aside.
        cursor: position after everything in this poll.
        complete_to: no record before this moment is still to come; None = not known.
        finished: whether a bounded source (files) has no more.
        received: records read, = events + ignored + rejects.
        ignored: records of kinds that are no evidence (service principals and the like).
        read_at: when the records were read, if not now: a replay of old logs tells when each
            of them arrived.
        missing: stretches that are known to lack records by now; those that came after all
            are no longer among them.
    """

    batches: Sequence[pa.Table]
    rejects: Sequence[Reject]
    cursor: Cursor
    complete_to: datetime | None = None
    finished: bool = False
    received: int = 0
    ignored: int = 0
    read_at: datetime | None = None
    missing: Sequence[Missing] = ()


class Source(Protocol):
    """Reads logs from a position."""

    def poll(self, cursor: Cursor | None) -> Poll:
        """Read the next portion after ``cursor`` (None = from the start).

        Raises:
            RetriableError: try again later, from the same cursor.
            FatalError: a person has to act.
        """
        ...


@dataclass(frozen=True, slots=True)
class AdvisoryPoll:
    """What one call of an advisory feed gave.

    ``received``: records read; ``ignored``: of these, the kinds that are no advisory
    (Message Center posts).
    """

    advisories: Sequence[Advisory]
    rejects: Sequence[Reject]
    cursor: Cursor = field(default_factory=dict)
    received: int = 0
    ignored: int = 0


class AdvisoryFeed(Protocol):
    """Reads advisories, every version of them."""

    def changed_since(self, cursor: Cursor | None) -> AdvisoryPoll:
        """Return what changed after ``cursor`` (None = everything)."""
        ...


@runtime_checkable
class Detector(Protocol):
    """A River anomaly detector whose whole state can be written down.

    ``score_one`` is pure and gives the log of an e-value: 0 = no evidence. It is called
    before ``learn_one`` of the same sample. A snapshot is plain JSON.
    """

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """Evidence that the signal has changed, this sample included; changes nothing."""
        ...

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Take the sample into the state."""
        ...

    @property
    def warming_up(self) -> bool:
        """Whether the baseline is too thin to judge by."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """The whole state, as plain JSON."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a state that :meth:`snapshot` gave.

        Raises:
            StateError: the state is of another version or shape.
        """
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a sink did with the documents it was handed."""

    accepted: Sequence[tuple[str, int]]
    rejected: Sequence[tuple[str, int]] = ()
    retry_after: float | None = None


class Sink(Protocol):
    """Delivers documents; never sleeps and never retries by itself."""

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Send the documents; (id, revision) is the idempotency key."""
        ...
