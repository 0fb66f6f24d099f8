"""What an encoder is, and the key by which a receiver knows a revision again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The field of each kind of document that holds its id.
ID_FIELDS: Final = {"flag": "flag_id", "incident": "incident_id", "notice": "notice_id"}


@dataclass(frozen=True, slots=True)
class Encoder:
    """One form: how it is called, how its files end, and how a line is made and known again.

    Attributes:
        name: as in the configuration.
        suffix: of its files, after ``flags`` and ``incidents``.
        line: document (``outrider.flag/1``, ``outrider.incident/1``) to one line of text
            without its newline. Raises ValueError for any other document.
        key: a line to the (id, revision) it tells. Raises ValueError, TypeError or KeyError
            for a line that ``line`` did not make.
    """

    name: str
    suffix: str
    line: Callable[[Mapping[str, Any]], str]
    key: Callable[[str], tuple[str, int]]


def kind_of(document: Mapping[str, Any]) -> str:
    """``flag``, ``incident`` or ``notice``.

    Raises:
        ValueError: it is none of them.
    """
    for kind, field in ID_FIELDS.items():
        if field in document:
            return kind
    raise ValueError("neither a flag nor an incident nor a notice")


def key_of(document: Mapping[str, Any]) -> tuple[str, int]:
    """(id, revision) of a document.

    Raises:
        ValueError: it is neither a flag nor an incident nor a notice.
    """
    return str(document[ID_FIELDS[kind_of(document)]]), int(document["revision"])


def key_text(name: str, revision: int) -> str:
    """The key as one word, which every format can hold unescaped.

    >>> key_text("inc-33c65910ec91c732", 4)
    'inc-33c65910ec91c732:4'
    >>> key_text("a|b=c", 1)
    'a%7Cb%3Dc:1'
    """
    return f"{quote(name, safe='', errors='surrogatepass')}:{revision}"


def read_key(text: str) -> tuple[str, int]:
    """What :func:`key_text` was made from.

    Raises:
        ValueError: it is no such word.
    """
    name, colon, revision = text.rpartition(":")
    if not colon:
        raise ValueError("no key of a document")
    return unquote(name, errors="surrogatepass"), int(revision)
