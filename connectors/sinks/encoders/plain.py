"""Plain JSON: the document as it is, nothing left out, nothing cut."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.encoders.encoder import Encoder, key_of, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def line(document: Mapping[str, Any]) -> str:
    """The document as one line of JSON; raises ValueError for what is no document of ours."""
    kind_of(document)
    return json.dumps(document, ensure_ascii=False)


def key(text: str) -> tuple[str, int]:
    """(id, revision) of a line; raises ValueError, TypeError or KeyError for another."""
    return key_of(json.loads(text))


JSON: Final = Encoder("json", ".ndjson", line, key)
