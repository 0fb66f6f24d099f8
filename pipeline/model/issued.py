"""What has been issued, and what late records make of it: one rule for flags and incidents.

Late records re-open the past. The stages then go through it again as if these records had
been in time, and what they give is the *truth*. It is compared with the last revisions
issued: a document that differs gets a new revision, one that the truth does not know is
retracted, a new one is issued. Only the dates tell that it came late: nothing that became
known by a late record is dated before that record had come.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
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

    def issue(self, document: D) -> D:
        """The next revision of a document, in its time."""
        key = self.key(document)
        self.last[key] = self.revised(document, self.last.get(key), self.since.get(key), None)
        return self.last[key]

    def correct(self, truth: Mapping[str, D], at: datetime) -> list[D]:
        """The revisions that turn what was issued into ``truth``: retractions, then the rest.

        Args:
            truth: by id, what would be the last revisions.
            at: moment before which the late records had not all come.
        """
        gone = [
            self.retraction(last, at)
            for key, last in self.last.items()
            if key not in truth and not self.is_retracted(last)
        ]
        out = list(gone)
        for key, document in truth.items():
            last = self.last.get(key)
            if last is not None and self.plain(last) == self.plain(document):
                continue
            if last is not None:
                self.since.setdefault(key, self.raised_at(last))
            else:
                known = (self.raised_at(g) for g in gone if self.same_matter(g, document))
                self.since[key] = min(known, default=at)
            out.append(self.revised(document, last, self.since[key], at))
        self.last.update((self.key(document), document) for document in out)
        return out

    def forget_before(self, moment: datetime, needed: Collection[str] = ()) -> None:
        """Drop what was over before ``moment``, but for the ids ``needed``."""
        for key, last in list(self.last.items()):
            over = self.over_at(last)
            if over is not None and over < moment and key not in needed:
                del self.last[key]
                self.since.pop(key, None)

    def newest(self, base: Mapping[str, D], *steps: Iterable[D]) -> dict[str, D]:
        """By id the newest of the documents; later steps win over earlier ones and ``base``."""
        found = dict(base)
        for documents in steps:
            found.update((self.key(d), d) for d in documents)
        return found
