"""A message made shorter and shorter, for destinations that take only so much."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.model.message import Message

_EVIDENCE: Final = (3, 2, 1, 0)
_INCIDENTS: Final = (8, 5, 3, 1)
_CHARACTERS: Final = (200, 100, 50)
_FACTS: Final = (5, 3, 1, 0)


def cut(text: str, longest: int) -> str:
    """Text of at most ``longest`` characters.

    >>> cut("all of it", 5)
    'all …'
    """
    return text if len(text) <= longest else text[: longest - 1] + "…"


def shorter(message: Message) -> Iterator[Message]:
    """The message, then less and less of it: evidence goes first, the facts last."""
    yield message
    for count in _EVIDENCE:
        message = replace(
            message,
            evidence_for=message.evidence_for[:count],
            evidence_against=message.evidence_against[:count],
        )
        yield message
    for count in _INCIDENTS:
        if len(message.incidents) > count + 1:
            message = replace(message, incidents=(*message.incidents[:count], "and more"))
            yield message
    for longest in _CHARACTERS:
        message = replace(
            message,
            title=cut(message.title, longest),
            reason=cut(message.reason, longest),
            facts=tuple((cut(q, 40), cut(a, longest)) for q, a in message.facts),
            incidents=tuple(cut(line, longest) for line in message.incidents),
            reference=cut(message.reference, 100),
        )
        yield message
    for count in _FACTS:
        message = replace(message, facts=message.facts[:count])
        yield message
    yield replace(message, link="", incidents=())


def fitted(message: Message, fits: Callable[[Message], bool]) -> Message:
    """The longest form of a message that fits; the shortest has some 200 characters."""
    form = message
    for form in shorter(message):
        if fits(form):
            break
    return form
