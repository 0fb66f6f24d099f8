"""Ledgers of some hundred pages, and damage as a disk does it."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from pipeline.ledger.store import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_PAGE = 4096


def fill_pages(path: Path) -> Path:
    """Make a ledger of some hundred pages with something in every table that is looked at."""
    ledger = Ledger(path)
    told = {"raised_at": "2026-03-19T08:00:00Z", "state": "open", "clients": ["owa"]}
    rows = [
        (f"inc-{n}", 1, "t", json.dumps({**told, "tenants": ["t"], "text": "x" * 2000}))
        for n in range(400)
    ]
    with ledger.transaction():
        ledger.put_cursor("files", {"at": 0})
        ledger.journal("t", "events", 1, b"body")
        ledger.add_documents("incident", rows)
    ledger.close()
    return path


def damage(path: Path, pages: Iterable[int] = range(3, 81)) -> None:
    """Write noise over pages, the first being 1; the file keeps its length."""
    noise = random.Random(7)
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * _PAGE)
            file.write(noise.randbytes(_PAGE))
