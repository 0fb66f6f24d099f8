"""What has been issued, and what late records make of it: one rule for flags and incidents.

A live run judges the open hours again and again as records come. What the stages give for all
records there are by now is the *truth*: every revision of every document, in order. It is
compared with the last revisions issued: what is new is issued in its time, a document that
differs gets a new revision, one that the truth does not know is retracted. Only the dates
tell what came late: nothing that became known by a late record is dated before that record
had come.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

D = TypeVar("D")


class Issued(ABC, Generic[D]):
    """The last revision issued of every document that may still change.

    Attributes:
        last: by id, the last revision.
        since: by id, the moment before which the document was not known; only of those
            that a correction has touched.
    """

    def __init__(self) -> None:
        self.last: dict[str, D] = {}
        self.since: dict[str, datetime] = {}

    @abstractmethod
    def key(self, document: D) -> str:
        """Its id."""

    @abstractmethod
    def plain(self, document: D) -> D:
        """The document without what depends on when records came."""

    @abstractmethod
    def raised_at(self, document: D) -> datetime:
        """When it was raised."""

    @abstractmethod
    def revised(
        self, document: D, last: D | None, since: datetime | None, at: datetime | None
    ) -> D:
        """The revision after ``last``, raised no earlier than ``since``.

        ``at`` is the moment of a correction, None of a revision in its time.
        """

    @abstractmethod
    def retraction(self, last: D, at: datetime) -> D:
        """The revision that takes ``last`` back."""

    @abstractmethod
    def is_retracted(self, document: D) -> bool:
        """Whether it has been taken back."""

    @abstractmethod
    def same_matter(self, retracted: D, document: D) -> bool:
        """Whether ``document`` says under another id what ``retracted`` said."""

    @abstractmethod
    def over_at(self, document: D) -> datetime | None:
        """Event time after which it says nothing new, None while it may."""

    @abstractmethod
    def due_at(self, document: D) -> datetime:
        """The moment from which it may be told."""

    @abstractmethod
    def matter(self, document: D) -> object:
        """What of it is worth a revision while its hour is still being counted."""

    def follow(
        self,
        truth: Iterable[D],
        now: datetime,
        *,
        judged_to: datetime | None = None,
        whole: bool = True,
    ) -> list[D]:
        """The revisions that turn what was issued into the truth: retractions, then the rest.

        Args:
            truth: all revisions of the documents that may still change, in order.
            now: what is due later is not issued yet.
            judged_to: ``now`` of the last call; what was due by then came late.
            whole: compare all of a document; else only its ``matter``, so that numbers which
                grow with every record of the hour do not make a revision each.
        """
        told: dict[str, list[D]] = {}
        for document in truth:
            told.setdefault(self.key(document), []).append(document)
        due = {k: [d for d in ds if self.due_at(d) <= now] for k, ds in told.items()}
        gone = [
            self.retraction(last, now)
            for key, last in self.last.items()
            if key not in told and not self.is_retracted(last)
        ]
        out = list(gone)
        for key, documents in due.items():
            if documents:
                out += self._next(key, documents, gone, now, judged_to, whole=whole)
        self.last.update((self.key(document), document) for document in out)
        return out

    def _next(
        self,
        key: str,
        due: list[D],
        gone: list[D],
        now: datetime,
        judged_to: datetime | None,
        *,
        whole: bool,
    ) -> list[D]:
        """The revisions of one document that are missing up to its newest one."""
        last = self.last.get(key)
        face = self.plain if whole else self.matter
        if last is not None and face(due[-1]) == face(last):
            return []
        fresh = [d for d in due if judged_to is None or self.due_at(d) > judged_to]
        known = len(due) - len(fresh)  # these were due when it was judged last
        in_time = (
            last is None if not known else last is not None and face(last) == face(due[known - 1])
        )
        if not in_time:
            if last is not None:
                self.since.setdefault(key, self.raised_at(last))
            else:
                raised = (self.raised_at(g) for g in gone if self.same_matter(g, due[-1]))
                self.since[key] = min(raised, default=now)
            return [self.revised(due[-1], last, self.since[key], now)]
        out: list[D] = []
        for document in fresh:
            last = self.revised(document, last, self.since.get(key), None)
            out.append(last)
        return out

    def forget_before(self, moment: datetime, needed: Collection[str] = ()) -> None:
        """Drop what was over before ``moment``, but for the ids ``needed``."""
        for key, last in list(self.last.items()):
            over = self.over_at(last)
            if over is not None and over < moment and key not in needed:
                del self.last[key]
                self.since.pop(key, None)
