"""What a public status page says now: RSS 2.0, or the JSON of status.cloud.microsoft.

Forms read in public code and records: RSS with an element ``status`` in each item
(``/api/feed/mac``), one JSON object with Id, Title, Message, Status, AuthoredDateTime
(``/api/posts/mac``), an array of such with ServiceDisplayName (``/api/posts/m365Consumer``), and
RSS of Azure, whose items have no status and are taken away when they are over. Their times
``LastUpdatedTime`` and, beside a status, ``pubDate`` are those of the request: no news.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from connectors.advisories.issue import lower_names, parse_time, text_of
from connectors.advisories.text import plain

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MOST_BYTES: Final = 4 * 2**20
_MOST_ENTRIES: Final = 100
_MOST_TEXT: Final = 4000
_WELL: Final = frozenset({"available", "operational", "servicerestored", "resolved"})


class FormError(Exception):
    """The answer is no status feed; the message says what it is instead, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a status page.

    Attributes:
        name: what tells it apart from the others of the page.
        title, text: plain.
        status: as the page words it, empty where it tells none.
        published_at: None where the page tells none that means anything.
        consumer: whether it is about a service for private persons.
    """

    name: str
    title: str
    text: str
    status: str
    published_at: datetime | None
    consumer: bool = False

    @property
    def well(self) -> bool:
        """Whether it says that nothing is wrong."""
        return self.status.replace(" ", "").casefold() in _WELL


def read_entries(body: bytes) -> list[Entry]:
    """The entries of a status page.

    Raises:
        FormError: the body is larger than 4 MiB, declares a document type or entities, or is
            neither RSS nor that JSON.
    """
    if len(body) > MOST_BYTES:
        raise FormError(f"it is larger than {MOST_BYTES >> 20} MiB")
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start in {b"{", b"["}:
        return _of_json(body)
    return _of_rss(body)


def _of_json(body: bytes) -> list[Entry]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise FormError("it is broken JSON") from None
    records = data if isinstance(data, list) else [data]
    entries = [_post(r) for r in records[:_MOST_ENTRIES]]
    found = [e for e in entries if e is not None]
    if records and not found:
        raise FormError("it is JSON without a Status in it")
    return found


def _post(record: Any) -> Entry | None:
    fields = lower_names(record) if isinstance(record, dict) else {}
    status, service = text_of(fields, "status"), plain(text_of(fields, "servicedisplayname"))
    if not status:
        return None
    authored = parse_time(text_of(fields, "authoreddatetime"))
    title = plain(text_of(fields, "title"))
    return Entry(
        name=service or "post",
        title=": ".join(t for t in (service, title) if t) or "Microsoft 365",
        text=plain(text_of(fields, "message")[:_MOST_TEXT]),
        status=status,
        # "0001-01-01" is how .NET writes that there is none.
        published_at=authored if authored is not None and authored.year > 2000 else None,
        consumer=bool(service),
    )


def _of_rss(body: bytes) -> list[Entry]:
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except DefusedXmlException:
        raise FormError("it declares a document type or entities, which no feed needs") from None
    except (ParseError, ValueError, LookupError, RecursionError):
        raise FormError("it is neither RSS nor JSON; a web page, perhaps") from None
    channel = root.find("channel")
    if root.tag != "rss" or channel is None or channel.find("title") is None:
        raise FormError("it is XML, and no RSS 2.0")
    return [_item(item) for item in channel.findall("item")[:_MOST_ENTRIES]]


def _item(item: Element) -> Entry:
    title = plain(_child(item, "title"))
    status = _child(item, "status")
    # An item with a status is a place that is always there, and gets a new guid by each post.
    name = title if status else _child(item, "guid") or _child(item, "link") or title
    return Entry(
        name=name or "item",
        title=title,
        text=plain(_child(item, "description")[:_MOST_TEXT]),
        status=status,
        published_at=None if status else _time(_child(item, "pubDate")),
    )


def _child(item: Element, tag: str) -> str:
    return (item.findtext(tag) or "").strip()


def _time(text: str) -> datetime | None:
    """A date of RSS, ``Thu, 23 Jul 2026 16:29:09 Z``, or of Atom."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return parse_time(text)
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
