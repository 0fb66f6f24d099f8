"""Errors as problem documents (RFC 9457), and the form of every other answer."""

from __future__ import annotations

import hashlib
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

PROBLEM: Final = "application/problem+json"
_MAXIMUM_TAGS: Final = 100


class ProblemError(Exception):
    """An answer other than the one that was asked for.

    Args:
        status: of HTTP.
        detail: what is wrong and what helps.
        headers: to send with it.
        more: members beside those of RFC 9457.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers, self.more = dict(headers or {}), dict(more or {})

    def response(self) -> Response:
        """The problem document."""
        told = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(_bytes(told), self.status, headers, PROBLEM)


def json_response(
    request: Request, value: Any, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with its ETag; 304 if the asker has it already (``If-None-Match``)."""
    body = _bytes(value)
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    told = {"ETag": tag, "Cache-Control": "private, no-cache", **(headers or {})}
    if has_tag(request.headers.getlist("if-none-match"), tag):
        return Response(None, HTTPStatus.NOT_MODIFIED, told)
    return Response(body, HTTPStatus.OK, told, "application/json")


def _bytes(value: Any) -> bytes:
    # Escapes beyond ASCII: no mark that turns text around, no half of a surrogate pair.
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def has_tag(given: list[str], tag: str) -> bool:
    """Whether the headers ``If-None-Match`` name an ETag."""
    found = [t.strip().removeprefix("W/") for t in ",".join(given).split(",", _MAXIMUM_TAGS)]
    return "*" in found or tag in found
