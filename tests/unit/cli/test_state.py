"""What ``outrider state list`` says of a tenant whose state is not stored yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.cli.main import main
from pipeline.runtime.live.held import Held

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Held], dict[str, str]]:
    """The row of a tenant by the head of the table, as it is read from a topic."""

    def read(held: Held) -> dict[str, str]:
        monkeypatch.setattr("pipeline.runtime.kafka.states.all_held", lambda _: [held])
        assert main(["state", "list", "--kafka"]) == 0
        head, row = capsys.readouterr().out.splitlines()
        heads = ("CLOCK", "CLOSED TO", "FLAGS", "INCIDENTS", "TAIL ROWS", "BASELINE")
        return {name: row[head.index(name) :].split("  ")[0].strip() for name in heads}

    return read


def test_what_no_stored_state_tells_is_not_said(listed: Callable[[Held], dict[str, str]]) -> None:
    # The messages since are not read for a list: they may be many.
    assert listed(Held("t", behind=9, partition=3)) == {
        "CLOCK": "-",
        "CLOSED TO": "-",
        "FLAGS": "0",
        "INCIDENTS": "0",
        "TAIL ROWS": "-",
        "BASELINE": "-",
    }
