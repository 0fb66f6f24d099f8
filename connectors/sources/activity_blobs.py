"""Blobs of audit records: fetched side by side, and had whole or not at all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from connectors.sources.activity_errors import DAMAGED, FAILING, ContentError, SubscriptionError
from connectors.sources.structure import first_ends
from connectors.sources.unpacking import PIECE
from pipeline.model.errors import OutriderError, RetriableError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.sources.activity_api import ActivityApi, Content

# Enough to hide the way to the service and back; the quota allows 33 requests in a second.
THREADS: Final = 4
_ARRAY: Final = b"["
_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of some blobs.

    Attributes:
        got: those that came whole, with their bytes.
        failed: those that did not, with the reason: a code of the service, or one of ours.
        error: why the rest was not asked for, None if all were.
    """

    got: list[tuple[Content, bytes]]
    failed: list[tuple[Content, str]]
    error: OutriderError | None


class _Fetching:
    """One round of :func:`fetch`, shared by its threads."""

    def __init__(self, api: ActivityApi) -> None:
        self._api = api
        self._stop = threading.Event()
        self.errors: list[OutriderError] = []

    def __call__(self, content: Content) -> bytes | str | None:
        """The bytes of a blob, or why it alone cannot be had, or None = not asked for."""
        if self._stop.is_set():
            return None
        try:
            return self._api.blob(content)
        except ContentError as error:
            return error.code
        except OutriderError as error:
            general = not isinstance(error, RetriableError)
            if not general and not isinstance(error, (ThrottledError, SubscriptionError)):
                return FAILING
            self.errors.append(error)
            self._stop.set()
            return None


def fetch(api: ActivityApi, contents: Sequence[Content]) -> Fetched:
    """Fetch blobs, a few at a time; stops at the first error that is not of one blob alone."""
    fetching = _Fetching(api)
    with ThreadPoolExecutor(THREADS, "activity") as pool:
        results = list(pool.map(fetching, contents))
    fetched = Fetched([], [], fetching.errors[0] if fetching.errors else None)
    for content, result in zip(contents, results, strict=True):
        if isinstance(result, str):
            fetched.failed.append((content, result))
        elif isinstance(result, bytes):
            body = result.removeprefix(_BOM).strip(_BLANK)
            if is_whole(body):
                fetched.got.append((content, body))
            else:
                fetched.failed.append((content, DAMAGED))
    return fetched


def is_whole(body: bytes) -> bool:
    """Whether this is one array from its first bracket to its last.

    A record inside that is no JSON does not make it less: it comes so again, and is set aside.

    >>> is_whole(b'[{"a": "]"}]'), is_whole(b'[{"a": 1}, {"a'), is_whole(b'{"error": {}}')
    (True, False, False)
    """
    if not body.startswith(_ARRAY):
        return False
    found = first_ends(bytearray(body), 0, len(body), PIECE)
    return found.ends == [len(body)]
