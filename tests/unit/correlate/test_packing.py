"""User-hours from Arrow to compact rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.correlate.history import Names
from pipeline.correlate.lifecycle import hour_of
from pipeline.correlate.packing import pack, unpack
from pipeline.model.window import USER_HOUR_SCHEMA
from tests.unit.correlate.conftest import DAY, block

CELL = ("tenant", "source", "service", "client")


def packed(table):
    """The hours of a table in a form that can be compared, and the names known by then."""
    told, names = unpack(table), Names()
    hours = []
    for at in range(3):
        hour = pack(hour_of(DAY) + at, told, {}, names)
        hours.append((hour.cells, hour.rows.tobytes(), list(names.values)))
    return hours


@pytest.fixture(scope="module")
def table():
    return block(DAY, hours=2).user_hours


def test_every_row_is_in_the_range_of_its_cell_in_order_of_user(table):
    told = unpack(table)
    hour = pack(hour_of(DAY), told, {}, Names())
    mine = [row for row in table.to_pylist() if row["hour"] == DAY]
    assert list(hour.cells) == sorted(hour.cells)
    for cell in hour.cells:
        users = [row["user"] for row in mine if tuple(row[k] for k in CELL) == cell]
        assert hour.of(cell)["user"].tolist() == sorted(users)
    assert sum(end - start for start, end in hour.cells.values()) == len(mine)


def test_the_order_of_the_rows_changes_nothing(table):
    rng = np.random.default_rng(1)
    shuffled = table.take(pa.array(rng.permutation(table.num_rows)))
    assert packed(shuffled) == packed(table)


def test_the_chunks_of_a_table_change_nothing(table):
    pieces = [table.slice(at, 500) for at in range(0, table.num_rows, 500)]
    assert packed(pa.concat_tables(pieces)) == packed(table)


def test_a_block_without_users_has_empty_hours():
    assert packed(USER_HOUR_SCHEMA.empty_table()) == [({}, b"", [])] * 3
