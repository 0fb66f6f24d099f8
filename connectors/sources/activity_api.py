"""The operations of the Management Activity API that a reader needs, one call each.

Source: Microsoft's reference of the Office 365 Management Activity API.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from connectors.http.answers import RefusedError
from connectors.http.paging import PagingGuard
from connectors.sources.activity_errors import (
    ALREADY_ENABLED,
    MEANINGS,
    RESTART_SECONDS,
    SERVICE,
    translated,
    without_permission,
)
from pipeline.model.clock import parse_rfc3339
from pipeline.model.errors import AuthError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.http.answers import Answer
    from connectors.http.client import HttpClient

# "All organizations are initially allocated a baseline of 2,000 requests per minute"; E5 has
# about twice as much. For the budget that all readers of a tenant share.
QUOTA_REQUESTS: Final = 2_000
QUOTA_SECONDS: Final = 60.0
# "no more than 24 hours apart, with the start time no more than 7 days in the past"
LONGEST: Final = timedelta(hours=24)
KEPT: Final = timedelta(days=7)
# "it can take up to 12 hours for the first content blobs to become available"
FIRST_CONTENT: Final = timedelta(hours=12)

_PUBLISHER: Final = "PublisherIdentifier"
# The reference names the header NextPageUri, the troubleshooting page NextPageUrl.
_NEXT: Final = ("nextpageuri", "nextpageurl")
_MOST_PAGES: Final = 1_000
_RETRY_SECONDS: Final = 60.0
_UNSURE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Content:
    """One blob as it is listed; the times are those of its availability.

    Attributes:
        kind: of content: ``Audit.Exchange``.
        name: the service's contentId.
        link: to fetch it by.
        created: when it became available.
        expires: when it is no longer.
    """

    kind: str
    name: str
    link: str
    created: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class Listing:
    """Blobs of a stretch, oldest first; ``whole`` = all of them, else pages were left."""

    contents: tuple[Content, ...]
    whole: bool
    pages: int


class ActivityApi:
    """Asks the API for one tenant.

    Args:
        client: speaks to the cloud's host with tokens for it.
        tenant: id of the tenant, a GUID.
        publisher: GUID whose quota counts; None = the tenant's own. Without any, all callers
            of the world share one.
    """

    def __init__(self, client: HttpClient, *, tenant: str, publisher: str | None = None) -> None:
        self._client = client
        self._feed = f"api/v1.0/{tenant}/activity/feed"
        self._publisher = publisher or tenant

    @property
    def ahead(self) -> timedelta:
        """How far the service's clock is ahead of ours, by its last answer; never less than 0."""
        return max(self._client.skew, timedelta(0))

    @property
    def behind(self) -> timedelta:
        """How far it is behind ours; 0 for what the seconds of its answers cannot tell."""
        return -self._client.skew if self._client.skew < -_UNSURE else timedelta(0)

    def subscriptions(self) -> dict[str, str]:
        """Status by kind of content: ``enabled``, ``disabled``.

        Raises:
            OutriderError: by :mod:`connectors.sources.activity_errors`; so do all others here.
        """
        answer = self._ask("", self._client.get, f"{self._feed}/subscriptions/list")
        found = answer.document(f"{SERVICE}, subscriptions")
        entries = [e for e in _list(found, "subscriptions") if "contentType" in e]
        # The reference's own sample has an entry without a status: it is an enabled one.
        return {e["contentType"]: str(e.get("status") or "enabled").lower() for e in entries}

    def start(self, kind: str) -> None:
        """Start a subscription; one that is enabled already is no error.

        Raises:
            RetriableError: it was stopped or started less than 15 minutes ago.
        """
        params = {"contentType": kind, _PUBLISHER: self._publisher}
        try:
            self._client.post(f"{self._feed}/subscriptions/start", params=params)
        except RefusedError as refused:
            if refused.code == ALREADY_ENABLED:
                return
            error = translated(refused, kind)
            if (
                refused.code in MEANINGS
                or isinstance(error, AuthError)
                or "audit log" in str(error)
            ):
                raise error from None
            raise RetriableError(
                f"{SERVICE}, {kind}: the subscription cannot be started now; if it was stopped or "
                "started less than 15 minutes ago, it starts after these",
                retry_after=RESTART_SECONDS,
            ) from None
        except AuthError as error:
            raise without_permission(error, kind) from None

    def listing(self, kind: str, start: datetime, end: datetime, most: int) -> Listing:
        """What became available in [start, end), both on full seconds, in up to ``most`` pages."""
        what = f"{SERVICE}, list of {kind}"
        params = {
            "contentType": kind,
            "startTime": f"{start.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
            "endTime": f"{end.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
        }
        guard, pages, found = PagingGuard(what, _MOST_PAGES), 1, dict[str, Content]()
        answer = self._ask(kind, self._client.get, f"{self._feed}/subscriptions/content", params)
        while True:
            for entry in _list(answer.document(what), what):
                content = _content(entry, kind, start)
                found.setdefault(content.name, content)
            link = next((answer.headers[n] for n in _NEXT if answer.headers.get(n)), None)
            if link is None or pages >= most:
                break
            answer = self._ask(kind, self._client.get, guard.follow(link))
            pages += 1
        # "in the order in which the aggregations become available": not relied upon.
        ordered = sorted(found.values(), key=lambda c: (c.created, c.name))
        return Listing(tuple(ordered), link is None, pages)

    def blob(self, content: Content) -> bytes:
        """The records of a blob, as they are sent."""
        return self._ask(content.kind, self._client.get, content.link).body

    def _ask(
        self,
        kind: str,
        ask: Callable[..., Answer],
        path: str,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        # A link is followed as given, but for who asks: links of the service leave it out.
        told = _PUBLISHER.lower() in path.lower()
        who = {} if told else {_PUBLISHER: self._publisher}
        try:
            return ask(path, params={**(params or {}), **who})
        except RefusedError as refused:
            raise translated(refused, kind) from None
        except AuthError as error:
            raise without_permission(error, kind) from None


def _list(document: Any, what: str) -> list[dict[str, Any]]:
    if isinstance(document, list) and all(isinstance(entry, dict) for entry in document):
        return document
    raise RetriableError(
        f"{what}: answered something else than a list; is there a proxy in between?",
        retry_after=_RETRY_SECONDS,
    )


def _content(entry: Mapping[str, Any], kind: str, start: datetime) -> Content:
    name, link = entry.get("contentId"), entry.get("contentUri")
    if not isinstance(name, str) or not isinstance(link, str) or not name or not link:
        raise RetriableError(
            f"{SERVICE}, list of {kind}: a blob without contentId or contentUri",
            retry_after=_RETRY_SECONDS,
        )
    created = _moment(entry.get("contentCreated")) or start
    return Content(
        kind, name, link, created, _moment(entry.get("contentExpiration")) or created + KEPT
    )


def _moment(value: Any) -> datetime | None:
    try:
        return parse_rfc3339(str(value))
    except ValueError:
        return None
