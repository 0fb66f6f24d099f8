import io

import pytest

from pipeline.runtime import telemetry
from pipeline.runtime.progress import Progress, clear_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def shown(terminal: Terminal) -> str:
    return terminal.getvalue().rsplit("\x1b[2K", 1)[-1]


def test_nothing_is_written_to_a_file() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.start("reading", total=10)
        progress.advance(5)
        progress.update(9, note="a.json")
        progress.clear()
    assert stream.getvalue() == ""


def test_rate_and_time_left() -> None:
    terminal, clock = Terminal(), Clock()
    progress = Progress(terminal, clock=clock, width=lambda: 200)
    progress.start("reading", total=2_000_000, unit="B")
    clock.now += 2
    progress.update(500_000, note="a.json")
    line = shown(terminal)
    assert "25%" in line
    assert "250 kB/s" in line
    assert "6 s left" in line
    assert "a.json" in line
    progress.finish()


def test_the_rate_follows_a_change_of_pace() -> None:
    terminal, clock = Terminal(), Clock()
    progress = Progress(terminal, clock=clock, width=lambda: 200)
    progress.start("reading", total=1e9, unit="B")
    done = 0.0
    for rate in (1e6, 1e5):
        for _ in range(40):
            clock.now += 1
            done += rate
            progress.update(done)
    assert "100 kB/s" in shown(terminal)
    progress.finish()


def test_no_total_no_guess() -> None:
    terminal, clock = Terminal(), Clock()
    progress = Progress(terminal, clock=clock, width=lambda: 200)
    progress.start("detecting")
    clock.now += 61
    progress.advance(3)
    assert "left" not in shown(terminal)
    assert "1 min 1 s" in shown(terminal)
    progress.finish()


def test_the_line_never_wraps() -> None:
    terminal, clock = Terminal(), Clock()
    progress = Progress(terminal, clock=clock, width=lambda: 20)
    progress.start("a" * 100, total=5)
    assert len(shown(terminal)) == 19
    progress.finish()


def test_at_most_ten_draws_a_second() -> None:
    terminal, clock = Terminal(), Clock()
    progress = Progress(terminal, clock=clock, width=lambda: 80)
    progress.start("reading", total=10_000)
    for _ in range(10_000):
        clock.now += 0.0001
        progress.advance()
    assert terminal.getvalue().count("\x1b[2K") <= 13
    progress.finish()


def test_the_cursor_comes_back_whatever_happens() -> None:
    terminal = Terminal()
    progress = Progress(terminal, width=lambda: 80)

    def work() -> None:
        with progress:
            progress.start("reading", total=2)
            progress.start("detecting", total=2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    text = terminal.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert text.endswith("\x1b[2K\x1b[?25h")
    assert "\n" not in text


def test_a_log_line_takes_the_place_of_the_progress_line() -> None:
    terminal = Terminal()
    with Progress(terminal, width=lambda: 80) as progress:
        progress.start("reading", total=2)
        telemetry.configure("console", stream=terminal)
        telemetry.get_logger("test").info("hello")
        before, _, line = terminal.getvalue().rpartition("\x1b[2K")
        assert "reading" in before
        assert "hello" in line
        progress.advance()
        assert "reading" in shown(terminal)
    clear_line()
    assert shown(terminal) == "\x1b[?25h"
