"""Logs: structured, on standard error, one canonical line for each unit of work.

On a terminal a line reads ``12:04:07 info  backfill  records=41300 seconds=8.2``; elsewhere
it is one JSON object. A last processor takes out whatever looks like a mail address or an
IP address, but for those that the configuration connects to: callers never log personal data, and
this makes a slip harmless.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, TypeAlias

from pipeline.model.errors import OutriderError
from pipeline.runtime.logging_library import structlog
from pipeline.runtime.own_addresses import is_own
from pipeline.runtime.progress import clear_line
from pipeline.runtime.tracing import span

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from structlog.typing import FilteringBoundLogger, Processor

LogFormat: TypeAlias = Literal["auto", "console", "json"]

MAIL_MARK: Final = "[mail address removed]"
IP_MARK: Final = "[ip address removed]"

# Internationalised and quoted local parts are rare; any run of non-space around an @ with
# a dot after it is taken, so that the error is on the side of privacy.
_MAIL: Final = re.compile(
    r"[^\s@<>\"'(),;:=]+(?:@|%40)[^\s@<>\"'(),;:=/]+\.[^\s@<>\"'(),;:=/.]{2,}"
)
_IPV4: Final = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)")
_IPV6: Final = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?![\w:])")


def redact(text: str) -> str:
    """``text`` without mail addresses and IP addresses, but for those of :mod:`own_addresses`.

    Four dotted numbers below 256 are an address, even if they were a version.

    >>> redact("failed for jo@contoso.com from 203.0.113.9 at 08:00:00")
    'failed for [mail address removed] from [ip address removed] at 08:00:00'
    """
    if "@" in text or "%40" in text:
        text = _MAIL.sub(MAIL_MARK, text)
    if "." in text:
        text = _IPV4.sub(_mark_address, text)
    if ":" in text:
        text = _IPV6.sub(_mark_address, text)
    return text


def _mark_address(match: re.Match[str]) -> str:
    # A sentence may end right after the address.
    found = match[0].rstrip(".")
    tail = match[0][len(found) :]
    if found.endswith(":") and not found.endswith("::"):
        found, tail = found[:-1], ":" + tail
    try:
        address = ipaddress.ip_address(found)
    except ValueError:
        return match[0]
    # Behind an @ it is somebody's mailbox there.
    own = is_own(address) and not match.string[: match.start()].endswith(("@", "%40"))
    return match[0] if own else IP_MARK + tail


def redact_event(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Processor: :func:`redact` every value of the event, however deep."""
    for key in event:
        if key not in {"timestamp", "level"}:
            event[key] = _redacted(event[key])
    return event


def _redacted(value: Any) -> Any:
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    if isinstance(value, dict):
        return {redact(str(k)): _redacted(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redacted(v) for v in value]
    # Whatever else it is, the renderer would print its text.
    return redact(str(value))


def configure(
    log_format: LogFormat = "auto",
    *,
    level: str = "info",
    stream: TextIO | None = None,
) -> None:
    """Set up logging for this process; worker processes call it too.

    Args:
        log_format: ``auto`` = console on a terminal, JSON otherwise.
        level: least level that is written (``debug``, ``info``, ``warning``, ``error``).
        stream: where to write; standard error by default.
    """
    target = sys.stderr if stream is None else stream
    console = target.isatty() if log_format == "auto" else log_format == "console"
    shape: list[Processor] = (
        [structlog.processors.TimeStamper("%H:%M:%S", utc=False), redact_event, _console_line]
        if console
        else [
            structlog.processors.TimeStamper("iso", utc=True),
            redact_event,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            *shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_args: _LineLogger(target),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry ``logger=name``."""
    logger: FilteringBoundLogger = structlog.get_logger().bind(logger=name)
    return logger


@contextmanager
def unit_of_work(log: FilteringBoundLogger, name: str, **fields: Any) -> Iterator[dict[str, Any]]:
    """Log one line when the block ends: the fields put into the dict, outcome and seconds.

    An exception is logged by its class and goes on. What was raised on purpose tells its reason
    too, redacted: a collector of logs gets no other line. Any other message may hold anything.
    """
    work: dict[str, Any] = dict(fields)
    began = time.monotonic()
    try:
        with span(name) as told:
            yield work
            told.update(_plain(work))
    except BaseException as error:
        stopped = isinstance(error, (KeyboardInterrupt, GeneratorExit))
        work["outcome"] = "interrupted" if stopped else "failed"
        work["error"] = type(error).__name__
        if isinstance(error, OutriderError):
            work["reason"] = redact(str(error))
        raise
    else:
        work.setdefault("outcome", "ok")
    finally:
        seconds = round(time.monotonic() - began, 3)
        write = log.info if work["outcome"] == "ok" else log.warning
        write(name, **work, seconds=seconds)


def _plain(work: dict[str, Any]) -> dict[str, Any]:
    """What of a line may stand in a trace: numbers and closed names."""
    return {k: v for k, v in work.items() if isinstance(v, (bool, int, float, str))}


class _LineLogger:
    """Writes whole lines, and wipes the progress line before each."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, message: str) -> None:
        clear_line()
        self._stream.write(message + "\n")
        self._stream.flush()

    debug = info = warning = error = critical = exception = log = msg


def _console_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    exception = event.pop("exception", None)
    head = f"{event.pop('timestamp')} {event.pop('level'):7} {event.pop('event')}"
    line = "  ".join([head, " ".join(f"{k}={_word(v)}" for k, v in event.items())]).rstrip()
    return line if exception is None else f"{line}\n{exception}"


def _word(value: Any) -> str:
    text = str(value)
    plain = text and all(c.isprintable() and c not in ' "=' for c in text)
    return text if plain else repr(text)
