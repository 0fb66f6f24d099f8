"""One report of Microsoft Graph: how it is asked for a window of time, and what a page holds."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from connectors.http.answers import RefusedError
from connectors.http.budget import Budget
from connectors.sources.graph_errors import Refusal, Refused, refusal_of
from pipeline.model.clock import parse_rfc3339, rfc3339
from pipeline.model.errors import RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.http.answers import Answer
    from connectors.http.client import HttpClient
    from pipeline.model.clock import Clock

PAGE_RECORDS: Final = 1000  # the most, and the default (signin-list.md)
DIGEST_BYTES: Final = 8
# Without it, values that were added to an enumeration later come as unknownFutureValue.
HEADERS: Final[Mapping[str, str]] = {"Prefer": "include-unknown-enum-members"}
_NEXT: Final = "@odata.nextLink"
_AGAIN_SECONDS: Final = 30.0
_PROBED: Final = timedelta(days=1)


def application_budget(*, monotonic: Callable[[], float] = time.monotonic) -> Budget:
    """What one application may ask of these reports over all tenants.

    122 requests in 10 s, by Microsoft's "Identity and access reports service limits"
    (microsoft-graph-docs-contrib, includes/throttling-entra-logs-reports.md).
    """
    return Budget(
        122, 10.0, "Microsoft Graph reports, this application's share", monotonic=monotonic
    )


def reports_budget(
    application: Budget | None = None, *, monotonic: Callable[[], float] = time.monotonic
) -> Budget:
    """What one application may ask of these reports in one tenant, sign-ins and audits together.

    Five requests in 10 s; the same origin as :func:`application_budget`, which ``application``
    is where several tenants are read.
    """
    return Budget(5, 10.0, "Microsoft Graph reports", within=application, monotonic=monotonic)


@dataclass(frozen=True, slots=True)
class Listing:
    """A report.

    Attributes:
        name: of the source that reads it, the key of its cursor.
        what: it holds, for messages.
        version: of Graph.
        path: below the version.
        time: field with the event's time, in RFC 3339.
        fields: what the normaliser reads of a record, asked for with ``$select``.
        told_apart: fields by which two records of one id are two, outer one first.
        condition: what a record has to fulfil beside its time, empty = nothing.
        otherwise: how else to get the records, where this way is not open.
    """

    name: str
    what: str
    version: str
    path: str
    time: str
    fields: tuple[str, ...]
    told_apart: tuple[str, ...]
    condition: str
    otherwise: str

    @property
    def who(self) -> str:
        """Who is asked for what, for messages."""
        return f"Microsoft Graph, {self.what} ({self.version})"

    @property
    def address(self) -> str:
        """Path of the first page."""
        return f"{self.version}/{self.path}"

    def query(
        self,
        start: datetime,
        end: datetime | None,
        *,
        whole: bool = False,
        most: int = PAGE_RECORDS,
    ) -> dict[str, str]:
        """Parameters that ask for ``start <= time < end``, newest first.

        Args:
            start: whole second, UTC.
            end: whole second, UTC; None = up to now.
            whole: all fields of a record, where the service takes no ``$select``.
            most: records on a page.
        """
        terms = [f"{self.time} ge {rfc3339(start)}"]
        if end is not None:
            terms.append(f"{self.time} lt {rfc3339(end)}")
        if self.condition:
            terms.append(self.condition)
        asked = {"$filter": " and ".join(terms), "$top": str(most)}
        if not whole:
            asked["$select"] = ",".join(self.fields)
        return asked

    def refusal(self, refused: RefusedError, *, first_page: bool = True) -> Refusal:
        """What a refusal of this report means."""
        return refusal_of(refused, self.who, self.otherwise, first_page=first_page)

    def digest(self, record: Any, key: bytes) -> bytes:
        """Eight bytes that are the same for the same record with the same outcome.

        Args:
            record: as parsed.
            key: secret, so that nobody can look for a record by its digest.
        """
        ident = record.get("id") if isinstance(record, dict) else None
        if isinstance(ident, str) and ident:
            found: Any = record
            for name in self.told_apart:
                found = found.get(name) if isinstance(found, dict) else None
            text = json.dumps([ident, found])
        else:
            text = json.dumps(record, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES, key=key).digest()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a report: parsed records, the link to the next page or None, and the body."""

    records: list[Any]
    next_link: str | None
    body: bytes

    def only(self, numbers: list[int]) -> bytes:
        """A body that holds these of the records only; the service's own if that is all."""
        if len(numbers) == len(self.records):
            return self.body
        return json.dumps({"value": [self.records[n] for n in numbers]}).encode()


def page_of(answer: Answer, who: str) -> Page:
    """What an answer holds.

    Raises:
        RetriableError: it is no page.
    """
    try:
        document = answer.document(who)
    except RecursionError:
        document = None
    records = document.get("value") if isinstance(document, dict) else None
    link = document.get(_NEXT) if isinstance(document, dict) else None
    if not isinstance(records, list) or not isinstance(link, str | None):
        raise RetriableError(
            f"{who}: answered HTTP {answer.status} without a list of records; if that goes on, look "
            "at what stands between this machine and Graph",
            retry_after=_AGAIN_SECONDS,
        )
    return Page(records, link or None, answer.body)


@dataclass(frozen=True, slots=True)
class Probe:
    """What one small request told of the access to a report.

    Attributes:
        refusal: why there is none, None = there is.
        newest: time of the newest record of the last day, None = there is none.
        skew: how far Graph's clock is ahead of ours.
        whole: whether the service takes no ``$select``.
    """

    refusal: Refusal | None = None
    newest: datetime | None = None
    skew: timedelta = timedelta(0)
    whole: bool = False


def probe(client: HttpClient, listing: Listing, clock: Clock) -> Probe:
    """Ask for one record of the last day: at most two requests, a few hundred bytes.

    Raises:
        ThrottledError: not now.
        RetriableError: no answer, or a failure of the service's own.
        AuthError: no token, or Graph refuses it.
    """
    start = clock.now().replace(microsecond=0) - _PROBED
    # Two fields only: the answer may be looked at by people.
    narrow = replace(listing, fields=("id", listing.time))
    for whole in (False, True):
        asked = narrow.query(start, None, whole=whole, most=1)
        try:
            answer = client.get(listing.address, params=asked, headers=HEADERS)
        except RefusedError as refused:
            refusal = listing.refusal(refused)
            if refusal.kind is Refused.SELECT and not whole:
                continue
            return Probe(refusal=refusal, skew=client.skew, whole=whole)
        page = page_of(answer, listing.who)
        times = [t for r in page.records if (t := _time(r, listing.time)) is not None]
        return Probe(newest=max(times, default=None), skew=client.skew, whole=whole)
    raise AssertionError  # the second round returns


def _time(record: Any, field: str) -> datetime | None:
    text = record.get(field) if isinstance(record, dict) else None
    try:
        return parse_rfc3339(text) if isinstance(text, str) else None
    except ValueError:
        return None
