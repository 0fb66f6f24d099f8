"""How ``outrider events tail`` ends: by Ctrl-C, or when nobody reads on."""

from __future__ import annotations

import os
import sys
from itertools import repeat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = SimpleNamespace(
    partition=0, offset=1, timestamp=1, key=b"t", headers=[("kind", b"events")], value=b"x"
)


def stopped(*_args: Any) -> Iterator[Any]:
    yield RECORD
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("words", "code", "said"), [(["--follow"], 0, ""), ([], 130, "outrider: interrupted\n")]
)
def test_ctrl_c_is_how_one_stops_to_follow(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.setattr("pipeline.cli.events.look", stopped)
    assert main(["events", "tail", *words]) == code
    done = capsys.readouterr()
    assert "damaged" in done.out
    assert done.err == said


@pytest.mark.parametrize("words", [["--follow"], ["--follow", "--json"], []])
def test_a_reader_that_has_had_enough_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.setattr("pipeline.cli.events.look", lambda *_: repeat(RECORD))
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["events", "tail", *words]) == 0
        monkeypatch.undo()
    assert capsys.readouterr().err == ""


def test_what_is_followed_is_shown_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    seen: list[bytes] = []

    def one(*_args: Any) -> Iterator[Any]:
        yield RECORD
        seen.append(os.read(read, 100))

    os.set_blocking(read, False)
    monkeypatch.setattr("pipeline.cli.events.look", one)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["events", "tail", "--follow"]) == 0
        monkeypatch.undo()
    os.close(read)
    assert seen[0].startswith(b"0/1  t  damaged")
