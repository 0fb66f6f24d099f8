"""Names that were met before, kept in a cursor: eight bytes each, by day.

Two names share their eight bytes with a chance of n * n / 2**65: one in 10**10 for 65,536.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIZE: Final = 8
_DAY: Final = timedelta(days=1)


def digest_of(name: str) -> bytes:
    """Eight bytes that stand for a name."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_SIZE).digest()


class Seen:
    """A set of names, each with the day it belongs to.

    Args:
        stored: what :meth:`stored` gave.
        most: names to keep; of more, those of the oldest day that came first are forgotten.

    Raises:
        ValueError, TypeError, AttributeError: ``stored`` was not made here.
    """

    def __init__(self, stored: Mapping[str, str], most: int) -> None:
        self._most = most
        self._days: dict[date, dict[bytes, None]] = {}
        for day, text in stored.items():
            data = base64.b64decode(text, validate=True)
            if len(data) % _SIZE:
                raise ValueError(day)
            pieces = (data[i : i + _SIZE] for i in range(0, len(data), _SIZE))
            self._days[date.fromisoformat(day)] = dict.fromkeys(pieces)

    def __contains__(self, name: str) -> bool:
        digest = digest_of(name)
        return any(digest in day for day in self._days.values())

    def __len__(self) -> int:
        return sum(map(len, self._days.values()))

    def add(self, name: str, at: datetime) -> None:
        """Take a name in, with the moment it belongs to."""
        self._days.setdefault(at.astimezone(UTC).date(), {})[digest_of(name)] = None

    def stored(self, now: datetime, keep: timedelta) -> dict[str, str]:
        """All of it as JSON, without the days that ended longer than ``keep`` ago."""
        oldest = (now - keep - _DAY).astimezone(UTC).date()
        days = {day: list(self._days[day]) for day in sorted(self._days) if day > oldest}
        over = sum(map(len, days.values())) - self._most
        for held in days.values():
            if over <= 0:
                break
            dropped = min(over, len(held))
            del held[:dropped]
            over -= dropped
        return {
            day.isoformat(): base64.b64encode(b"".join(held)).decode()
            for day, held in days.items()
            if held
        }
