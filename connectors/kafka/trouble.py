"""What an error of the client that may pass by itself is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from kafka.errors import InvalidReceiveError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.model.errors import OutriderError

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


def first_reason(
    error: BaseException, look: Callable[[BaseException], OutriderError | None]
) -> OutriderError | None:
    """What ``look`` says of an error or, if nothing, of those that it wraps.

    A producer that was refused once wraps that refusal in every later error.
    """
    inner = (found for found in error.args if isinstance(found, BaseException))
    return next((r for r in map(look, (error, *inner)) if r is not None), None)
