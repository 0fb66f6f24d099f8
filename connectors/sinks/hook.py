"""Posting to an address that is a secret itself, as those of webhooks are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from connectors.http.client import HttpClient
from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from connectors.http.answers import Answer
    from connectors.http.budget import Budget

_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SECONDS: Final = 30.0


class Hook:
    """Posts to one secret address, read anew each time: one that was changed is used at once.

    Args:
        what: is there, for messages.
        address: gives the address, ``https://...``; plain http only on this machine.
        ca_file: authorities to trust; None = the usual ones.
        budget: how often we may post.
    """

    def __init__(
        self,
        what: str,
        address: Callable[[], str],
        *,
        ca_file: Path | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._what, self._address = what, address
        self._ca_file, self._budget = ca_file, budget
        self._client: HttpClient | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body; gives every answer, whatever its status.

        Raises:
            ConfigError: the address cannot be read, or is none.
            ThrottledError: the budget is used up.
            RetriableError: no answer.
            AuthError: the certificate is not to be trusted.
        """
        address = self._address().strip()
        root = self._root(address)
        if self._client is None or self._client.root != root:
            self.close()
            self._client = HttpClient(
                self._what, root, ca_file=self._ca_file, budget=self._budget, timeout=_SECONDS
            )
        return self._client.post(address, body=body, headers=headers, any_status=True)

    def wait(self, answer: Answer) -> float | None:
        """Seconds that an answer asks to wait; None = it asks for none."""
        return None if self._client is None else self._client.wait(answer)

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()

    def _root(self, address: str) -> str:
        try:
            parts = urlsplit(address)
            host = parts.hostname
        except ValueError:
            host = None
        if not host or not (parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL)):
            raise ConfigError(
                f"{self._what}: its address must be https://HOST/...; look at the file or variable "
                "that holds it"
            )
        if parts.username is not None:
            raise ConfigError(
                f"{self._what}: its address must hold no user; look at the file or variable that "
                "holds it"
            )
        return f"{parts.scheme}://{parts.netloc}"
