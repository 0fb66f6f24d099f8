"""What services answer: with success, or with a failure that is one of ours.

No message holds a service's own words: they may quote what was sent.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.errors import FatalError, RetriableError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRY_SECONDS: Final = 30.0
# A service that names an hour means it; one that names a year has a broken clock.
MOST_RETRY_SECONDS: Final = 3600.0
_CODE: Final = re.compile(r"[^A-Za-z0-9_.-]")
_CODE_IN_XML: Final = re.compile(r"<Code>\s*([A-Za-z0-9]{1,80})\s*</Code>")
# Azure Storage says so when an account is asked more than it may be.
_BUSY: Final = "ServerBusy"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered.

    Attributes:
        url: that was asked; it may hold a secret, as that of a webhook does.
        status: of HTTP.
        headers: by name in lower case.
        body: unpacked; it may quote what was sent.
    """

    url: str = field(repr=False)
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def document(self, what: str) -> Any:
        """The body as JSON.

        Raises:
            RetriableError: it is none; ``what`` was asked for.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise RetriableError(
                f"{what}: answered HTTP {self.status} without JSON; is there a proxy in between?",
                retry_after=RETRY_SECONDS,
            ) from None


class RefusedError(FatalError):
    """A request that the service refuses, and will refuse again as it stands.

    Attributes:
        status: of HTTP.
        code: of the service, empty if it gave none.
        text: the service's words, for whoever tells refusals apart; never to be shown, as
            they may quote what was sent.
    """

    def __init__(self, message: str, *, status: int, code: str, text: str) -> None:
        super().__init__(message)
        self.status, self.code, self.text = status, code, text


def failure(what: str, answer: Answer, now: datetime) -> Exception:
    """What to raise for an answer that is no success.

    Args:
        what: was asked, for messages.
        answer: of any status from 300 on.
        now: by the service's clock.
    """
    text = answer.body[:4096].decode("utf-8", "replace")
    code = error_code(text) or _CODE.sub("", answer.headers.get("x-ms-error-code", ""))[:80]
    wait = _seconds(answer.headers.get("retry-after", "").strip(), now)
    # The Management Activity API throttles with 403 and a body in single quotes.
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS or "AF429" in text or code == _BUSY:
        return ThrottledError(f"{what}: asked too often", retry_after=wait)
    passing = answer.status == HTTPStatus.REQUEST_TIMEOUT
    if passing or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return RetriableError(
            f"{what}: a failure of its own (HTTP {answer.status}{told_code(code)})",
            retry_after=wait,
        )
    return RefusedError(
        f"{what}: refused with HTTP {answer.status}{told_code(code)}",
        status=answer.status,
        code=code,
        text=text,
    )


def asked_to_wait(answer: Answer, now: datetime) -> float | None:
    """Seconds that an answer asks to wait; None = it asks for none.

    Args:
        answer: of any status.
        now: by the service's clock.
    """
    text = answer.headers.get("retry-after", "").strip()
    return _seconds(text, now) if text else None


def _seconds(text: str, now: datetime) -> float:
    """Seconds that Retry-After asks for: a number, or a date by the service's clock."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(text)
    else:
        try:
            seconds = (parse_http_date(text) - now).total_seconds()
        except ValueError:
            return RETRY_SECONDS
    return min(max(seconds, 0.0), MOST_RETRY_SECONDS)


def error_code(text: str) -> str:
    """The code in an error's body: ``{"error": {"code": ...}}``, that with single quotes, or XML.

    >>> error_code('{"error": {"code": "Authorization_RequestDenied", "message": "..."}}')
    'Authorization_RequestDenied'
    >>> error_code("{'error':{'code':'AF429','message':'Too many requests'}}")
    'AF429'
    >>> error_code("<?xml version='1.0'?><Error><Code>ContainerNotFound</Code></Error>")
    'ContainerNotFound'
    """
    found = _CODE_IN_XML.search(text)
    if found is not None:
        return found[1]
    try:
        error = json.loads(text)["error"]
        code = error["code"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        match = re.search(r"""['"]code['"]\s*:\s*['"]([^'"]{1,80})""", text)
        code = "" if match is None else match[1]
    return _CODE.sub("", str(code))[:80]


def parse_http_date(text: str) -> datetime:
    """A date of a header, in UTC.

    Raises:
        ValueError: it is none.
    """
    told = parsedate_to_datetime(text)
    return told.replace(tzinfo=told.tzinfo or UTC).astimezone(UTC)


def told_code(code: str) -> str:
    """A code behind a status, in messages.

    >>> f"HTTP 403{told_code('AF10001')}"
    'HTTP 403, AF10001'
    """
    return f", {code}" if code else ""
