from __future__ import annotations

import pytest
from playwright.sync_api import sync_playwright

from tests.unit.web import large_ledger
from tests.web import chromium
from tests.web.place import put_flags, serve_ledger


@pytest.fixture(scope="session")
def browser():
    """One real browser for all tests of a process."""
    path = chromium.find()
    with sync_playwright() as play:
        held = play.chromium.launch(executable_path=path, args=list(chromium.ARGUMENTS))
        yield held
        held.close()


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """The dashboard of a small ledger that nobody changes."""
    path = tmp_path_factory.mktemp("dashboard") / "ledger.sqlite"
    ledger = large_ledger.small(path)
    put_flags(ledger)
    ledger.close()
    with serve_ledger(path) as held:
        yield held
