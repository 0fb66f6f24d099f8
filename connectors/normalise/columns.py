"""Rows under way to an event table: codes instead of texts, one list for each column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from connectors.normalise.identifiers import fold_ids
from connectors.normalise.times import parse_times
from pipeline.model.event import EVENT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from connectors.normalise.arrivals import Arrivals
    from connectors.normalise.clients import Profile

_LATEST_ARRIVAL: Final = 7 * 24 * 3600 * 1_000_000  # later than that, a clock is wrong
_CONTEXTS: Final = 20_000
_LARGEST: Final = 2**31 - 1
_NAME: Final = pa.dictionary(pa.int32(), pa.string())


class Context(NamedTuple):
    """What records of one kind, place and outcome share."""

    tenant: str
    source: str
    operation: str
    outcome: str
    error_code: int | None
    country: str | None
    network: str | None
    flags: int


class Columns(NamedTuple):
    """Rows of events as arrays of one length, still without their texts.

    Attributes:
        ids: uint8, shape (rows, 16).
        event_time: int64, microseconds since 1970.
        received_time: int64, microseconds since 1970, 0 where it is not known.
        profile: int64, number of the profile.
        context: int64, number of the context.
        user: uint64, keyed hash, 0 for nobody.
        weight: int32, accesses that the record stands for.
        latency: int64, ms, -1 where it is not known.
        networks: names, and int64: which of them a row has.
    """

    ids: NDArray[np.uint8]
    event_time: NDArray[np.int64]
    received_time: NDArray[np.int64]
    profile: NDArray[np.int64]
    context: NDArray[np.int64]
    user: NDArray[np.uint64]
    weight: NDArray[np.int32]
    latency: NDArray[np.int64]
    networks: tuple[Sequence[str | None], NDArray[np.int64]]


def event_table(
    rows: Columns, profiles: Sequence[Profile], contexts: Sequence[Context]
) -> pa.Table:
    """Table of EVENT_SCHEMA; an arrival before its event or a week after it is not believed."""
    profile, context = rows.profile, rows.context
    count = len(profile)
    delay = rows.received_time - rows.event_time
    arrived = (rows.received_time > 0) & (delay >= 0) & (delay < _LATEST_ARRIVAL)
    codes = np.array([-1 if c.error_code is None else c.error_code for c in contexts], np.int32)
    unknown = np.array([c.error_code is None for c in contexts], bool)
    flags = np.array([c.flags for c in contexts], np.uint8)
    stamp = EVENT_SCHEMA.field("event_time").type
    ids = pa.py_buffer(np.ascontiguousarray(rows.ids))
    columns = {
        "event_id": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, ids]),
        "event_time": pa.array(rows.event_time).cast(stamp),
        "received_time": pa.array(rows.received_time, mask=~arrived).cast(stamp),
        "tenant": names([c.tenant for c in contexts], context),
        "source": names([c.source for c in contexts], context),
        "service": names([p.service.value for p in profiles], profile),
        "client": names([p.client.value for p in profiles], profile),
        "client_version": names([p.version for p in profiles], profile),
        "operation": names([c.operation for c in contexts], context),
        "outcome": names([c.outcome for c in contexts], context),
        "error_code": pa.array(codes[context], mask=unknown[context]),
        "user": pa.array(rows.user, mask=rows.user == 0),
        "country": names([c.country for c in contexts], context),
        "network": names(*rows.networks),
        "device_class": names([p.device for p in profiles], profile),
        "weight": pa.array(rows.weight),
        "latency_ms": pa.array(rows.latency.astype(np.int32), mask=rows.latency < 0),
        "flags": pa.array(flags[context]),
    }
    return pa.Table.from_arrays([columns[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA)


class Rows:
    """Columns of one source, filled a row at a time and turned to a table at once.

    A row is complete when every list has grown by one; readers look everything up first
    and append last, so that a record that lacks a field leaves no half row behind.
    """

    def __init__(self) -> None:
        self.profiles: list[Profile] = []
        self.contexts: list[Context] = []
        self.profile_codes: dict[Any, int] = {}
        self.context_codes: dict[Any, int] = {}
        self.clear()

    def clear(self) -> None:
        """Forget the rows; keep the caches while they are small."""
        self.ids: list[str] = []
        self.created: list[str | None] = []
        self.received: list[str | None] = []
        self.profile: list[int] = []
        self.context: list[int] = []
        self.user: list[int] = []
        self.weight: list[int] = []
        self.latency: list[int] = []
        self.at: list[int] = []
        if len(self.profiles) > _CONTEXTS:
            self.profiles.clear()
            self.profile_codes.clear()
        if len(self.contexts) > _CONTEXTS:
            self.contexts.clear()
            self.context_codes.clear()

    @property
    def crowded(self) -> bool:
        """Whether so many kinds have been seen that memory asks for a table now."""
        return max(len(self.profiles), len(self.contexts)) > _CONTEXTS

    def __len__(self) -> int:
        return len(self.ids)

    def profile_code(self, key: Any, profile: Profile) -> int:
        """Remember a profile under its key and return its code."""
        self.profiles.append(profile)
        self.profile_codes[key] = code = len(self.profiles) - 1
        return code

    def context_code(self, key: Any, context: Context) -> int:
        """Remember a context under its key and return its code."""
        self.contexts.append(context)
        self.context_codes[key] = code = len(self.contexts) - 1
        return code

    def table(
        self, arrivals: Arrivals | None = None
    ) -> tuple[pa.Table, list[int], NDArray[np.int64], NDArray[np.int64]]:
        """The rows with a valid time as a table of EVENT_SCHEMA.

        Args:
            arrivals: what is known of their arrival beside what they tell.

        Returns:
            The table; where the rows without a valid time stood (``at``); and the profile
            and context codes of the rows in the table.
        """
        event_time, good = parse_times(self.created)
        received = np.zeros(len(self), np.int64)
        if any(self.received):
            times, known = parse_times(self.received)
            received[known] = times[known]
        if arrivals is not None:
            received = arrivals.over(received, self.at)
        profile = np.array(self.profile, np.int64)
        context = np.array(self.context, np.int64)
        columns = Columns(
            ids=fold_ids(self.ids),
            event_time=event_time,
            received_time=received,
            profile=profile,
            context=context,
            user=np.array(self.user, np.uint64),
            # Only audit records carry a weight and only sign-ins a latency.
            weight=np.array(self.weight or [1] * len(self), np.int32),
            latency=_bounded(self.latency or [-1] * len(self)),
            networks=([c.network for c in self.contexts], context),
        )
        table = event_table(columns, self.profiles, self.contexts)
        if good.all():
            return table, [], profile, context
        bad = [self.at[i] for i in np.flatnonzero(~good)]
        return table.filter(pa.array(good)), bad, profile[good], context[good]


def _bounded(values: list[int]) -> NDArray[np.int64]:
    """Whole numbers of any size; -1 for what does not fit in 31 bits."""
    try:
        out = np.array(values, np.int64)
    except OverflowError:
        out = np.array([v if 0 <= v <= _LARGEST else -1 for v in values], np.int64)
    out[(out < 0) | (out > _LARGEST)] = -1
    return out


def names(values: Sequence[str | None], rows: NDArray[np.int64]) -> pa.DictionaryArray:
    """Dictionary column of ``values[row]``, holding only the values that are used."""
    used = np.zeros(len(values), bool)
    used[rows] = True
    texts: dict[str, int] = {}
    codes = np.full(len(values), -1, np.int32)
    for index in np.flatnonzero(used).tolist():
        value = values[index]
        if value is not None:
            codes[index] = texts.setdefault(value, len(texts))
    column = codes[rows]
    # Arrow looks up what stands under a null too when it unifies dictionaries, and an index
    # of -1 read memory before the first entry: now and then that was nobody's.
    indices = pa.array(np.maximum(column, 0), mask=column < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(texts), pa.string())).cast(_NAME)
