"""Files that were not read, or not to their end: how many, and the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.model.reject import Reject

_SHOWN: Final = 10


def unread_files(rejects: Iterable[Reject]) -> dict[str, Any]:
    """Each file once, by path, as ``unread_files`` of a summary."""
    lost = {r.path: r for r in rejects if r.loses_file}
    first = [lost[path] for path in sorted(lost)[:_SHOWN]]
    return {
        "files": len(lost),
        "first": [{"path": r.path, "reason": str(r.reason), "detail": r.detail} for r in first],
    }
