"""Why a record gives no event: it cannot be used, or it is no evidence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.model.reject import RejectReason


class UnusableError(Exception):
    """The record cannot be used; ``detail`` names the field and the remedy, never a value."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class NoEvidenceError(Exception):
    """The record is sound and of a kind that tells nothing of users' access."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def kind_of(group: str, name: object) -> str:
    """A short counter name; what is no plain word is not repeated.

    >>> kind_of("audit", "SharePointFileOperation"), kind_of("audit", "jo@contoso.com")
    ('audit:SharePointFileOperation', 'audit:other')
    """
    text = str(name).strip()
    return f"{group}:{text if re.fullmatch(r'[A-Za-z0-9_-]{1,48}', text) else 'other'}"
