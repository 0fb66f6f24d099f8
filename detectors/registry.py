"""The table of detectors, by the name that flags carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detectors.joint import JointEvidence
from detectors.series import SeriesChange
from detectors.single import ClientShift, FailureSpike, NewErrorCode, RetryPressure, VolumeDrop

if TYPE_CHECKING:
    from pipeline.model.contracts import Detector

DETECTORS: Final[dict[str, type[Detector]]] = {
    "failure_spike": FailureSpike,
    "retry_pressure": RetryPressure,
    "new_error_code": NewErrorCode,
    "volume_drop": VolumeDrop,
    "client_shift": ClientShift,
    "joint": JointEvidence,
    "series_change": SeriesChange,
}
