"""Names of tenants: what a log calls a tenant becomes a key, a column and a word for people."""

from __future__ import annotations

import re
from typing import Final

# Entra's ids have 36 characters, domains up to 253 (RFC 1035), names of organisations up to 256.
MOST_CHARACTERS: Final = 256
# Keys end a tenant's name with NUL, lines with the others; half a surrogate pair has no UTF-8.
_FORBIDDEN: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_tenant(name: str) -> bool:
    r"""Whether a tenant may be called so.

    >>> is_tenant("Contoso (Nürnberg)"), is_tenant("a\0b"), is_tenant(" "), is_tenant("x" * 257)
    (True, False, False, False)
    """
    return bool(name.strip()) and len(name) <= MOST_CHARACTERS and not _FORBIDDEN.search(name)
