"""The log as the options before the command set it up; light, for commands that start often."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

from pipeline.cli.main import OPTIONS
from pipeline.runtime.telemetry import configure

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from pipeline.runtime.telemetry import LogFormat


def start_logging() -> None:
    """Set the log up as the options before the command say."""
    configure(cast("LogFormat", OPTIONS.log_format), level=OPTIONS.log_level)


def tell_start(log: FilteringBoundLogger, **facts: Any) -> None:
    """One line when a role begins: without it nobody knows what runs until something happens.

    Args:
        log: of the role.
        facts: what it works with; those that are None or empty are left out.
    """
    told = {name: value for name, value in facts.items() if value}
    log.info("start", version=version("outrider"), **told)
