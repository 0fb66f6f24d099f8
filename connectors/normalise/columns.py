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

    def table(self) -> tuple[pa.Table, list[int], NDArray[np.int64], NDArray[np.int64]]:
        """The rows with a valid time as a table of EVENT_SCHEMA.

        Returns:
            The table; where the rows without a valid time stood (``at``); and the profile
            and context codes of the rows in the table.
        """
        event_time, good = parse_times(self.created)
        received, arrived = self._arrivals(event_time)
        profile = np.array(self.profile, np.int64)
        context = np.array(self.context, np.int64)
        arrays = self._arrays(event_time, received, arrived, profile, context)
        table = pa.Table.from_arrays(arrays, schema=EVENT_SCHEMA)
        if good.all():
            return table, [], profile, context
        bad = [self.at[i] for i in np.flatnonzero(~good)]
        return table.filter(pa.array(good)), bad, profile[good], context[good]

    def _arrivals(
        self, event_time: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        if not any(self.received):
            return event_time, np.zeros(len(self), bool)
        received, known = parse_times(self.received)
        delay = received - event_time
        return received, known & (delay >= 0) & (delay < _LATEST_ARRIVAL)

    def _arrays(
        self,
        event_time: NDArray[np.int64],
        received: NDArray[np.int64],
        arrived: NDArray[np.bool_],
        profile: NDArray[np.int64],
        context: NDArray[np.int64],
    ) -> list[pa.Array]:
        users = np.array(self.user, np.uint64)
        # Only audit records carry a weight and only sign-ins a latency.
        weights = np.array(self.weight or [1] * len(self), np.int32)
        latency = _bounded(self.latency or [-1] * len(self))
        codes = np.array([-1 if c.error_code is None else c.error_code for c in self.contexts])
        unknown = np.array([c.error_code is None for c in self.contexts], bool)
        flags = np.array([c.flags for c in self.contexts], np.uint8)
        profiles, contexts = self.profiles, self.contexts
        stamp = EVENT_SCHEMA.field("event_time").type
        ids = pa.py_buffer(fold_ids(self.ids).tobytes())
        columns = {
            "event_id": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(self), [None, ids]),
            "event_time": pa.array(event_time).cast(stamp),
            "received_time": pa.array(received, mask=~arrived).cast(stamp),
            "tenant": names([c.tenant for c in contexts], context),
            "source": names([c.source for c in contexts], context),
            "service": names([p.service.value for p in profiles], profile),
            "client": names([p.client.value for p in profiles], profile),
            "client_version": names([p.version for p in profiles], profile),
            "operation": names([c.operation for c in contexts], context),
            "outcome": names([c.outcome for c in contexts], context),
            "error_code": pa.array(codes[context].astype(np.int32), mask=unknown[context]),
            "user": pa.array(users, mask=users == 0),
            "country": names([c.country for c in contexts], context),
            "network": names([c.network for c in contexts], context),
            "device_class": names([p.device for p in profiles], profile),
            "weight": pa.array(weights),
            "latency_ms": pa.array(latency.astype(np.int32), mask=latency < 0),
            "flags": pa.array(flags[context]),
        }
        return [columns[name] for name in EVENT_SCHEMA.names]


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
    indices = pa.array(column, mask=column < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(texts), pa.string())).cast(_NAME)
