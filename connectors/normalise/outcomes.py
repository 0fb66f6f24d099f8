"""Error codes to outcomes, by the table; an unknown code is never success."""

from __future__ import annotations

from functools import cache
from typing import Final

from connectors.normalise.tables import rows
from pipeline.model.vocabulary import Outcome

_WORDS: Final = {
    "success": Outcome.SUCCESS,
    "succeeded": Outcome.SUCCESS,
    "partiallysucceeded": Outcome.SUCCESS,
    "true": Outcome.SUCCESS,
    "interrupted": Outcome.INTERRUPT,
}
_LARGEST: Final = 2**31 - 1


@cache
def codes() -> dict[int, Outcome]:
    """Entra's documented result codes and what they mean."""
    return {int(r["code"]): Outcome(r["outcome"]) for r in rows("entra_codes")}


def outcome_of_code(code: int | None) -> Outcome:
    """Outcome of a sign-in's error code; a missing or unknown one is an unknown failure."""
    if code is None:
        return Outcome.UNKNOWN_FAILURE
    return codes().get(code, Outcome.UNKNOWN_FAILURE)


def outcome_of_word(word: str | None) -> Outcome:
    """Outcome of ``ResultStatus``, ``result`` or a portal ``Status``; anything else failed."""
    if word is None:
        return Outcome.UNKNOWN_FAILURE
    return _WORDS.get(word.strip().casefold(), Outcome.UNKNOWN_FAILURE)


def read_code(value: object) -> int | None:
    """An error code given as int, digits in a string, or a word for success.

    >>> read_code(50126), read_code(" 50126"), read_code("Success"), read_code("")
    (50126, 50126, 0, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    text = str(value).strip()
    if text.casefold() == "success":
        return 0
    try:
        code = int(float(text)) if text.endswith(".0") else int(text)
    except ValueError:
        return None
    return code if abs(code) <= _LARGEST else None
