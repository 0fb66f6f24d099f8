"""Shared access signatures of Azure Storage: read by reference, and held to what we need.

``sv=...&ss=b&srt=co&sp=rl&se=...&sig=...`` of an account, or ``sv=...&sr=c&sp=rl&se=...&sig=...``
of one container. No message quotes any of it but its dates.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from pipeline.model.clock import SystemClock, rfc3339
from pipeline.model.errors import AuthError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.model.clock import Clock

_WHAT: Final = "the shared access signature of the storage account"
_MAKE: Final = (
    "make one under Shared access signature of the account: service Blob, resource types Container "
    "and Object, permissions Read and List"
)
_NEEDED: Final = {
    "ss": ("b", "is not for the service Blob"),
    "srt": ("co", "lacks the resource types Container and Object"),
    "sp": ("rl", "lacks the permissions Read and List"),
}
_WHOLE: Final = frozenset({"c", "d"})  # a container, or a folder in one


class SharedAccess:
    """Gives the parameters that go with each request.

    Args:
        read: gives the signature, and is asked anew for each request.
        clock: tells whether it has expired.
    """

    def __init__(self, read: Callable[[], str], clock: Clock | None = None) -> None:
        self._read = read
        self._clock: Clock = clock or SystemClock()

    def __call__(self) -> Mapping[str, str]:
        """The parameters.

        Raises:
            ConfigError: it is no shared access signature.
            AuthError: it has expired, or does not allow to list and to read.
        """
        parameters = _taken_apart(self._read().strip().strip("\"'"))
        now = self._clock.now()
        ends, begins = _moment(parameters, "se"), _moment(parameters, "st")
        if ends is not None and ends <= now:
            raise AuthError(f"{_WHAT}: has expired at {rfc3339(ends)}; {_MAKE}")
        if begins is not None and begins > now:
            raise AuthError(f"{_WHAT}: is not valid before {rfc3339(begins)}; wait, or {_MAKE}")
        if parameters.get("sr", "c") not in _WHOLE:
            raise AuthError(f"{_WHAT}: is for a single blob; {_MAKE}")
        for name, (letters, words) in _NEEDED.items():
            if name in parameters and not set(letters) <= set(parameters[name]):
                raise AuthError(f"{_WHAT}: {words}; {_MAKE}")
        return parameters


def _taken_apart(text: str) -> dict[str, str]:
    if "accountkey=" in text.lower():
        raise ConfigError(f"{_WHAT}: holds an account key, which may do anything; {_MAKE}")
    if "://" in text:
        text = urlsplit(text).query
    # A plus sign that was not encoded would come out as a blank; signatures hold no blanks.
    query = text.removeprefix("?").replace("+", "%2B")
    parameters = dict(parse_qsl(query))
    if not parameters.get("sig") or "sv" not in parameters:
        raise ConfigError(f"{_WHAT}: is none (sv=...&sig=...); {_MAKE}")
    return parameters


def _moment(parameters: Mapping[str, str], name: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(parameters[name])
    except (KeyError, ValueError):
        return None  # a stored policy holds the dates, or the service tells what is wrong
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
