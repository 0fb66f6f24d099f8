"""Commands that look, in a folder that this user cannot write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.cli.main import main
from pipeline.ledger.store import Ledger
from pipeline.model.errors import ExitCode
from tests.unwritable import public_folder, unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder() -> Iterator[Path]:
    with public_folder() as made:
        Ledger(made / "ledger.sqlite").close()
        yield made


def call(folder: Path, *words: str) -> int:
    """What the words come to where the folder cannot be written."""
    with public_folder() as nothing:
        # Whoever root becomes may not read where Python lies: what is needed is loaded before.
        main([w.replace(str(folder), str(nothing)) for w in words])
        Ledger(nothing / "ledger.sqlite").close()
        main([w.replace(str(folder), str(nothing)) for w in words])
    with unwritable(folder):
        return main(list(words))


@pytest.mark.parametrize(
    "words",
    [
        ["state", "list", "--state", "{}"],
        ["dead", "list", "{}"],
        ["incidents", "silence", "--list", "--state", "{}"],
        ["report", "daily", "--state", "{}", "--json"],
    ],
)
def test_looking_needs_no_right_to_write(
    capsys: pytest.CaptureFixture[str], folder: Path, words: list[str]
) -> None:
    code = call(folder, *(w.format(folder) for w in words))
    assert code == ExitCode.OK, capsys.readouterr().err


def test_what_writes_says_which_right_it_needs(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    code = call(folder, "incidents", "ack", "inc-5", "--by", "ana", "--state", str(folder))
    assert code == ExitCode.FAILURE
    err = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be written by this user, id" in err
    assert "away" not in err


def test_a_folder_that_may_not_be_entered_is_a_matter_of_permissions(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    folder.chmod(0o700)
    with public_folder() as other:
        code = call(other, "dead", "list", str(folder))
    err = capsys.readouterr().err
    if code == ExitCode.OK:
        pytest.skip("this user owns the folder")
    assert "cannot be read by this user, id" in err
