"""A storage account that diagnostic settings write to: each container is looked into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connectors.sources.blob_look import look_at_containers
from pipeline.runtime.checking.finding import Finding, State, of_error
from pipeline.runtime.checking.graph import age

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from connectors.sources.blob_api import BlobApi
    from pipeline.model.clock import Clock

_WHERE: Final = "blobs"


def containers(api: BlobApi, names: Sequence[str], clock: Clock, alarm: timedelta) -> list[Finding]:
    """Read what was written today, or yesterday where that is nothing.

    Args:
        api: of the account.
        names: of the containers to be read.
        clock: of this machine.
        alarm: how long ago the newest blob may have been written before somebody has to look.
    """
    found = []
    for look in look_at_containers(api, names, clock.now()):
        if look.problem is not None:
            found.append(of_error(_WHERE, "container", look.problem))
            continue
        name = look.container
        found.append(Finding(_WHERE, "container", State.OK, f"{name}: may be read"))
        told = age(_WHERE, look.newest, clock.now(), alarm)
        found.append(
            Finding(told.where, told.what, told.state, f"{name}: {told.told}", told.remedy)
        )
    return found
