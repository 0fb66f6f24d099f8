"""How many persons: sign-ins and mailboxes may carry different ids for one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.correlate.history import distinct, human
from pipeline.correlate.tally import AUDIT_SPACE, SIGNIN_SPACE
from pipeline.correlate.view import space_of

if TYPE_CHECKING:
    from pipeline.correlate.history import U64, History
    from pipeline.correlate.tally import Affected


def distinct_users(history: History, tenant: str, rows: Affected, *, at: int) -> int:
    """Number of distinct persons in ``rows``.

    Sign-ins and mailboxes may carry different ids for one person; where they do, nobody
    is counted twice: the larger of the two numbers is given.

    Args:
        history: tells whether the two kinds of id are the same.
        tenant: whose users.
        rows: array of AFFECTED.
        at: hour since 1970 to look at.
    """
    people = [np.unique(rows["user"][rows["space"] == s]) for s in (SIGNIN_SPACE, AUDIT_SPACE)]
    if not len(people[0]) or not len(people[1]) or _same_ids(history, tenant, at):
        return len(np.union1d(people[0], people[1]))
    return max(map(len, people))


def _same_ids(history: History, tenant: str, at: int) -> bool:
    seen: tuple[list[U64], list[U64]] = ([], [])
    for back in (0, 1, 2, 24, 168):
        hour = history.hours.get(at - back)
        for cell in human(hour.cells, tenant) if hour else ():
            seen[space_of(cell.source)].append(hour.of(cell)["user"])  # type: ignore[union-attr] # no cells without an hour
    people = [distinct(parts) for parts in seen]
    smaller = min(map(len, people))
    # Unlike ids meet by chance never (64 bits); people who use both are far above 20 %.
    return smaller > 0 and len(np.intersect1d(people[0], people[1])) >= 0.2 * smaller
