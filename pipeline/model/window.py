"""Closed windows: what happened in every cell in every minute, silence included."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa

from pipeline.model.vocabulary import Client, Outcome, OutcomeFamily, Service, Source

if TYPE_CHECKING:
    from collections.abc import Mapping


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
WINDOW_VERSION: Final = "outrider.window/1"


class Cell(NamedTuple):
    """What is watched on its own: one client reaching one service, as one source tells it."""

    tenant: str
    source: Source
    service: Service
    client: Client


def newly_failing(family: OutcomeFamily) -> str:
    """Name of the column that counts users who newly fail in ``family``."""
    return f"newly_failing_{family}"


def outcome_column(outcome: Outcome) -> str:
    """Name of the column that counts attempts ending in ``outcome``."""
    return f"outcome_{outcome}"


# A user counts at most once an hour in the "newly" columns, so that one device in a
# retry storm is one user (reference figures: attempt counts miss every outage then).
COUNT_COLUMNS: Final = (
    "attempts",  # records that are an attempt (interrupts apart)
    "weight",  # accesses folded into the successful records, winsorised by user
    "users",  # distinct users
    "failing_users",  # distinct users with a failure of any family
    "newly_active",  # users whose first success of their hour falls in this minute
    "newly_pressing",  # users whose fourth minute with an attempt in their hour is this one
    "eligible_pressing",  # users not yet pressing in their hour
    *(f"eligible_{f}" for f in OutcomeFamily),  # users not yet failing in their hour
    *(newly_failing(f) for f in OutcomeFamily),
    *(outcome_column(o) for o in Outcome),
    "late",  # records that arrived later than the source's declared delay
)

WINDOW_SCHEMA: Final = pa.schema(
    [
        pa.field("minute", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("tenant", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("source", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("service", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("client", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        *(pa.field(c, pa.int32(), nullable=False) for c in COUNT_COLUMNS),
        pa.field("completeness", pa.float32(), nullable=False),
        pa.field("revision", pa.int32(), nullable=False),
    ],
    metadata={b"outrider.schema": WINDOW_VERSION.encode()},
)

# One user's hour in one cell: what scope, alternatives and the affected users are read
# from. ``ok`` and the failure columns count attempts; ``code`` is the commonest failure
# code of the hour (null if none).
USER_HOUR_SCHEMA: Final = pa.schema(
    [
        pa.field("hour", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("tenant", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("source", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("service", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("client", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("user", pa.uint64(), nullable=False),
        pa.field("country", pa.dictionary(pa.int32(), pa.string())),
        pa.field("network", pa.dictionary(pa.int32(), pa.string())),
        pa.field("client_version", pa.dictionary(pa.int32(), pa.string())),
        pa.field("attempts", pa.int32(), nullable=False),
        pa.field("ok", pa.int32(), nullable=False),
        *(pa.field(f"failed_{f}", pa.int32(), nullable=False) for f in OutcomeFamily),
        pa.field("code", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch in which a source told nothing although it should have.

    ``expected`` is the number of records such a stretch usually holds.
    """

    tenant: str
    source: Source
    start: datetime
    end: datetime
    expected: float


@dataclass(frozen=True, slots=True)
class WindowBlock:
    """All cells over a run of whole hours: ``counts[name][cell, minute]``.

    Attributes:
        start: first minute, on a full hour.
        minutes: number of minutes, a multiple of 60.
        cells: the rows of the arrays; a cell stays once it has been seen.
        counts: by column name, int32 arrays of shape (cells, minutes), see COUNT_COLUMNS.
        codes: newly failing users by (cell index, error code), arrays of shape (minutes,).
        completeness: by (tenant, source), float32 array of shape (minutes,), 0 = blind.
        user_hours: table of USER_HOUR_SCHEMA for the hours of this block.
        gaps: gaps that end, or reach the end of the data, in this block.
        settle: by (tenant, source), seconds after a minute's end until half and until
            95 % of its records have arrived: (median, p95).
        measured: the (tenant, source) whose settle times were measured, not declared.
    """

    start: datetime
    minutes: int
    cells: tuple[Cell, ...]
    counts: Mapping[str, Any]
    codes: Mapping[tuple[int, int], Any]
    completeness: Mapping[tuple[str, Source], Any]
    user_hours: pa.Table
    gaps: tuple[Gap, ...] = ()
    settle: Mapping[tuple[str, Source], tuple[float, float]] = field(default_factory=dict)
    measured: frozenset[tuple[str, Source]] = frozenset()


# Hourly observed and expected values by lane, with the band in which 99 % of quiet hours
# fall; what the report draws.
TIMELINE_SCHEMA: Final = pa.schema(
    [
        pa.field("hour", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("tenant", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("service", pa.string(), nullable=False),
        pa.field("client", pa.string(), nullable=False),
        pa.field("signal", pa.string(), nullable=False),
        pa.field("observed", pa.float64(), nullable=False),
        pa.field("expected", pa.float64()),
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        pa.field("completeness", pa.float32(), nullable=False),
    ]
)


def moment(minute: int) -> datetime:
    """The UTC moment at which a minute, counted since 1970, begins."""
    return _EPOCH + timedelta(minutes=minute)
