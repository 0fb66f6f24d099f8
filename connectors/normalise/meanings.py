"""What a failure code says, in words an operator reads."""

from __future__ import annotations

from functools import cache

from connectors.normalise.tables import rows


@cache
def meanings() -> dict[int, tuple[str, str]]:
    """By Entra error code, (outcome, meaning in one sentence).

    >>> meanings()[90033][0]
    'service_fault'
    """
    return {int(r["code"]): (r["outcome"], r["meaning"] or r["name"]) for r in rows("entra_codes")}
