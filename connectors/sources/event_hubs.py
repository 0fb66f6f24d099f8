"""Diagnostic settings that stream to Event Hubs, read through its Kafka endpoint.

The cursor holds the next offset of each partition; nothing is kept in the namespace. A message
holds ``{"records": [...]}``, one record or an array of them. When it was enqueued is when its
records became available (``received_time``): the ``time`` of their envelopes is some other
service's earlier moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from kafka.errors import KafkaError, OffsetOutOfRangeError

from connectors.sources.event_hubs_client import Bounds, HubClient
from connectors.sources.event_hubs_messages import Taking, arrival
from connectors.sources.event_hubs_position import Place, Position
from connectors.sources.lost import still_told
from pipeline.model.clock import SystemClock, from_us, to_us
from pipeline.model.contracts import Missing, Poll
from pipeline.model.errors import AuthError, ConfigError, OutriderError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kafka import TopicPartition

    from connectors.normalise.intake import Portion
    from connectors.normalise.settings import NormaliseSettings
    from connectors.sources.event_hubs_client import Stretch
    from connectors.sources.event_hubs_login import Address, Login
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Cursor

# What diagnostic settings of Entra name their hubs. Those of managed identities and service
# principals tell nothing of users: they are read if they are named, and counted as ignored.
HUBS: Final = (
    "insights-logs-signinlogs",
    "insights-logs-noninteractiveusersigninlogs",
    "insights-logs-auditlogs",
)
MOST_RECORDS: Final = 20_000
SECONDS: Final = 5.0
# A message holds some dozens of records as a rule, and up to 1 MB.
_MOST_MESSAGES: Final = 400
_LATE: Final = (
    "{place}: the records of this time left the hub before they were read; give the hub a longer "
    "retention, or have outrider read all the time"
)
_ANEW: Final = (
    "{place}: the hub was made anew; what it held before and was not read by then is gone"
)


class _Job(NamedTuple):
    """What to read of a partition; ``loss`` = why what was before is lost, if it is."""

    place: TopicPartition
    key: str
    bounds: Bounds
    loss: str | None


class EventHubs:
    """Reads some hubs of one namespace.

    Args:
        address: of the namespace.
        login: how to sign in there.
        settings: key, tenant and sites.
        hubs: to read.
        ca_file: authorities to trust; None = the usual ones.
        clock: tells until when everything was asked for.
        most_records: a poll ends with the message that reaches so many.
        seconds: a poll waits no longer for messages.
    """

    def __init__(
        self,
        address: Address,
        login: Login,
        settings: NormaliseSettings,
        *,
        hubs: Sequence[str] = HUBS,
        ca_file: Path | None = None,
        clock: Clock | None = None,
        most_records: int = MOST_RECORDS,
        seconds: float = SECONDS,
    ) -> None:
        if not hubs:
            raise ConfigError("no hub of Event Hubs is named; name those that are to be read")
        self._address, self._login, self._ca_file = address, login, ca_file
        self._settings, self._hubs = settings, tuple(dict.fromkeys(hubs))
        self._clock: Clock = clock or SystemClock()
        self._most, self._seconds = most_records, seconds
        self._client: HubClient | None = None

    def poll(self, cursor: Cursor | None) -> Poll:
        """Read the next portion after ``cursor`` (None = from the oldest that the hubs keep).

        Raises:
            StateError: the cursor is of another version.
            AuthError: the namespace, or a hub, keeps us out; the message tells what to do.
            FatalError: a hub is not there.
            ConfigError: the connection string is none, or does not fit.
            RetriableError: no answer.
        """
        known = self._client
        try:
            return self._attempt(cursor)
        except AuthError:
            if known is None:
                raise
        # It let us in before: the secret may have been changed, and is read anew now.
        return self._attempt(cursor)

    def close(self) -> None:
        """Let go of the connection; the next poll opens another."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _attempt(self, cursor: Cursor | None) -> Poll:
        position = Position.of(cursor)
        try:
            return self._poll(self._opened(), position)
        except OffsetOutOfRangeError:
            # Between the question what there is and the reading of it.
            raise RetriableError(
                f"Event Hubs at {self._address}: messages left while they were read", retry_after=0
            ) from None
        except OutriderError as error:
            self._drop(error)
            raise
        except KafkaError as error:
            # Nothing of the client's is kept as the cause: it may quote what was sent.
            reason = self._opened().failure(error)
            self._drop(reason)
            raise reason from None

    def _opened(self) -> HubClient:
        if self._client is None:
            self._client = HubClient(self._address, self._hubs, self._login, self._ca_file)
        return self._client

    def _drop(self, error: OutriderError) -> None:
        """Forget a connection that failed: a new one reads secrets anew."""
        if isinstance(error, AuthError):
            self._login.refused()
        self.close()

    def _poll(self, client: HubClient, position: Position) -> Poll:
        asked = to_us(self._clock.now())
        held = client.bounds(client.partitions())
        jobs = self._jobs(position, held)
        wanted = {job.place: job.bounds for job in jobs if job.bounds.oldest < job.bounds.end}
        came = client.read(wanted, self._seconds) if wanted else {}
        if wanted and not any(came[p].stands > wanted[p].oldest for p in wanted):
            raise client.gate.silent()
        portion = self._take(jobs, came, position, asked)
        _settle(position, held, asked)
        position.lost = still_told(position.lost, from_us(asked))
        return Poll(
            batches=(portion.table,) if portion.table.num_rows else (),
            rejects=portion.rejects,
            cursor=position.cursor(),
            complete_to=None if position.complete_to is None else from_us(position.complete_to),
            received=portion.received,
            ignored=portion.ignored,
            missing=tuple(position.lost),
        )

    def _jobs(self, position: Position, held: Mapping[TopicPartition, Bounds]) -> list[_Job]:
        """What to do, the partition that is furthest behind first."""
        found = (_job(position, place, bounds) for place, bounds in held.items())
        jobs = [job for job in found if job is not None]
        jobs.sort(key=lambda job: (_at(position, job.key), job.key))
        full = sum(job.bounds.oldest < job.bounds.end for job in jobs)
        share = max(1, _MOST_MESSAGES // max(1, full))
        return [
            job._replace(
                bounds=Bounds(job.bounds.oldest, min(job.bounds.end, job.bounds.oldest + share))
            )
            for job in jobs
        ]

    def _take(
        self,
        jobs: Sequence[_Job],
        came: Mapping[TopicPartition, Stretch],
        position: Position,
        asked: int,
    ) -> Portion:
        """The records of what came; the position then stands behind them."""
        taking = Taking(self._settings)
        for job in jobs:
            start, since = job.bounds.oldest, _at(position, job.key) or None
            stretch = came.get(job.place)
            if stretch is None:  # nothing is left there
                position.places[job.key] = Place(start, asked)
                _tell_loss(position, job, since, asked)
                continue
            stands, at = start, since
            for message in stretch.messages:
                if taking.full(self._most):
                    break
                taking.take(job.key, message)
                at = arrival(message) or at
                if stands == start:
                    _tell_loss(position, job, since, at or asked)
                stands = message.offset + 1
            else:
                stands = max(stands, stretch.stands)
            if stands > start:
                position.places[job.key] = Place(stands, at)
        return taking.portion()


def _job(position: Position, place: TopicPartition, held: Bounds) -> _Job | None:
    """What to do with a partition; None = nothing."""
    key = _key(place)
    known = position.places.get(key)
    if known is None:
        return _Job(place, key, held, None)
    if known.next > held.end:
        return _Job(place, key, held, _ANEW)
    if known.next < held.oldest:
        return _Job(place, key, held, _LATE)
    if known.next == held.end:
        return None
    return _Job(place, key, Bounds(known.next, held.end), None)


def _key(place: TopicPartition) -> str:
    return f"{place.topic}/{place.partition}"


def _at(position: Position, key: str) -> int:
    """Until when a partition is read, us since 1970; 0 = not known."""
    known = position.places.get(key)
    return 0 if known is None or known.at is None else known.at


def _tell_loss(position: Position, job: _Job, since: int | None, until: int) -> None:
    """Note the time between what was read and the first that is left."""
    if job.loss is None:
        return
    if since is None:
        since = position.complete_to
    begin = until if since is None else min(since, until)
    reason = job.loss.format(place=job.key)
    position.lost.append(Missing(from_us(begin), from_us(until), reason))


def _settle(position: Position, held: Mapping[TopicPartition, Bounds], asked: int) -> None:
    """Note of what is at its end that it was so when it was asked, and what is complete by that."""
    for place, bounds in held.items():
        known = position.places.get(_key(place))
        if known is not None and known.next == bounds.end:
            known.at = asked
    moments = [_at(position, _key(place)) for place in held]
    if all(moments):
        # The clock of the namespace may be ahead of ours.
        position.complete_to = max(min(asked, *moments), position.complete_to or 0)
