"""Names of the blobs of diagnostic settings: a blob for each hour in which records were received.

``tenantId=GUID/y=2026/m=03/d=19/h=08/m=00/PT1H.json``, or with ``resourceId=/...`` in front.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_NAME: Final = re.compile(
    r"(?:.*/)?y=(\d{4})/m=(\d{2})/d=(\d{2})/h=(\d{2})/m=\d{2}/PT1H\.json", re.DOTALL
)
_YEAR: Final = re.compile(r"(.*/)?y=\d{4}/", re.DOTALL)
_STAMP: Final = "%Y-%m-%dT%H"


def hour_of(name: str) -> datetime | None:
    """The hour that a blob is for; None = it is no log.

    >>> hour_of("tenantId=1/y=2026/m=03/d=19/h=08/m=00/PT1H.json")
    datetime.datetime(2026, 3, 19, 8, 0, tzinfo=datetime.timezone.utc)
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    year, month, day, hour = (int(part) for part in match.groups())
    try:
        return datetime(year, month, day, hour, tzinfo=UTC)
    except ValueError:
        return None


def stem_of(folder: str) -> str | None:
    """What stands before the year in the name of a folder; None = the year is not there yet."""
    match = _YEAR.fullmatch(folder)
    return None if match is None else match[1] or ""


def day_prefix(stem: str, day: datetime) -> str:
    """What the names of a day's blobs begin with."""
    return f"{stem}y={day:%Y}/m={day:%m}/d={day:%d}/"


def floor_hour(moment: datetime) -> datetime:
    """The start of an hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def floor_day(moment: datetime) -> datetime:
    """The start of a day."""
    return floor_hour(moment).replace(hour=0)


def stamp(hour: datetime) -> str:
    """An hour as a cursor holds it."""
    return hour.strftime(_STAMP)


def parse_stamp(text: str) -> datetime:
    """Read what :func:`stamp` wrote.

    Raises:
        ValueError, TypeError: it is none.
    """
    return datetime.strptime(text, _STAMP).replace(tzinfo=UTC)
