"""What makes a ledger of each version out of the one before."""

from __future__ import annotations

from typing import Final

from pipeline.ledger.dead import ADDED_IN_VERSION_2
from pipeline.ledger.desk import ADDED_IN_VERSION_5
from pipeline.ledger.keeping import ADDED_IN_VERSION_4
from pipeline.ledger.listing import ADDED_IN_VERSION_3
from pipeline.ledger.notes import ADDED_FOR_NOTES
from pipeline.ledger.showing_tables import ADDED_IN_VERSION_6

LEDGER_VERSION: Final = 6
_VERSION_1: Final = """
CREATE TABLE IF NOT EXISTS cursors (source TEXT PRIMARY KEY, cursor TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, kind TEXT NOT NULL,
    read_at INTEGER, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS journal_tenant ON journal (tenant, seq);
CREATE TABLE IF NOT EXISTS states (tenant TEXT PRIMARY KEY, seq INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS parts (
    tenant TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, name));
CREATE TABLE IF NOT EXISTS issued (tenant TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL,
    revision INTEGER NOT NULL, tenant TEXT NOT NULL, document TEXT NOT NULL,
    UNIQUE (kind, id, revision));
CREATE TABLE IF NOT EXISTS dead (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, tenant TEXT, reason TEXT NOT NULL,
    detail TEXT NOT NULL, place TEXT NOT NULL, kind TEXT NOT NULL, body BLOB, replayed INTEGER);
CREATE TABLE IF NOT EXISTS deliveries (sink TEXT PRIMARY KEY, seq INTEGER NOT NULL)
"""
# What makes each version of the one before; a new file goes through all of them.
STEPS: Final = {
    1: tuple(_VERSION_1.split(";")),
    2: ADDED_IN_VERSION_2,
    3: ADDED_IN_VERSION_3,
    4: ADDED_IN_VERSION_4,
    5: (*ADDED_IN_VERSION_5, *ADDED_FOR_NOTES),
    6: ADDED_IN_VERSION_6,
}
