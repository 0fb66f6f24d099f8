"""The log as the options before the command set it up; light, for commands that start often."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pipeline.cli.main import OPTIONS
from pipeline.runtime.telemetry import configure

if TYPE_CHECKING:
    from pipeline.runtime.telemetry import LogFormat


def start_logging() -> None:
    """Set the log up as the options before the command say."""
    configure(cast("LogFormat", OPTIONS.log_format), level=OPTIONS.log_level)
