"""Times, stretches and numbers as people say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

# Own tables: names of days and months must not follow the machine's locale.
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip

SOURCE_LABELS: Final = {
    "entra_signin": "Entra sign-ins (interactive)",
    "entra_signin_noninteractive": "Entra sign-ins (non-interactive)",
    "exchange_audit": "Exchange mailbox audit",
    "entra_directory_audit": "Entra directory audit",
}
SIGNAL_LABELS: Final = {
    "failure_rate": "users failing",
    "active_users": "active users",
    "access_volume": "accesses",
    "retry_pressure": "users retrying",
    "client_shift": "users at work without it",
    "new_error": "users with a new error",
    "latency": "latency",
}


def day(at: datetime, zone: str = "UTC") -> str:
    """A date, e.g. ``Thu 19 Mar 2026``."""
    at = at.astimezone(ZoneInfo(zone))
    return f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} {at.year}"


def short(at: datetime) -> str:
    """A moment without year, e.g. ``19 Mar 08:12``, in UTC.

    >>> short(datetime(2026, 3, 19, 8, 12, 31, tzinfo=UTC))
    '19 Mar 08:12'
    """
    at = at.astimezone(UTC)
    return f"{at.day} {_MONTHS[at.month - 1]} {at:%H:%M}"


def moment(at: datetime, zone: str = "UTC") -> str:
    """A moment in UTC, and in ``zone`` if that is another clock.

    >>> moment(datetime(2026, 3, 19, 23, 30, tzinfo=UTC))
    'Thu 19 Mar 2026 23:30 UTC'
    >>> moment(datetime(2026, 3, 19, 23, 30, tzinfo=UTC), "Europe/Berlin")
    'Thu 19 Mar 2026 23:30 UTC (Fri 20 Mar 00:30 CET)'
    """
    at = at.astimezone(UTC)
    text = f"{day(at)} {at:%H:%M} UTC"
    local = at.astimezone(ZoneInfo(zone))
    if local.utcoffset() == timedelta(0):
        return text
    date = "" if local.date() == at.date() else f"{day(at, zone).rsplit(' ', 1)[0]} "
    return f"{text} ({date}{local:%H:%M %Z})"


def duration(seconds: float) -> str:
    """A stretch of time in its two largest units, without sign; days from two days on.

    >>> duration(45), duration(-2_460), duration(87_480), duration(900_000)
    ('45 s', '41 min', '24 h 18 min', '10 d 10 h')
    """
    whole = round(abs(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    for size, unit, below in ((1440, "d", "h"), (60, "h", "min")):
        if minutes >= (2880 if unit == "d" else size):
            part = 60 if unit == "d" else 1
            rest = minutes % size // part
            return f"{minutes // size} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{minutes} min"


def count(number: float) -> str:
    r"""A number with thin spaces between thousands; a fraction only below 10.

    >>> count(12345.6), count(3.25), count(0.0), count(7.0)
    ('12\u202f346', '3.2', '0', '7')
    """
    if abs(number) < 10 and number != round(number):
        return f"{number:.1f}"
    return f"{number:,.0f}".replace(",", "\u202f")


def percent(share: float) -> str:
    """A share as percent, never rounded up to all or down to nothing.

    >>> percent(0.1234), percent(0.9996), percent(0.0004), percent(0.031), percent(1.0)
    ('12 %', '99.9 %', '0.04 %', '3.1 %', '100 %')
    """
    if 0.99 <= share < 1:
        return f"{min(share * 100, 99.94):.1f} %"
    if 0 < share < 0.001:
        return f"{max(share * 100, 0.01):.2f} %"
    return f"{share * 100:.1f} %" if 0 < share < 0.1 else f"{share:.0%}".replace("%", " %")


def listed(names: Sequence[str]) -> str:
    """Names as a phrase.

    >>> listed(["a", "b", "c"]), listed(["a"]), listed([])
    ('a, b and c', 'a', '')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def plural(number: float, noun: str) -> str:
    """A number and its noun.

    >>> plural(1, "user"), plural(2, "user")
    ('1 user', '2 users')
    """
    return f"{count(number)} {noun}" + ("" if number == 1 else "s")
