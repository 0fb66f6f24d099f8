"""Flags: one detector's word that one signal of one cell has changed (``outrider.flag/1``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 # read back at run time by documents.from_json
from enum import StrEnum
from typing import ClassVar

from pipeline.model.vocabulary import (  # noqa: TC001 # read back at run time
    Client,
    FlagKind,
    OutcomeFamily,
    Service,
    Signal,
    Source,
)


class FlagState(StrEnum):
    """Whether the detector still sees the change; retracted: it never should have."""

    OPEN = "open"
    CLOSED = "closed"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True)
class Flag:
    """One change point and its evidence; (flag_id, revision) is its key everywhere.

    Attributes:
        onset_at: estimated change point. raised_at: when the evidence was complete enough
            by arrival time. closed_at: estimated end of the change, of a closed flag.
        decided_at: event time at which the detector made up its mind about this revision.
        alarm_at: the event minute whose evidence crossed the threshold.
        score: log of the e-value (natural log). p_value: bound exp(-score).
        observed, expected: by name, over [onset_at, alarm_at or closed_at].
        family, error_code: of a failure, where the signal has one.
        completeness: of the minutes judged, 0..1.
        corrected_at: when, by arrival, records came that made this revision differ from
            the one before; None = it is no correction.
    """

    SCHEMA: ClassVar[str] = "outrider.flag/1"

    flag_id: str
    revision: int
    state: FlagState
    tenant: str
    source: Source
    service: Service
    client: Client
    signal: Signal
    kind: FlagKind
    onset_at: datetime
    alarm_at: datetime
    raised_at: datetime
    score: float
    p_value: float
    detector: str
    detector_version: str
    closed_at: datetime | None = None
    decided_at: datetime | None = None
    family: OutcomeFamily | None = None
    error_code: int | None = None
    observed: dict[str, float] = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)
    completeness: float = 1.0
    corrected_at: datetime | None = None
