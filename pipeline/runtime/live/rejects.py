"""Rejected records as dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.model.clock import to_us
from pipeline.model.dead_letter import DeadLetter

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.model.reject import Reject


def letter(reject: Reject, at: datetime) -> DeadLetter:
    """The letter that keeps a reject; ``at`` is when it was set aside."""
    place = [f"line {reject.line}"] if reject.line is not None else []
    place += [f"record {reject.record}"] if reject.record is not None else []
    place += [f"byte {reject.offset}"] if reject.offset is not None else []
    return DeadLetter(
        0,
        to_us(at),
        None,
        reject.reason.value,
        reject.detail,
        " ".join([reject.path, *place]),
        "record",
    )
