"""Azure Storage as far as it is read here: lists of blobs, and pieces of them.

Lists are XML, which is read only if it has no document type: without one, the parser of the
standard library has nothing to expand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from connectors.http.answers import RefusedError, parse_http_date
from connectors.http.paging import PagingGuard
from connectors.sources.blob_errors import explained
from pipeline.model.errors import RetriableError

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.http.answers import Answer
    from connectors.http.client import HttpClient

# Any since 2017 takes tokens, and answers what is asked here alike.
_VERSION: Final = "2021-12-02"
_MOST_PAGES: Final = 200
_MOST_XML: Final = 32 * 2**20
_AGAIN_SECONDS: Final = 30.0
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/")
_GONE: Final = frozenset({"BlobNotFound", "ResourceNotFound"})
_ARCHIVED: Final = frozenset({"BlobArchived", "BlobBeingRehydrated"})


class BlobGoneError(Exception):
    """A blob cannot be read any more; ``args`` says why, in words."""


class BlobShrunkError(Exception):
    """A blob has fewer bytes than its list told."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob in a list.

    Attributes:
        name: within its container.
        size: bytes.
        etag: changes with each change.
        changed: when it was last written to; None = not told.
    """

    name: str
    size: int
    etag: str
    changed: datetime | None


@dataclass(slots=True)
class Listing:
    """What a list holds; ``folders`` are what names have in common up to a slash."""

    blobs: list[Blob]
    folders: list[str]


class BlobApi:
    """Asks one storage account.

    Args:
        http: client of ``https://ACCOUNT.blob...``, with tokens or with a signature.
        by_signature: whether a shared access signature goes with each request.

    Attributes:
        requests: made so far.
    """

    def __init__(self, http: HttpClient, *, by_signature: bool) -> None:
        self._http, self._by_signature = http, by_signature
        self.where = f"storage account at {urlsplit(http.root).netloc}"
        self.requests = 0

    def find(self, container: str, prefix: str, *, folders: bool = False) -> Listing:
        """All blobs whose names begin with ``prefix``.

        Args:
            container: to look in.
            prefix: may be empty.
            folders: whether to stop at the next slash of the names.

        Raises:
            AuthError, FatalError: refused; the message tells what to do.
            RetriableError: no answer, or not now.
        """
        told = {"restype": "container", "comp": "list", "prefix": prefix}
        if folders:
            told["delimiter"] = "/"
        guard = PagingGuard(f"{self.where}: list of {container}", _MOST_PAGES)
        whole = Listing([], [])
        marker = ""
        while True:
            more = {"marker": guard.follow(marker)} if marker else {}
            answer = self._get(container, "", {**told, **more}, {"Accept": "application/xml"})
            marker = self._add(whole, answer.body, container)
            if not marker:
                return whole

    def read(self, container: str, name: str, start: int, stop: int) -> bytes:
        """Bytes ``start`` to ``stop`` of a blob.

        Raises:
            BlobGoneError: it is deleted or archived.
            BlobShrunkError: it is shorter by now.
            AuthError, FatalError: refused; the message tells what to do.
            RetriableError: no answer, or not now.
        """
        wanted = {
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Range": f"bytes={start}-{stop - 1}",
        }
        answer = self._get(container, name, {}, wanted)
        body = answer.body
        if answer.status == HTTPStatus.PARTIAL_CONTENT:
            told = _RANGE.match(answer.headers.get("content-range", ""))
            if told is None or int(told[1]) != start:
                raise self._odd("another part of a blob than was asked for")
        else:
            body = body[start:stop]
        if len(body) < stop - start:
            raise BlobShrunkError
        return body[: stop - start]

    def _get(
        self, container: str, name: str, params: dict[str, str], headers: dict[str, str]
    ) -> Answer:
        self.requests += 1
        path = quote(f"{container}/{name}".rstrip("/"), safe="/=")
        try:
            return self._http.get(
                path, params=params, headers={"x-ms-version": _VERSION, **headers}
            )
        except RefusedError as refused:
            if name and refused.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise BlobShrunkError from None
            if name and refused.code in _GONE:
                raise BlobGoneError("it was deleted before it was read") from None
            if name and refused.code in _ARCHIVED:
                raise BlobGoneError("it was moved to the archive before it was read") from None
            # The refusal itself would carry the service's words.
            raise explained(
                refused, self.where, container, by_signature=self._by_signature
            ) from None

    def _add(self, listing: Listing, body: bytes, container: str) -> str:
        """Take a page of a list in; gives the marker of the next, empty if it was the last."""
        if len(body) > _MOST_XML or b"<!DOCTYPE" in body.upper() or b"\0" in body:
            raise self._odd("no list of blobs")
        try:
            root = ET.fromstring(body)  # noqa: S314 # bounded, and without a document type
            for found in root.iterfind("Blobs/Blob"):
                listing.blobs.append(_blob(found))
            names = (found.findtext("Name") for found in root.iterfind("Blobs/BlobPrefix"))
            listing.folders += [name for name in names if name]
        except (ET.ParseError, ValueError, TypeError):
            raise self._odd(f"a list of {container} that cannot be read") from None
        if root.tag != "EnumerationResults":
            raise self._odd("no list of blobs")
        return root.findtext("NextMarker") or ""

    def _odd(self, what: str) -> RetriableError:
        return RetriableError(
            f"{self.where}: answered with {what}; is there a proxy in between?",
            retry_after=_AGAIN_SECONDS,
        )


def _blob(found: ET.Element) -> Blob:
    def told(name: str) -> str:
        return found.findtext(f"Properties/{name}") or ""

    changed = told("Last-Modified")
    return Blob(
        name=found.findtext("Name") or "",
        size=int(told("Content-Length")),
        etag=told("Etag"),
        changed=parse_http_date(changed) if changed else None,
    )
