"""The destinations of [deliver]: whether each can be made, and whether it lets us in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.model.errors import OutriderError
from pipeline.runtime.checking.finding import Finding, State, of_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.runtime.config import Config


def destinations(config: Config, state: Path) -> Iterator[Finding]:
    """Make each destination and have it look, where it can do so without sending anything.

    Args:
        config: checked already.
        state: folder of the run's state.
    """
    # Where none is configured, nobody needs their clients.
    from pipeline.runtime.destinations import names, people, records  # noqa: PLC0415
    from pipeline.runtime.notify_settings import settings_of  # noqa: PLC0415
    from pipeline.runtime.telemetry import get_logger  # noqa: PLC0415

    ledger, log = state / "ledger.sqlite", get_logger("check")
    known, told = names(config)
    for name in known:
        try:
            sink = records(config, [name])[name]
        except OutriderError as error:
            yield of_error(name, "settings", error)
        else:
            yield _looked(name, sink)
    for name in told:
        try:
            people(config, [name], ledger=ledger, log=log)
        except OutriderError as error:
            yield of_error(name, "settings", error)
        else:
            said = f"set up; 'outrider incidents route send {name}' sends a test message"
            yield Finding(name, "settings", State.OK, said)
    try:
        settings_of(config)
    except OutriderError as error:
        yield of_error("notify", "routes", error)
    else:
        if told:
            yield Finding("notify", "routes", State.OK, f"lead to {', '.join(told)}")


def _looked(name: str, sink: Any) -> Finding:
    look = getattr(sink, "check", None)
    if look is None:
        return Finding(name, "settings", State.OK, "set up; nothing is sent to try it")
    try:
        look()
    except OutriderError as error:
        return of_error(name, "access", error)
    finally:
        close = getattr(sink, "close", None)
        if close is not None:
            close()
    return Finding(name, "access", State.OK, "lets us in")
