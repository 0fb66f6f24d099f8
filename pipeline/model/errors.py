"""What can go wrong, sorted by what to do next, and the process exit codes."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    INCIDENT_FOUND = 3
    PARTIAL_DATA = 4
    SINK_REFUSED = 5
    INTERRUPTED = 130


class OutriderError(Exception):
    """Anything this program raises on purpose; the message names the place and the remedy."""


class ConfigError(OutriderError):
    """The configuration or the call is wrong; nothing was done."""


class RetriableError(OutriderError):
    """Try again, after ``retry_after`` seconds if it is given."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ThrottledError(RetriableError):
    """The other side asked for fewer requests."""


class PacedError(ThrottledError):
    """We keep to the other side's limit by ourselves: no trouble, only not yet."""


class FatalError(OutriderError):
    """Trying again cannot help; a person has to act."""


class AuthError(FatalError):
    """A credential or a permission was refused."""


class SourceReadError(OutriderError):
    """One input cannot be read any further; what was read before it stands."""


class StateError(OutriderError):
    """Stored state is missing, damaged or of another version."""
