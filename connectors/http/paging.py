"""Pages that a service links one to the next: followed as given, never in circles."""

from __future__ import annotations

from typing import Final

from pipeline.model.errors import RetriableError

_RETRY_SECONDS: Final = 60.0


class PagingGuard:
    """Watches the links of one listing.

    Args:
        what: is listed, for messages.
        most: pages that a listing may have.
    """

    def __init__(self, what: str, most: int) -> None:
        self._what, self._most = what, most
        self._seen: set[str] = set()

    def follow(self, link: str) -> str:
        """The link to ask for next, as it was given.

        Raises:
            RetriableError: it was followed before, or there are too many.
        """
        if link in self._seen:
            raise RetriableError(
                f"{self._what}: page {len(self._seen) + 1} links to a page that was read already; "
                "the listing starts anew",
                retry_after=_RETRY_SECONDS,
            )
        if len(self._seen) >= self._most:
            raise RetriableError(
                f"{self._what}: more than {self._most} pages; the listing starts anew",
                retry_after=_RETRY_SECONDS,
            )
        self._seen.add(link)
        return link
