"""A run whose disk fails a step, and fails again when its tenants are to be brought back."""

from __future__ import annotations

import pytest

from pipeline.ledger.store import Ledger
from pipeline.model.errors import RetriableError
from tests.live.test_embedded import Memory, loop


def test_what_a_failed_step_took_is_dropped_though_nothing_can_be_read(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    running = loop(ledger, Memory())
    running.step()
    with monkeypatch.context() as failing:

        def fail(*_args):
            raise RetriableError("disk I/O error")

        failing.setattr(ledger, "put_cursor", fail)
        failing.setattr(ledger, "tenants", fail)
        for turn in (running.step, running.step, running.store_all):
            with pytest.raises(RetriableError, match="disk I/O error"):
                turn()
    assert ledger.state("t") is None
    running.step()
    untroubled = Ledger(tmp_path / "untroubled.sqlite")
    other = loop(untroubled, Memory())
    other.step()
    other.step()
    assert ledger.counts() == untroubled.counts()
    assert rows(running) == rows(other)
    ledger.close()
    untroubled.close()


def rows(running):
    return {name: t.rows for name, t in running._journal.engine.tenants.items()}
