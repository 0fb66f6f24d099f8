"""A storage account that diagnostic settings write to: each container is looked into."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from connectors.sources.blob_names import day_prefix, floor_day, hour_of, stem_of
from pipeline.model.errors import OutriderError
from pipeline.runtime.checking.finding import Finding, State, of_error
from pipeline.runtime.checking.graph import age

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.sources.blob_api import BlobApi
    from pipeline.model.clock import Clock

_WHERE: Final = "blobs"
_DAY: Final = timedelta(days=1)


def containers(api: BlobApi, names: Sequence[str], clock: Clock, alarm: timedelta) -> list[Finding]:
    """List what was written today, or yesterday where that is nothing.

    Args:
        api: of the account.
        names: of the containers to be read.
        clock: of this machine.
        alarm: how long ago the newest blob may have been written before somebody has to look.
    """
    found = []
    for name in names:
        try:
            newest = _newest(api, name, clock.now())
        except OutriderError as error:
            found.append(of_error(_WHERE, "container", error))
            continue
        found.append(Finding(_WHERE, "container", State.OK, f"{name}: may be listed"))
        told = age(_WHERE, newest, clock.now(), alarm)
        found.append(
            Finding(told.where, told.what, told.state, f"{name}: {told.told}", told.remedy)
        )
    return found


def _newest(api: BlobApi, container: str, now: datetime) -> datetime | None:
    """When a log was written to last; None = not since yesterday."""
    stems = _stems(api, container)
    for day in (floor_day(now), floor_day(now) - _DAY):
        blobs = [b for s in stems for b in api.find(container, day_prefix(s, day)).blobs]
        times = [b.changed or hour_of(b.name) for b in blobs if hour_of(b.name) is not None]
        known = [t for t in times if t is not None]
        if known:
            return max(known)
    return None


def _stems(api: BlobApi, container: str) -> list[str]:
    """What stands before the year in the names: ``tenantId=GUID/``, and more for resources."""
    open_, found = [""], []
    for _ in range(12):  # folders deep; the deepest known name has nine before its year
        deeper = []
        for prefix in open_:
            for folder in api.find(container, prefix, folders=True).folders:
                stem = stem_of(folder)
                if stem is None:
                    deeper.append(folder)
                elif stem not in found:
                    found.append(stem)
        open_ = deeper
    return found
