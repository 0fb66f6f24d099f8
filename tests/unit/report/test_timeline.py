from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.report.timeline import Lane, read_timeline

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@pytest.fixture
def ios(sample: ModuleType) -> Lane:
    return Lane(sample.TENANT, "exchange_audit", "exchange_online", "outlook_ios", "active_users")


def span(sample: ModuleType, hours: int) -> tuple[datetime, datetime]:
    begin = sample.ONSET.replace(minute=0)
    return begin, begin + timedelta(hours=hours)


def test_only_the_wanted_lane_and_hours(sample: ModuleType, tmp_path: Path, ios: Lane) -> None:
    pq.write_table(sample.timeline(), tmp_path / "t.parquet", row_group_size=100)
    found = read_timeline(tmp_path / "t.parquet", {ios: span(sample, 10)})
    assert list(found.series) == [ios]
    assert len(found.series[ios].hour) == 11
    assert np.all(np.diff(found.series[ios].hour) == 3_600_000_000)
    assert (found.begin, found.end) == (sample.BEGIN, sample.END)


def test_the_order_of_the_rows_does_not_matter(
    sample: ModuleType, tmp_path: Path, ios: Lane
) -> None:
    table = sample.timeline()
    order = np.random.default_rng(3).permutation(table.num_rows)
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(table.take(pa.array(order)), tmp_path / "b.parquet", row_group_size=77)
    wanted = {ios: span(sample, 48)}
    one, other = (read_timeline(tmp_path / f"{n}.parquet", wanted) for n in "ab")
    for name in ("hour", "observed", "low"):
        left, right = (getattr(r.series[ios], name) for r in (one, other))
        assert np.array_equal(left, right, equal_nan=True)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    assert not read_timeline(tmp_path / "no.parquet", {}).damaged
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    assert read_timeline(tmp_path / "bad.parquet", {}).damaged
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    assert read_timeline(tmp_path / "other.parquet", {}).damaged
