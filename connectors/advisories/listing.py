"""One listing of service communications, held as the service has it now.

It is listed in full once, and again every few hours; in between only what was modified since
is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from connectors.advisories.health_errors import SERVICE, translated
from connectors.advisories.issue import IssueError, lower_names, parse_time, text_of
from connectors.advisories.versions import version_key
from connectors.http.answers import RefusedError
from connectors.http.paging import PagingGuard
from pipeline.model.clock import rfc3339
from pipeline.model.errors import RetriableError
from pipeline.model.reject import Reject, RejectReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from connectors.http.client import HttpClient
    from pipeline.model.advisory import Advisory

ROOT: Final = "v1.0/admin/serviceAnnouncement"
_WHOLE_PAGES: Final = {"Prefer": "odata.maxpagesize=1000"}
# A month of all issues is one page of 1,000; ten are a listing that goes astray.
_PAGES: Final = 10
_SOON: Final = 60.0
_OVERLAP: Final = timedelta(hours=1)
# What is changed without a new time of modification is found by listing everything again.
_WHOLE: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Held:
    """One record as it was read.

    Attributes:
        key: of its content.
        what: the advisory; None = it is none; a reject = it cannot be used.
        read_at: when this content came first.
        at_start: whether it came with the first listing, so that it may be older than that.
    """

    key: str
    what: Advisory | Reject | None
    read_at: datetime
    at_start: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """Records read by one refresh, and how many of them are no advisory."""

    received: int = 0
    ignored: int = 0


class Listing:
    """Reads one collection below ``admin/serviceAnnouncement``.

    Args:
        http: of Microsoft Graph.
        name: of the collection: ``issues``.
        permission: that it needs.
        read: makes an advisory of one record, or None if it is none; raises IssueError.
    """

    def __init__(
        self,
        http: HttpClient,
        name: str,
        permission: str,
        read: Callable[[Mapping[str, Any]], Advisory | None],
    ) -> None:
        self._http, self._name, self._permission, self._read = http, name, permission, read
        self._whole_at: datetime | None = None
        self._newest: datetime | None = None
        self._filters = True
        self.records: dict[str, tuple[Held, ...]] = {}
        """By id, what the newest reading of it gave: one version, or several of one listing."""

    @property
    def advisories(self) -> Iterator[Advisory]:
        """The advisories that are held."""
        for versions in self.records.values():
            for held in versions:
                if held.what is not None and not isinstance(held.what, Reject):
                    yield held.what

    def refresh(self, at: datetime) -> Counted:
        """Read what is new; a failure leaves everything as it was.

        Raises:
            AuthError: the permission is missing, or there is no token.
            FatalError: the service refuses for good.
            RetriableError: it does not answer, or not now.
        """
        whole = (
            self._whole_at is None
            or self._newest is None
            or at - self._whole_at >= _WHOLE
            or not self._filters
        )
        found = self._all() if whole or self._newest is None else self._since(self._newest)
        whole = whole or not self._filters
        fresh: dict[str, dict[str, Held]] = {}
        for number, record in enumerate(found):
            name, held = self._held(number, record, at)
            fresh.setdefault(name, {}).setdefault(held.key, held)
        kept = {} if whole else self.records
        self.records = {**kept, **{k: tuple(v.values()) for k, v in fresh.items()}}
        self._whole_at = at if whole else self._whole_at
        self._newest = _newest(found, self._newest, at)
        ignored = sum(h.what is None for versions in fresh.values() for h in versions.values())
        return Counted(len(found), ignored)

    def _held(self, number: int, record: Any, at: datetime) -> tuple[str, Held]:
        fields = record if isinstance(record, dict) else {"": record}
        key = version_key(fields)
        name = text_of(lower_names(fields), "id").strip().upper() or key
        for held in self.records.get(name, ()):
            if held.key == key:
                return name, held
        what: Advisory | Reject | None
        try:
            if not isinstance(record, dict):
                raise IssueError(RejectReason.UNKNOWN_SHAPE, "want a JSON object")  # noqa: TRY301 # same handling as the reader's own
            what = self._read(record)
        except IssueError as error:
            place = f"{SERVICE}: {self._name}"
            what = Reject(place, error.reason, error.detail, record=number)
        return name, Held(key, what, at, self._whole_at is None)

    def _all(self) -> list[Any]:
        return list(pages(self._http, self._name, self._permission))

    def _since(self, newest: datetime) -> list[Any]:
        since = rfc3339((newest - _OVERLAP).replace(microsecond=0))
        asked = {"$filter": f"lastModifiedDateTime ge {since}"}
        try:
            return list(pages(self._http, self._name, self._permission, asked))
        except _MisunderstoodError:
            self._filters = False
            return self._all()


def _newest(records: list[Any], before: datetime | None, at: datetime) -> datetime | None:
    """The latest modification of all; a time of the future would hide what comes until then."""
    times = [] if before is None else [before]
    for record in records:
        fields = lower_names(record) if isinstance(record, dict) else {}
        moment = parse_time(text_of(fields, "lastmodifieddatetime"))
        times += [] if moment is None else [min(moment, at)]
    return max(times, default=None)


class _MisunderstoodError(Exception):
    """The service does not know the filter."""


def pages(
    http: HttpClient, name: str, permission: str, params: Mapping[str, str] | None = None
) -> Iterator[Any]:
    """The records of all pages of a collection; raises as :meth:`Listing.refresh` does."""
    what, guard = f"{SERVICE}, {name}", PagingGuard(f"{SERVICE}, {name}", _PAGES)
    link: str | None = None
    while True:
        try:
            answer = (
                http.get(f"{ROOT}/{name}", params=params, headers=_WHOLE_PAGES)
                if link is None
                else http.get(guard.follow(link), headers=_WHOLE_PAGES)
            )
        except RefusedError as refused:
            if refused.status == HTTPStatus.BAD_REQUEST and params and link is None:
                raise _MisunderstoodError from None
            raise translated(refused, name, permission, first=link is None) from None
        page = answer.document(what)
        records = page.get("value") if isinstance(page, dict) else None
        if not isinstance(records, list):
            raise RetriableError(
                f"{what}: answered without a list of records; is there a proxy in between?",
                retry_after=_SOON,
            )
        yield from records
        link = page.get("@odata.nextLink")
        if not isinstance(link, str) or not link:
            return
