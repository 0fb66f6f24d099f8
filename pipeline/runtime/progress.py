"""One line that tells how far, how fast and how long still; only where a person looks on."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Final, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_REDRAW_SECONDS: Final = 0.1  # ten times a second looks smooth and costs nothing
_RATE_SECONDS: Final = 5.0  # time constant of the rate: short enough to show a slow disk
_HIDE: Final = "\x1b[?25l"
_SHOW: Final = "\x1b[?25h"
_CLEAR: Final = "\r\x1b[2K"

_shown: list[Progress] = []


def clear_line() -> None:
    """Wipe the progress line, if one is drawn, so that a log line can stand in its place."""
    for progress in _shown:
        progress.clear()


class Progress:
    """Progress of one piece of work after another, on one line of standard error.

    Draws only if the stream is a terminal; otherwise every method does nothing. The cursor
    is hidden while a line is drawn and shown again by :meth:`finish`, which leaving the
    ``with`` block calls, whatever the reason. Calls are cheap: at most ten draws a second.

    >>> with Progress() as progress:
    ...     progress.start("reading", total=2_000_000, unit="B")
    ...     progress.advance(1_000_000)
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        enabled: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        width: Callable[[], int] | None = None,
    ) -> None:
        """Draw on ``stream`` (standard error).

        Args:
            stream: where to draw.
            enabled: None = only if the stream is a terminal.
            clock: seconds, rising.
            width: columns of the terminal.
        """
        self._stream = sys.stderr if stream is None else stream
        self.enabled = self._stream.isatty() if enabled is None else enabled
        self._clock = clock
        self._width = width or _terminal_width
        self._label = ""
        self._note = ""
        self._unit = ""
        self._total: float | None = None
        self._done = 0.0
        self._rate = 0.0
        self._began = self._measured_at = self._drawn_at = 0.0
        self._measured = 0.0
        self._active = False
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()

    def start(self, label: str, total: float | None = None, unit: str = "") -> None:
        """Begin a piece of work of ``total`` units (None = not known); ``B`` prints as MB."""
        if not self.enabled:
            return
        self._label, self._total, self._unit, self._note = label, total, unit, ""
        self._done = self._measured = self._rate = 0.0
        self._began = self._measured_at = self._clock()
        if not self._active:
            self._active = True
            _shown.append(self)
            self._stream.write(_HIDE)
        self._draw()

    def advance(self, amount: float = 1.0) -> None:
        """Count ``amount`` more units as done."""
        if self._active:
            self._done += amount
            self._redraw()

    def update(self, done: float, note: str | None = None) -> None:
        """Set the units done so far, and what is being worked on."""
        if self._active:
            self._done = done
            self._note = self._note if note is None else note
            self._redraw()

    def clear(self) -> None:
        """Wipe the line; the next change draws it again."""
        if self._drawn:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._drawn = False
            self._drawn_at = 0.0

    def finish(self) -> None:
        """Wipe the line and give the cursor back; further work may be started."""
        if self._active:
            self._active = False
            _shown.remove(self)
            self._stream.write(_CLEAR + _SHOW)
            self._stream.flush()
            self._drawn = False

    def _redraw(self) -> None:
        if self._clock() - self._drawn_at >= _REDRAW_SECONDS or not self._drawn:
            self._draw()

    def _draw(self) -> None:
        now = self._clock()
        self._measure(now)
        line = self._line(now)
        self._stream.write(_CLEAR + line[: max(self._width() - 1, 0)])
        self._stream.flush()
        self._drawn, self._drawn_at = True, now

    def _measure(self, now: float) -> None:
        elapsed = now - self._measured_at
        if elapsed <= 0:
            return
        latest = (self._done - self._measured) / elapsed
        # Until one time constant has passed the plain mean is the better guess.
        age = now - self._began
        if age <= _RATE_SECONDS:
            self._rate = self._done / age
        else:
            share = min(1.0, elapsed / _RATE_SECONDS)
            self._rate += share * (latest - self._rate)
        self._measured, self._measured_at = self._done, now

    def _line(self, now: float) -> str:
        parts = [self._label]
        if self._total:
            share = min(self._done / self._total, 1.0)
            parts.append(f"{_bar(share)} {share:4.0%}")
        parts.append(quantity(self._done, self._unit))
        if self._rate > 0:
            parts.append(f"{quantity(self._rate, self._unit)}/s")
        if self._total and self._rate > 0 and self._done < self._total:
            parts.append(f"{duration((self._total - self._done) / self._rate)} left")
        else:
            parts.append(duration(now - self._began))
        if self._note:
            parts.append(self._note)
        return "  ".join(parts)


def quantity(amount: float, unit: str) -> str:
    """A number a person can read, in decimal multiples.

    >>> quantity(1_234_567_890, "B"), quantity(41_300, "records"), quantity(7, "")
    ('1.23 GB', '41.3 k records', '7')
    """
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if amount >= factor:
            gap = "" if unit == "B" else " " * bool(unit)
            return f"{amount / factor:.3g} {prefix}{gap}{unit}"
    return f"{amount:.3g} {unit}".rstrip()


def duration(seconds: float) -> str:
    """A stretch of time in its two largest units.

    >>> duration(8.2), duration(200), duration(7500)
    ('8 s', '3 min 20 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _bar(share: float) -> str:
    filled = round(share * 20)
    return "█" * filled + "░" * (20 - filled)


def _terminal_width() -> int:
    return shutil.get_terminal_size().columns
