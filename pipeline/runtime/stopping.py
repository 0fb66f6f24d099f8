"""A polite end: the first signal asks a loop to finish its step, the second ends it at once."""

from __future__ import annotations

import _thread
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class _Asked(threading.Event):
    """An event that a signal handler may set while its own thread waits for it.

    ``Event.set`` takes a lock that the interrupted ``Event.wait`` of the same thread may
    hold: a handler that called it could wait for itself for ever. So the handler leaves a
    mark, and a thread of its own takes the lock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.marked = False

    def mark(self) -> None:
        """Set it from a signal handler."""
        self.marked = True
        # The bare call: Thread.start takes a lock that the interrupted code may hold too.
        _thread.start_new_thread(self.set, ())

    def is_set(self) -> bool:
        """Whether to stop."""
        return self.marked or super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for at most ``timeout`` seconds; whether to stop."""
        return self.marked or super().wait(timeout) or self.marked


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Turn SIGTERM and SIGINT into an event while the block runs.

    The loop inside ends after its step: ``stopped.wait(seconds)`` pauses it and tells
    whether to stop, ``stopped.is_set()`` tells the same without a pause. Whoever does not
    want to wait sends a second signal.

    Signals reach the main thread alone. In any other thread the event is given, and who
    handles signals stays as it is.

    Raises:
        KeyboardInterrupt: inside the block, on the second signal.
    """
    asked = _Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(_signal: int, _frame: Any) -> None:
        if asked.marked:
            raise KeyboardInterrupt
        asked.mark()

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
