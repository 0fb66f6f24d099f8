"""A document made smaller, step by step, until its line fits: evidence first, texts at last.

What comes out is a document again, so that no form is ever cut in the middle of a character, of
JSON or of a pair. It tells under ``shortened`` which of its fields hold less than they did.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.encoders.encoder import ID_FIELDS
from connectors.sinks.encoders.text import cut
from connectors.sinks.encoders.words import SHORTENED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Step = Callable[[dict[str, Any]], dict[str, Any]]

# Numbers of one observation, or of what a flag saw; the detectors give some three.
_NUMBERS: Final = 12


def shortened(
    document: Mapping[str, Any], make: Callable[[Mapping[str, Any]], bytes], octets: int
) -> bytes:
    """What is made of the document, which is shortened for that as little as it takes.

    Args:
        document: ``outrider.flag/1`` or ``outrider.incident/1``, as JSON.
        make: a document to its line or message.
        octets: that this has at most.

    Raises:
        ValueError: not even the shortest fits.
    """
    made = make(document)
    told = dict(document)
    for step in _STEPS:
        if len(made) <= octets:
            return made
        less = step(told)
        if less != told:
            told = less
            lost = [name for name in document if told[name] != document[name]]
            made = make(told | {SHORTENED: lost})
    if len(made) > octets:
        raise ValueError(f"it does not fit into {octets} octets, however short")
    return made


def _texts(longest: int, document: dict[str, Any]) -> dict[str, Any]:
    """Texts of at most so many characters, but for the id."""
    return {
        name: value if name in ID_FIELDS.values() else _trimmed(value, longest)
        for name, value in document.items()
    }


def _trimmed(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return cut(value, longest)
    if isinstance(value, list):
        return [_trimmed(item, longest) for item in value]
    if isinstance(value, dict):
        return {cut(name, longest): _trimmed(item, longest) for name, item in value.items()}
    return value


def _evidence(most: int, document: dict[str, Any]) -> dict[str, Any]:
    """The heaviest observations, in their order, without their numbers."""
    found = document.get("evidence")
    if not found:
        return document
    heaviest = sorted(range(len(found)), key=lambda n: -abs(found[n]["weight"]))[:most]
    return document | {
        "evidence": [{**found[n], "numbers": {}} for n in range(len(found)) if n in heaviest]
    }


def _items(name: str, most: int, document: dict[str, Any]) -> dict[str, Any]:
    """The first items of a list, or of an object whose keys vary."""
    found = document.get(name)
    if isinstance(found, dict):
        return document | {name: dict(list(found.items())[:most])}
    return document | {name: found[:most]} if found else document


def _reasons(most: int, document: dict[str, Any]) -> dict[str, Any]:
    """The first reasons why the advisory fits."""
    found = document.get("advisory")
    if not found:
        return document
    return document | {
        "advisory": {
            **found,
            "reasons": found["reasons"][:most],
            "relisted_as": found.get("relisted_as", [])[:most],
        }
    }


# What is longer than 1,000 characters is no text of ours, and would cost all of the others.
_STEPS: Final[tuple[Step, ...]] = (
    partial(_texts, 1000),
    *(partial(_evidence, most) for most in (64, 8, 4, 2)),
    partial(_items, "flag_ids", 4),
    partial(_items, "other_advisories", 1),
    partial(_items, "observed", _NUMBERS),
    partial(_items, "expected", _NUMBERS),
    partial(_texts, 300),
    partial(_items, "scope", 2),
    partial(_items, "error_codes", 3),
    partial(_items, "recurrence_of", 1),
    partial(_reasons, 1),
    partial(_items, "tenants", 4),
    *(
        step
        for name in ("flag_ids", "other_advisories", "recurrence_of", "scope", "healthy_clients")
        for step in (partial(_items, name, 0),)
    ),
    partial(_texts, 100),
    partial(_evidence, 0),
    partial(_reasons, 0),
    partial(_items, "error_codes", 0),
    partial(_items, "observed", 1),
    partial(_items, "expected", 1),
    partial(_items, "tenants", 1),
    partial(_texts, 40),
)
