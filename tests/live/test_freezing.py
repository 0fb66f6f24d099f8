"""State as bytes: the same again, and nothing but state."""

from __future__ import annotations

import pickle
import pickletools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
import zstandard

from pipeline.model.errors import StateError
from pipeline.model.vocabulary import Client
from pipeline.runtime.kafka.client import MESSAGE_BYTES
from pipeline.runtime.live import freezing
from pipeline.runtime.live.engine import Engine, restored
from pipeline.runtime.live.freezing import STATE_VERSION, freeze, parts_of, thaw
from pipeline.runtime.live.part_names import PartNames
from pipeline.runtime.live.parts import GroundPart
from pipeline.runtime.live.pieces import Piece
from pipeline.runtime.live.tenant import Tenant
from pipeline.window.dedupe import SeenIds
from tests.live.small_tenant import ADMIN, HOUR, MONDAY, SETTINGS, table, usual


def seen(days):
    return SeenIds({d: np.full((5000, 2), d, np.uint64) for d in days})


def test_what_is_read_is_what_was_written():
    frozen = freeze(seen([1, 2]))
    again = thaw(frozen.body, frozen.parts, SeenIds)
    assert sorted(again.days) == [1, 2]
    assert (again.days[2] == 2).all()
    assert parts_of(frozen.body) == set(frozen.parts)


def test_only_what_has_changed_is_written_again():
    first = freeze(seen([1, 2]))
    second = freeze(seen([2, 3]), first.parts)
    assert len(first.parts) == 2
    assert len(second.parts) == 1
    assert len(parts_of(second.body) & set(first.parts)) == 1


def test_a_day_of_a_million_ids_is_stored_in_parts_that_fit_into_messages():
    rng = np.random.default_rng(1)
    state, met = SeenIds({1: rng.integers(0, 2**64, (1_000_000, 2), np.uint64)}), PartNames()
    frozen = freeze(state, met=met)
    assert len(frozen.parts) == 4
    assert max(map(len, frozen.parts.values())) < MESSAGE_BYTES
    assert (thaw(frozen.body, frozen.parts, SeenIds).days[1] == state.days[1]).all()
    again = freeze(state, frozen.parts, met=met)
    assert (again.body, again.parts) == (frozen.body, {})
    assert parts_of(again.body) == set(frozen.parts)


def test_what_never_changes_is_written_down_once_for_as_long_as_it_lives():
    days, met = seen([1, 2]), PartNames()
    first = freeze(days, met=met)
    assert len(met) == 2
    # Were they looked at again, the change would show: it is the promise of SeenIds not to make one.
    days.days[1][0] = 9
    assert freeze(days, first.parts, met=met).body == first.body
    # What is not stored has to be given, whether it is known or not.
    assert len(freeze(days, {}, met=met).parts) == 2
    del days.days[1]
    assert len(met) == 1


def test_an_array_of_which_nobody_says_that_it_never_changes_is_looked_at_again():
    array, met = np.full((5000, 2), 1, np.uint64), PartNames()
    first = freeze([array], met=met)
    array[0] = 9
    second = freeze([array], first.parts, met=met)
    assert len(met) == 0
    assert len(second.parts) == 1


def hours_of(ground):
    return {hour: held.rows for hour, held in ground.correlated.history.hours.items()}


def rows_of(tail):
    return [piece.read().to_pylist() for piece in tail]


def same_arrays(some, others):
    return some.keys() == others.keys() and all((some[k] == others[k]).all() for k in some)


def test_a_state_that_was_stored_piece_by_piece_is_whole(monkeypatch):
    monkeypatch.setattr(freezing, "_PART_BYTES", 256)
    engine, stored, given = Engine(SETTINGS, lambda _: Tenant(SETTINGS)), {}, []
    tenant = engine.tenant("t")
    for hour in range(0, 5 * 24, 3):
        tenant.take(table([row for at in range(hour, hour + 3) for row in usual(at)]))
        snapshot = engine.snapshot("t")
        given.append(len(snapshot.parts))
        for name in engine.outdated("t"):
            del stored[name]
        stored |= snapshot.parts
        assert set(stored) == snapshot.needed
        assert not engine.snapshot("t").parts
        again = restored(SETTINGS, snapshot.body, stored, snapshot.issued).ground
        assert rows_of(again.tail) == rows_of(tenant.ground.tail)
        for arrays in (lambda ground: ground.windows.seen.days, hours_of):
            assert same_arrays(arrays(again.ground), arrays(tenant.ground.ground))
    assert sum(given) > 100


def test_a_tenant_brought_back_writes_down_nothing_that_is_stored(monkeypatch):
    monkeypatch.setattr(freezing, "_PART_BYTES", 256)
    first = Engine(SETTINGS, lambda _: Tenant(SETTINGS))
    for hour in range(0, 5 * 24, 3):
        first.tenant("t").take(table([r for at in range(hour, hour + 3) for r in usual(at)]))
    stored = first.snapshot("t")

    def load(name):
        return second.restored(name, stored.body, stored.parts, stored.issued)

    second = Engine(SETTINGS, load)
    second.tenant("t")
    written = []
    pack = freezing._packed_parts
    monkeypatch.setattr(freezing, "_packed_parts", lambda obj: written.append(obj) or pack(obj))
    again = second.snapshot("t")
    assert (again.needed, again.parts) == (stored.needed, {})
    assert written, "arrays that may change are looked at again"
    assert not [obj for obj in written if isinstance(obj, Piece | pa.Table)]
    ground = second.tenant("t").ground.ground
    unchanging = [*ground.windows.seen.days.values(), *hours_of(ground).values()]
    assert not {id(obj) for obj in written} & {id(obj) for obj in unchanging}


def test_records_that_were_damaged_on_the_way_are_a_state_error(monkeypatch):
    monkeypatch.setattr(freezing, "_PART_BYTES", 256)
    frozen = freeze(GroundPart(tail=[Piece.of(table(usual(9)))]))
    (name,) = frozen.parts
    whole = frozen.parts[name]
    assert len(thaw(frozen.body, {name: whole}, GroundPart).tail) == 1
    for damaged in (whole[:-1], whole[:50] + b"x" + whole[51:], whole + b"x"):
        with pytest.raises(StateError, match="damaged"):
            thaw(frozen.body, {name: damaged}, GroundPart)


def test_the_tables_of_an_older_state_are_read(monkeypatch):
    monkeypatch.setattr(freezing, "_PART_BYTES", 256)
    events = [table(usual(hour)) for hour in (1, 2)]
    frozen = freeze(GroundPart(tail=events))
    tenant = Tenant(SETTINGS, thaw(frozen.body, frozen.parts, GroundPart))
    assert tenant.rows == sum(map(len, events))
    assert rows_of(tenant.ground.tail) == [e.to_pylist() for e in events]


def test_a_tenant_with_directory_changes_can_be_kept():
    tenant = Tenant(SETTINGS)
    change = (60, 1, ADMIN, "success", 0)
    tenant.take(table([*usual(0), change, *usual(60)]))
    assert tenant.ground.closed_to == MONDAY + 24 * HOUR
    (held,) = tenant.ground.ground.correlated.changes
    frozen = freeze(tenant.ground)
    again = thaw(frozen.body, frozen.parts, GroundPart)
    assert again.ground.correlated.changes == (held,)


def test_members_of_enumerations_are_written_by_value():
    """Some versions of Python write them as an attribute of their class, which is refused."""
    names = {arg for _, arg, _ in pickletools.genops(pickled([Client.OWA])) if arg}
    assert not any("getattr" in str(n) for n in names)
    assert "owa" in names


def pickled(state):
    packed = freeze(state).body
    length = int.from_bytes(packed[len(STATE_VERSION) : len(STATE_VERSION) + 4], "big")
    return zstandard.decompress(packed[len(STATE_VERSION) + 4 + length :])


@dataclass
class Foreign:
    value: int = 1


def body(state):
    return STATE_VERSION + (0).to_bytes(4, "big") + zstandard.compress(pickle.dumps(state))


@pytest.mark.parametrize("state", [Foreign(), print, pickle.loads, np.load])
def test_what_no_state_holds_is_refused(state):
    with pytest.raises(StateError, match="which no state holds"):
        thaw(body(state), {}, object)


def test_functions_of_ours_are_refused_too():
    with pytest.raises(StateError, match="which no state holds"):
        thaw(body(freeze), {}, object)


@pytest.mark.parametrize("data", [b"", b"something else", STATE_VERSION + b"\0\0\0\0junk"])
def test_damaged_bytes_are_a_state_error(data):
    with pytest.raises(StateError):
        thaw(data, {}, GroundPart)


def test_another_class_is_a_state_error():
    frozen = freeze(seen([1]))
    with pytest.raises(StateError, match="is a SeenIds"):
        thaw(frozen.body, frozen.parts, GroundPart)


def test_a_missing_part_is_a_state_error():
    with pytest.raises(StateError, match="damaged"):
        thaw(freeze(seen([1])).body, {}, SeenIds)
