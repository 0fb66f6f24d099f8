"""What an error of the client that may pass by itself is about."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from kafka.errors import InvalidReceiveError

Trouble: TypeAlias = Literal["refused", "unknown host", "closed", "other"]

# As the client words them; a listener of another protocol answers with bytes that make no sense.
_CLOSED: Final = ("disconnected", "EOF", "WRONG_VERSION_NUMBER", "reset")


def trouble(error: BaseException) -> Trouble:
    """Nothing listens, the name is not known, the other side hangs up, or something else."""
    text = str(error)
    if "ECONNREFUSED" in text:
        return "refused"
    if "DNS" in text:
        return "unknown host"
    if isinstance(error, InvalidReceiveError) or any(word in text for word in _CLOSED):
        return "closed"
    return "other"
