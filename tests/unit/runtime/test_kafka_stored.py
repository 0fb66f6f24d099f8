"""What the state topic keeps comes back to the tenant it is of, whatever the tenant is called."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka import stored
from pipeline.runtime.kafka.stored import MARK, ground_value, key, read_back


@pytest.fixture
def restored(monkeypatch):
    """What comes back of some keys and values in partition 0."""

    def restore(*told):
        records = [SimpleNamespace(partition=0, key=k, value=value) for k, value in told]
        monkeypatch.setattr(stored, "committed_records", lambda *_, **__: iter(records))
        return read_back(Kafka(), [0])[0]

    return restore


def test_each_part_of_a_state_comes_back_as_the_last_message_says(restored):
    kept = restored(
        (key("a", "ground"), ground_value(7, b"old")),
        (key("a", "part/1"), b"one"),
        (key("a", "part/2"), b"two"),
        (MARK, None),
        (key("a", "issued"), b"told"),
        (key("a", "part/1"), None),
        (key("a", "ground"), ground_value(9, b"new")),
    )
    assert list(kept) == ["a"]
    a = kept["a"]
    assert (a.offset, a.ground, a.issued, a.parts) == (9, b"new", b"told", {"2": b"two"})


def test_a_tenant_with_the_separator_in_its_name_takes_nobody_elses_state(restored):
    """Logs are refused such names; a topic of an earlier version may hold one."""
    kept = restored(
        (key("a", "ground"), ground_value(3, b"of a")),
        (key("a\0b", "ground"), ground_value(5, b"of another")),
        (key("a\0b", "issued"), b"told of another"),
    )
    assert (kept["a"].offset, kept["a"].ground, kept["a"].issued) == (3, b"of a", None)
    assert kept["a\0b"].ground == b"of another"


def test_a_kind_of_a_later_version_is_no_ground(restored):
    told = (key("a", "ground"), ground_value(3, b"of a")), (key("a", "later"), b"something else")
    assert restored(*told)["a"].ground == b"of a"
