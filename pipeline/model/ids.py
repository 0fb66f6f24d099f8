"""Content hashes: the same facts give the same id, whatever the process or the day."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def content_id(prefix: str, *parts: Any) -> str:
    """Return ``prefix-`` and 16 hexadecimal digits of BLAKE2b over the parts as JSON.

    >>> content_id("inc", "contoso", "outlook_ios", 1773907200000000)
    'inc-33c65910ec91c732'
    """
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False, default=str)
    # A file's name need not be UTF-8; its other bytes are half surrogate pairs then.
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{prefix}-{digest}"
