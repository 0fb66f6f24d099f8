"""Searches of the audit log through Microsoft Graph, one call each, and what refusals mean.

Sources: Microsoft Graph's reference of auditLogQuery (create, get, list records). What it leaves
out is as public programs have met it: where v1.0 is not offered the answer is a 404 and beta does
it (graph2otel); a search may take most of an hour, many at once get 400 or 429 (issues 55 and 60
of microsoft/AI-in-One-Dashboard); without an audit log the word is AuditingDisabledTenant (issue
62 there); userId of a record is the UserKey of the schema, its auditData the record of the
Management Activity API.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from connectors.http.answers import RefusedError
from connectors.sources.graph_listing import Page, page_of
from pipeline.model.clock import rfc3339
from pipeline.model.errors import AuthError, FatalError, OutriderError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from connectors.http.answers import Answer
    from connectors.http.client import HttpClient

SERVICE: Final = "Microsoft Graph audit log query"
PERMISSION: Final = "AuditLogsQuery.Read.All"
# The kinds of record that tell of access to mailboxes.
RECORD_TYPES: Final = ("exchangeItem", "exchangeItemGroup", "exchangeItemAggregated")
Version: TypeAlias = Literal["v1.0", "beta"]
VERSIONS: Final[tuple[Version, ...]] = ("v1.0", "beta")

_MOST_ON_A_PAGE: Final = "1000"  # 150 if nothing is said
_GONE: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_DISABLED: Final = "AuditingDisabledTenant"
_RETRY_SECONDS: Final = 60.0


class QueryLostError(RetriableError):
    """The service knows a search no more, or refuses to go on with it."""


@dataclass(frozen=True, slots=True)
class State:
    """How a search does.

    Attributes:
        status: ``notStarted``, ``running``, ``succeeded``, ``failed``, ``cancelled``.
        cut: whether it found more records than it gives.
    """

    status: str
    cut: bool


class AuditQueryApi:
    """Asks Microsoft Graph as one tenant.

    Args:
        client: speaks to Graph with tokens for it.
        record_types: to search for.
    """

    def __init__(self, client: HttpClient, record_types: Sequence[str] = RECORD_TYPES) -> None:
        self._client, self._record_types = client, list(record_types)

    @property
    def behind(self) -> timedelta:
        """How far Graph's clock is behind ours, by its last answer; never less than 0."""
        return max(-self._client.skew, timedelta(0))

    def create(self, start: datetime, end: datetime, first: Version) -> tuple[str, Version]:
        """Begin a search for what happened in [start, end).

        Args:
            start: on a full second.
            end: on a full second.
            first: version of Graph to try first.

        Returns:
            Its id, and the version that offers it.

        Raises:
            AuthError, FatalError: it is refused.
            ThrottledError: there are too many searches.
        """
        body = {
            "displayName": f"outrider {rfc3339(start)}",
            "filterStartDateTime": rfc3339(start),
            "filterEndDateTime": rfc3339(end),
            "recordTypeFilters": self._record_types,
        }
        for version in sorted(VERSIONS, key=lambda v: v != first):
            try:
                answer = self._client.post(_path(version), document=body)
            except RefusedError as refused:
                if refused.status != HTTPStatus.NOT_FOUND:
                    raise translated(refused) from None
            else:
                name = _object(answer).get("id")
                if isinstance(name, str) and name:
                    return name, version
                raise _odd()
        raise FatalError(
            f"{SERVICE}: neither v1.0 nor beta offers it (HTTP 404); it is not in every cloud: read "
            "the Management Activity API (collect.activity) instead"
        )

    def state(self, name: str, version: Version) -> State:
        """How a search does.

        Raises:
            QueryLostError: it is not known any more.
        """
        found = _object(self._get(f"{_path(version)}/{name}"))
        status = found.get("status")
        if not isinstance(status, str):
            raise _odd()
        return State(status, found.get("isRecordCountLimitExceeded") is True)

    def page(self, name: str, version: Version, link: str | None) -> Page:
        """Records of a search that succeeded: the first page, or the one a link leads to.

        Raises:
            QueryLostError: the search, or the link, is not good any more.
        """
        if link is not None:
            return page_of(self._get(link), SERVICE)
        return page_of(self._get(f"{_path(version)}/{name}/records", top=True), SERVICE)

    def probe(self) -> None:
        """See that searches may be made, without making one.

        Raises:
            AuthError: the permission is missing, or the token refused.
            FatalError: it is not offered here.
        """
        for version in VERSIONS:
            try:
                self._client.get(_path(version), params={"$top": "1"})
            except RefusedError as refused:
                if refused.status != HTTPStatus.NOT_FOUND or version == VERSIONS[-1]:
                    raise translated(refused) from None
            else:
                return

    def _get(self, path: str, *, top: bool = False) -> Answer:
        try:
            return self._client.get(path, params={"$top": _MOST_ON_A_PAGE} if top else None)
        except RefusedError as refused:
            if refused.status in _GONE and _DISABLED not in refused.text:
                raise QueryLostError(
                    f"{SERVICE}: a search is lost (HTTP {refused.status}); it is made anew",
                    retry_after=_RETRY_SECONDS,
                ) from None
            raise translated(refused) from None


def translated(refused: RefusedError) -> OutriderError:
    """What to raise for a refusal; the service's own words are left out."""
    if _DISABLED in refused.text:
        return FatalError(
            f"{SERVICE}: the tenant has no audit log ({_DISABLED}): turn it on (Purview: Audit, "
            "Start recording) and wait up to a day"
        )
    if refused.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return AuthError(
            f"{SERVICE}: refused (HTTP {refused.status}): give the application the application "
            f"permission {PERMISSION} of Microsoft Graph, and have an administrator consent"
        )
    if refused.status == HTTPStatus.BAD_REQUEST:
        return FatalError(
            f"{SERVICE}: refuses the search (HTTP 400): check that Purview Audit is licensed for the "
            "tenant, and set this machine's clock; else report it"
        )
    if refused.status == HTTPStatus.NOT_FOUND:
        return FatalError(f"{SERVICE}: it is not offered here (HTTP 404): check tenant and cloud")
    return FatalError(
        f"{SERVICE}: refused with HTTP {refused.status}: look at what stands between this machine "
        "and Microsoft Graph, and report it"
    )


def _path(version: Version) -> str:
    return f"{version}/security/auditLog/queries"


def _object(answer: Answer) -> dict[str, Any]:
    found = answer.document(SERVICE)
    if not isinstance(found, dict):
        raise _odd()
    return found


def _odd() -> RetriableError:
    return RetriableError(
        f"{SERVICE}: answered something else than a search; is there a proxy in between?",
        retry_after=_RETRY_SECONDS,
    )
