"""Diagnostic settings that write to a storage account, read by byte offset.

Each hour has a blob, named by when its records were received, which grows while the hour runs and
now and then after it. A poll lists the blobs of the days that count (one request for each of the
last hours would ask for the same), reads what they have grown by, and stands behind the last
whole record of each.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from connectors.sources.blob_api import BlobApi, BlobGoneError, BlobShrunkError
from connectors.sources.blob_content import is_page, take
from connectors.sources.blob_folders import Listed, changed, settle, survey
from connectors.sources.blob_names import HOUR, floor_hour
from connectors.sources.blob_position import Folder, Position
from connectors.sources.lost import still_told
from pipeline.model.clock import SystemClock, from_us, to_us
from pipeline.model.contracts import Missing, Poll
from pipeline.model.errors import ConfigError, OutriderError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from connectors.http.client import HttpClient
    from connectors.normalise.intake import Portion
    from connectors.normalise.settings import NormaliseSettings
    from connectors.sources.blob_position import Open
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Cursor
    from pipeline.model.reject import Reject

# What diagnostic settings of Entra name their containers.
CONTAINERS: Final = (
    "insights-logs-signinlogs",
    "insights-logs-noninteractiveusersigninlogs",
    "insights-logs-auditlogs",
)
SCOPE: Final = "https://storage.azure.com/.default"
LOOKBACK: Final = timedelta(hours=24)
MOST_RECORDS: Final = 20_000
SECONDS: Final = 5.0
_PIECE_BYTES: Final = 8 * 2**20
_MOST_BYTES: Final = 32 * 2**20
_MOST_REQUESTS: Final = 40
# The last record, mostly, with its ids and times: in a blob that was replaced it is another one.
_MARK_BYTES: Final = 4096
_AGAIN_SECONDS: Final = 30.0
_CLOCKS_APART: Final = timedelta(minutes=5)


class _Due(NamedTuple):
    """A blob with bytes to read; those of earlier hours come first."""

    hour: datetime
    container: str
    name: str
    state: Open


@dataclass(slots=True)
class _Haul:
    """What a poll has so far."""

    portions: list[Portion] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    records: int = 0
    bytes: int = 0


class Blobs:
    """Reads some containers of one storage account.

    Args:
        http: client of the account, with tokens of :data:`SCOPE` or a shared access signature.
        settings: key, tenant and sites.
        containers: to read.
        by_signature: whether a shared access signature goes with each request.
        lookback: how far back the very first reading goes.
        clock: tells which hours there are; how far that of the service is from it counts too.
        most_records: a poll ends with the piece of a blob that reaches so many.
        seconds: a poll begins nothing more after so long.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        http: HttpClient,
        settings: NormaliseSettings,
        *,
        containers: Sequence[str] = CONTAINERS,
        by_signature: bool = False,
        lookback: timedelta = LOOKBACK,
        clock: Clock | None = None,
        most_records: int = MOST_RECORDS,
        seconds: float = SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not containers:
            raise ConfigError("no container of the storage account is named; name those to read")
        self._http, self._settings, self._by_signature = http, settings, by_signature
        self._containers = tuple(dict.fromkeys(containers))
        self._lookback = lookback
        self._clock: Clock = clock or SystemClock()
        self._most, self._seconds, self._monotonic = most_records, seconds, monotonic

    def poll(self, cursor: Cursor | None) -> Poll:
        """Read the next portion after ``cursor`` (None = from ``lookback`` ago).

        Raises:
            StateError: the cursor is of another version.
            AuthError: the account keeps us out; the message tells what to do.
            FatalError: a container is not there, or the request is refused.
            ConfigError: the shared access signature is none.
            RetriableError: no answer, or not now.
        """
        position = Position.of(cursor)
        api = BlobApi(self._http, by_signature=self._by_signature)
        until = self._monotonic() + self._seconds
        now = self._clock.now() + self._http.skew
        haul = _Haul()
        listed = {name: self._survey(api, position, name, now, haul) for name in self._containers}
        if abs(self._clock.now() + self._http.skew - now) > _CLOCKS_APART:
            # Hours that are not over would count as read. By now we know the service's time.
            raise RetriableError(
                f"{api.where}: this machine's clock is wrong or was set; it starts again by the "
                "time of the service",
                retry_after=0,
            )
        self._read(api, position, listed, haul, until)
        moments = []
        for name, found in listed.items():
            complete_to, rejects = settle(position.folders[name], found, now, name)
            moments.append(to_us(complete_to))
            haul.rejects += rejects
        position.complete_to = max(min(moments), position.complete_to or 0)
        position.lost = still_told(position.lost, now)
        return Poll(
            batches=tuple(p.table for p in haul.portions if p.table.num_rows),
            rejects=tuple(haul.rejects),
            cursor=position.cursor(),
            complete_to=from_us(position.complete_to),
            received=sum(p.table.num_rows + p.ignored for p in haul.portions) + len(haul.rejects),
            ignored=sum(p.ignored for p in haul.portions),
            missing=tuple(position.lost),
        )

    def _survey(
        self, api: BlobApi, position: Position, name: str, now: datetime, haul: _Haul
    ) -> Listed:
        """List the blobs of a container that count, and note what is lost of those known."""
        start = floor_hour(now - self._lookback)
        folder = position.folders.setdefault(name, Folder(since=start, hour=start))
        found = survey(api, folder, name, now, most=_MOST_REQUESTS)
        position.lost += found.lost
        haul.rejects += found.rejects
        return found

    def _read(
        self,
        api: BlobApi,
        position: Position,
        listed: dict[str, Listed],
        haul: _Haul,
        until: float,
    ) -> None:
        """Read what blobs have grown by, hour by hour over all containers."""
        due = sorted(
            (
                _Due(hour, container, name, position.folders[container].open[name])
                for container, found in listed.items()
                for name, hour in found.blobs.items()
            ),
            key=lambda d: d[:3],
        )
        asked, shrunk = api.requests, False
        for item in due:
            while item.state.unread:
                if (
                    haul.records >= self._most
                    or haul.bytes >= _MOST_BYTES
                    or api.requests - asked >= _MOST_REQUESTS
                    or (haul.portions and self._monotonic() > until)
                ):
                    return
                try:
                    self._piece(api, item, position, haul)
                except BlobShrunkError:
                    shrunk = True
                    break  # the next list tells what has become of it
                except BlobGoneError as gone:
                    position.lost.append(_lost(item, str(gone)))
                    del position.folders[item.container].open[item.name]
                    del listed[item.container].blobs[item.name]
                    break
                except OutriderError:
                    # What was read before stands; whoever asks next is told.
                    if haul.portions:
                        return
                    raise
        if shrunk and not haul.portions:
            raise RetriableError(
                f"{api.where}: a blob became shorter while it was read", retry_after=_AGAIN_SECONDS
            )

    def _piece(self, api: BlobApi, item: _Due, position: Position, haul: _Haul) -> None:
        """Read what comes next in a blob; some bytes before it show that it is the same one."""
        state = item.state
        known = min(state.at, _MARK_BYTES)
        begin, stop = state.at - known, min(state.size, state.at + _PIECE_BYTES)
        body = api.read(item.container, item.name, begin, stop) if stop > begin else b""
        haul.bytes += len(body)
        if known and self._mark(body[:known]) != state.mark:
            position.lost.append(
                changed(item.container, item.hour, "was replaced by another", state.at)
            )
            state.at = state.seen = 0
            return
        if known == 0:
            state.page = is_page(body)
        path = f"blobs {item.container}/{item.name}"
        taken = take(body[known:], state.at, path, self._settings, page=state.page)
        state.at, state.cut = taken.read_on, taken.cut
        state.mark = self._mark(body[: state.at - begin][-_MARK_BYTES:])
        if stop == state.size:
            state.seen, state.looked = stop, state.etag
        else:  # behind a piece that ends within a record there is more of it
            state.seen = state.at
        haul.portions.append(taken.portion)
        haul.rejects += taken.portion.rejects
        haul.records += taken.portion.received

    def _mark(self, before: bytes) -> str:
        return blake2b(before, digest_size=8, key=self._settings.key).hexdigest()


def _lost(item: _Due, why: str) -> Missing:
    return Missing(
        item.hour,
        item.hour + HOUR,
        f"{item.container}, blob of {item.hour:%Y-%m-%d %H}:00: {why}; have the account keep "
        "blobs for some days, and outrider read all the time",
    )
