"""Moments, shares and lists as an operator reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN: Final = 4  # a list longer than this is cut
# Own tables: names of days and months must not follow the machine's locale.
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def moment(at: datetime) -> str:
    """A moment as people say it.

    >>> moment(datetime(2026, 3, 19, 8, 12, tzinfo=UTC))
    'Thu 19 Mar 08:12 UTC'
    """
    at = at.astimezone(UTC)
    return f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} {at:%H:%M} UTC"


def listed(names: Sequence[str]) -> str:
    """Names as a phrase.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    if len(names) > SHOWN:
        names = [*names[: SHOWN - 1], f"{len(names) - SHOWN + 1} more"]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def percent(share: float) -> str:
    """A share as people read it.

    >>> percent(0.623), percent(0.004), percent(0.0)
    ('62 %', '0.4 %', '0 %')
    """
    digits = 1 if 0.0 < share < 0.1 else 0
    return f"{100 * share:.{digits}f} %"
