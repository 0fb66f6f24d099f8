from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pipeline.cli import lazy, main
from pipeline.model.errors import AuthError, ConfigError, ExitCode, OutriderError, StateError
from tests.warm import OUTRIDER

if TYPE_CHECKING:
    from pathlib import Path


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(*_args: object) -> None:
        raise error

    monkeypatch.setattr("pipeline.report.folder.Folder.__init__", broken)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("a: b"), ExitCode.USAGE),
        (StateError("c: d"), ExitCode.FAILURE),
        (AuthError("e"), ExitCode.FAILURE),
        (OutriderError("f"), ExitCode.FAILURE),
    ],
)
def test_an_error_is_one_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: OutriderError,
    code: int,
) -> None:
    failing(monkeypatch, error)
    assert main.main(["flags", "list"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"outrider: {error}\n"


def test_a_bug_is_one_line_without_personal_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, KeyError("jo@contoso.com"))
    assert main.main(["flags", "list"]) == ExitCode.FAILURE
    err = capsys.readouterr().err
    assert err.startswith("outrider: unexpected KeyError: ")
    assert "contoso" not in err
    assert "Traceback" not in err


def test_debug_shows_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, KeyError("x"))
    main.main(["--debug", "flags", "list"])
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["flags", "list"], "interrupted"),
        (["backfill", "x"], "interrupted; the same command goes on from here"),
    ],
)
def test_interrupted_is_130_and_says_how_to_go_on_where_one_can(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    failing(monkeypatch, KeyboardInterrupt())

    def stopped(*_args: object, **_tools: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.cli.backfill.load", stopped)
    assert main.main(words) == 130
    assert capsys.readouterr().err == f"outrider: {said}\n"


def test_a_typo_in_a_command_is_helped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["incidnts"]) == ExitCode.USAGE
    assert "Did you mean 'incidents'?" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--log-format", "xml"], ["--log-level", "loud"]])
def test_a_wrong_global_option_is_named(
    capsys: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    assert main.main([*wrong, "flags", "list"]) == ExitCode.USAGE
    assert wrong[0] in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--version"]) == 0
    assert re.fullmatch(r"outrider \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize("name", lazy.COMMANDS)
def test_every_command_of_the_table_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([name, "--help"]) == 0
    assert f"Usage: outrider {name}" in capsys.readouterr().out


def test_help_imports_nothing_heavy_and_is_instant() -> None:
    code = (
        "import sys\nfrom pipeline.cli.main import main\nassert main(['--help']) == 0\n"
        "heavy = {'numpy', 'pyarrow', 'river', 'pydantic', 'structlog', 'jinja2', 'rich'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    for name in lazy.COMMANDS:
        assert name in done.stdout
    # 0.08 s on two idle cores; the rest is room for a busy machine.
    assert took < 2


def test_a_reader_that_has_had_enough_is_no_traceback(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*OUTRIDER, "config", "example"],
        stdout=write, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_polite_kill_is_an_interruption() -> None:
    code = (
        "import os, signal\nfrom pipeline.cli import main\n"
        "import pipeline.report.folder as f\n"
        "f.Folder.__init__ = lambda *a: os.kill(os.getpid(), signal.SIGTERM)\n"
        "import sys; sys.argv = ['outrider', 'flags', 'list']\nmain.run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.INTERRUPTED, signal.strsignal(-done.returncode)
    assert "Traceback" not in done.stderr
