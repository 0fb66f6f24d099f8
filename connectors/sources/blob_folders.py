"""Which blobs of a container count, and what has become of those that were read before."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from connectors.sources.blob_names import (
    DAY,
    HOUR,
    day_prefix,
    floor_day,
    floor_hour,
    hour_of,
    stem_of,
)
from connectors.sources.blob_position import Open
from pipeline.model.contracts import Missing
from pipeline.model.errors import FatalError
from pipeline.model.reject import Reject, RejectReason

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.sources.blob_api import Blob, BlobApi
    from connectors.sources.blob_position import Folder

# Blobs of so many hours are looked at again: what is late is written to the hour in which it was
# received, which is over by then.
LATE: Final = timedelta(hours=6)
_MOST_STEMS: Final = 50
_CUT: Final = "ends in the middle of a record, and was never written on; nothing can be done"
_CHANGED: Final = (
    "{container}, blob of {hour:%Y-%m-%d %H}:00: it {what}; what it held behind the {count} bytes "
    "that were read is not known: see who else writes to the account"
)
_DELETED: Final = (
    "{container}, blob of {hour:%Y-%m-%d %H}:00: it was deleted before it was read to its end; "
    "have the account keep blobs for some days, and outrider read all the time"
)


@dataclass(slots=True)
class Listed:
    """What a list of a container shows.

    Attributes:
        blobs: hours by name.
        until: blobs of hours before it are all in the list.
        lost: stretches of which blobs have changed or gone.
        rejects: ends of blobs that never became whole.
    """

    until: datetime
    blobs: dict[str, datetime] = field(default_factory=dict)
    lost: list[Missing] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


def survey(api: BlobApi, folder: Folder, container: str, now: datetime, *, most: int) -> Listed:
    """List days, from the oldest that counts to the first with bytes to read, or to today.

    Args:
        api: of the account.
        folder: how far the container is read; blobs that are new, and sizes, are noted in it.
        container: its name.
        now: by the service's clock.
        most: requests, about.

    Raises:
        AuthError, FatalError: refused; the message tells what to do.
        RetriableError: no answer, or not now.
    """
    this_hour = floor_hour(now)
    if folder.stems_at != this_hour:
        folder.stems = stems(api, container)
        folder.stems_at = this_hour if folder.stems else None
    first = max(folder.since, folder.hour - LATE)
    day, asked = floor_day(first), api.requests
    listed = Listed(until=this_hour + HOUR)
    while True:
        for stem in folder.stems:
            for blob in api.find(container, day_prefix(stem, day)).blobs:
                hour = hour_of(blob.name)
                if hour is not None and hour >= first:
                    listed.blobs[blob.name] = hour
                    _note(folder, blob, hour, container, listed)
        _miss(folder, day, container, listed)
        day += DAY
        if day > this_hour:
            return listed
        # Today's list is one request more and may have what is wanted most.
        enough = folder.hour < day < floor_day(this_hour) and any(
            folder.open[name].unread for name in listed.blobs
        )
        if enough or api.requests - asked >= most:
            listed.until = day
            return listed


def settle(
    folder: Folder, listed: Listed, now: datetime, container: str
) -> tuple[datetime, list[Reject]]:
    """Move on to the first hour with bytes to read, and forget the blobs that are too old.

    Returns:
        Until when everything that was written is read, and ends that never became whole.
    """
    unread = [hour for name, hour in listed.blobs.items() if folder.open[name].unread]
    this_hour = floor_hour(now)
    horizon = min(listed.until, this_hour)
    folder.hour = max(folder.hour, min([horizon, *unread]))
    rejects = []
    for name in list(folder.open):
        hour = hour_of(name) or folder.hour
        if hour < folder.hour - LATE:
            left = folder.open.pop(name)
            if left.cut:
                path = f"blobs {container}/{name}"
                rejects.append(Reject(path, RejectReason.TRUNCATED, _CUT, offset=left.at))
    if listed.until > this_hour and not unread:
        return now, rejects
    return min([horizon, *unread]), rejects


def changed(container: str, hour: datetime, what: str, count: int) -> Missing:
    """What to tell of a blob that is not what it was.

    Args:
        container: that it is in.
        hour: that it is for.
        what: it did.
        count: bytes of it that were read.
    """
    reason = _CHANGED.format(container=container, hour=hour, what=what, count=count)
    return Missing(hour, hour + HOUR, reason)


def _note(folder: Folder, blob: Blob, hour: datetime, container: str, listed: Listed) -> None:
    """Note what a list says of a blob: it is new, has grown, or is another one."""
    known = folder.open.get(blob.name)
    if known is not None and blob.size < known.at:
        listed.lost.append(changed(container, hour, "has become shorter", known.at))
        known = None
    if known is None:
        known = folder.open[blob.name] = Open()
    known.size, known.etag = blob.size, blob.etag


def _miss(folder: Folder, day: datetime, container: str, listed: Listed) -> None:
    """Forget the blobs of a day that are in no list any more."""
    for name in list(folder.open):
        hour = hour_of(name)
        if hour is None or floor_day(hour) != day or name in listed.blobs:
            continue
        left = folder.open.pop(name)
        if left.unread or left.cut:
            reason = _DELETED.format(container=container, hour=hour)
            listed.lost.append(Missing(hour, hour + HOUR, reason))


def stems(api: BlobApi, container: str) -> list[str]:
    """What the names of all logs in a container begin with, up to the year."""
    found: list[str] = []
    folders = [""]
    while folders:
        level: list[str] = []
        for folder in folders:
            for inner in api.find(container, folder, folders=True).folders:
                stem = stem_of(inner)
                if stem is None:
                    level.append(inner)
                elif stem not in found:
                    found.append(stem)
            if len(found) + len(level) > _MOST_STEMS:
                raise FatalError(
                    f"{api.where}: container {container} holds the logs of more than {_MOST_STEMS} "
                    "resources; name one that holds those of Entra only"
                )
        folders = level
    return sorted(found)
