"""What ``outrider check`` sees of a storage account: each container by itself."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.sources.blob_api import BlobGoneError, BlobShrunkError
from connectors.sources.blob_folders import stems
from connectors.sources.blob_names import DAY, day_prefix, floor_day, hour_of
from pipeline.model.errors import OutriderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from connectors.sources.blob_api import BlobApi


@dataclass(frozen=True, slots=True)
class ContainerLook:
    """What is seen of a container.

    Attributes:
        container: its name.
        problem: why it cannot be read; None = it can.
        newest: when something was last written to a blob of today or yesterday; None = nothing
            was, or there is none.
    """

    container: str
    problem: OutriderError | None = None
    newest: datetime | None = None


def look_at_containers(
    api: BlobApi, containers: Sequence[str], now: datetime
) -> list[ContainerLook]:
    """Try the containers one by one: list them, and read a byte of the newest blob.

    Args:
        api: of the account.
        containers: to look at.
        now: tells what today is.
    """
    today = floor_day(now)
    return [_look(api, container, today) for container in containers]


def _look(api: BlobApi, container: str, today: datetime) -> ContainerLook:
    try:
        blobs = [
            blob
            for stem in stems(api, container)
            for day in (today - DAY, today)
            for blob in api.find(container, day_prefix(stem, day)).blobs
            if blob.changed is not None and blob.size and hour_of(blob.name) is not None
        ]
        if not blobs:
            return ContainerLook(container)
        newest = max(blobs, key=lambda blob: (blob.changed, blob.name))
        with suppress(BlobGoneError, BlobShrunkError):  # meanwhile; that it may be read is shown
            api.read(container, newest.name, 0, 1)
    except OutriderError as error:
        return ContainerLook(container, error)
    return ContainerLook(container, None, newest.changed)
