"""The stage's state as bytes: plain numpy arrays and JSON, no pickle."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Final
from zipfile import BadZipFile

import numpy as np

from pipeline.correlate.grouping import Cause
from pipeline.correlate.history import ROW, History, Hour, Names
from pipeline.correlate.scope import Mix
from pipeline.correlate.state import Case, CorrelateState
from pipeline.correlate.tally import AFFECTED, CODE_USER, NUMBERS, Tally
from pipeline.model.change import TenantChange
from pipeline.model.documents import from_json, to_json
from pipeline.model.errors import StateError
from pipeline.model.flag import Flag
from pipeline.model.incident import Incident, IncidentState
from pipeline.model.vocabulary import Client, Service, Source
from pipeline.model.window import Cell, Gap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.correlate.view import Plan

VERSION: Final = "outrider.correlate-state/1"
_KINDS: Final = {"rows": ROW, "good": np.dtype("u8"), "affected": AFFECTED, "codes": CODE_USER}


class _Shelf:
    """Arrays of a few kinds, laid end to end and taken back in the same order."""

    def __init__(self, held: dict[str, Any] | None = None) -> None:
        self.held = held
        self.parts: dict[str, list[Any]] = {kind: [] for kind in _KINDS}
        self.at = dict.fromkeys(_KINDS, 0)

    def put(self, kind: str, array: Any) -> int:
        """Lay ``array`` down; its length, to be kept."""
        self.parts[kind].append(array)
        return len(array)

    def take(self, kind: str, length: int) -> Any:
        """The next ``length`` elements of ``kind``."""
        start = self.at[kind]
        self.at[kind] = start + length
        array = (self.held or {})[kind][start : start + length]
        if len(array) != length:
            raise ValueError(f"{kind} ends early")
        return array

    def arrays(self) -> dict[str, Any]:
        """All that was put, one array a kind."""
        return {
            kind: np.concatenate([np.empty(0, dtype), *self.parts[kind]])
            for kind, dtype in _KINDS.items()
        }


def snapshot(state: CorrelateState) -> bytes:
    """Write the whole state down; equal states give equal bytes."""
    shelf = _Shelf()
    history = state.history
    meta = {
        "version": VERSION,
        "names": history.names.values,
        "hours": [_write_hour(h, shelf) for h in history.hours.values()],
        "good": [[day, shelf.put("good", keys)] for day, keys in history.good_pairs().items()],
        "users": [[t, list(map(list, c.items()))] for t, c in history.users.items()],
        "cases": [_write_case(c, shelf) for c in state.cases.values()],
        "changes": to_json(state.changes),
        "settle": [[*key, *value] for key, value in state.settle.items()],
        "seen": [[flag_id, *value] for flag_id, value in state.seen.items()],
    }
    text = json.dumps(meta, separators=(",", ":"), allow_nan=False).encode()
    out = io.BytesIO()
    np.savez(out, meta=np.frombuffer(text, np.uint8), **shelf.arrays())
    return out.getvalue()


def restore(data: bytes) -> CorrelateState:
    """Read what :func:`snapshot` wrote.

    Raises:
        StateError: the bytes are damaged or of another version.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        meta = json.loads(arrays.pop("meta").tobytes())
        if meta["version"] != VERSION:
            raise StateError(
                f"correlate state is {meta['version']}, needed is {VERSION}: start anew"
            )
        return _read_state(meta, _Shelf(arrays))
    except (ValueError, KeyError, TypeError, EOFError, OSError, BadZipFile) as error:
        raise StateError(
            "correlate state is damaged: restore an earlier one or start anew"
        ) from error


def _read_state(meta: dict[str, Any], shelf: _Shelf) -> CorrelateState:
    names = Names()
    for name in meta["names"]:
        names.add(name)
    hours = [_read_hour(h, shelf) for h in meta["hours"]]
    history = History(
        hours={h.hour: h for h in hours},
        names=names,
        good={day: shelf.take("good", length) for day, length in meta["good"]},
        users={tenant: dict(counts) for tenant, counts in meta["users"]},
    )
    cases = [_read_case(c, shelf) for c in meta["cases"]]
    return CorrelateState(
        history=history,
        cases={c.incident_id: c for c in cases},
        changes=tuple(from_json(TenantChange, c) for c in meta["changes"]),
        settle={(t, Source(s)): (median, late) for t, s, median, late in meta["settle"]},
        seen={flag_id: (revision, case) for flag_id, revision, case in meta["seen"]},
    )


def _write_hour(hour: Hour, shelf: _Shelf) -> list[Any]:
    cells = [[*cell, *span] for cell, span in hour.cells.items()]
    told = [[*key, value] for key, value in hour.completeness.items()]
    return [hour.hour, shelf.put("rows", hour.rows), cells, told]


def _read_hour(data: list[Any], shelf: _Shelf) -> Hour:
    hour, length, cells, told = data
    return Hour(
        hour,
        {_cell(c[:4]): (c[4], c[5]) for c in cells},
        shelf.take("rows", length),
        {(tenant, Source(source)): value for tenant, source, value in told},
    )


def _cell(parts: list[str]) -> Cell:
    tenant, source, service, client = parts
    return Cell(tenant, Source(source), Service(service), Client(client))


def _write_tally(tally: Tally, shelf: _Shelf) -> dict[str, Any]:
    return {
        "affected": shelf.put("affected", tally.rows),
        "codes": shelf.put("codes", tally.code_users),
        "usual": list(map(list, tally.code_usual.items())),
        "failing": tally.failing,
        "failing_usual": tally.failing_usual,
        "numbers": {name: getattr(tally, name) for name in NUMBERS},
    }


def _read_tally(data: dict[str, Any], shelf: _Shelf) -> Tally:
    return Tally(
        rows=shelf.take("affected", data["affected"]),
        code_users=shelf.take("codes", data["codes"]),
        code_usual=dict(data["usual"]),
        failing=tuple(data["failing"]),
        failing_usual=tuple(data["failing_usual"]),
        **data["numbers"],
    )


def _write_plan(plan: Plan) -> list[list[str]]:
    return sorted([*cell, what] for cell, what in plan)


def _read_plan(data: Iterable[list[str]]) -> Plan:
    return frozenset((_cell(p[:4]), p[4]) for p in data)


def _write_case(case: Case, shelf: _Shelf) -> dict[str, Any]:
    mix = case.mix
    return {
        "incident_id": case.incident_id,
        "tenant": case.tenant,
        "cause": case.cause,
        "opened_hour": case.opened_hour,
        "flags": to_json(list(case.flags.values())),
        "state": case.state,
        "published": to_json(case.published),
        "folded": _write_tally(case.folded, shelf),
        "folded_to": case.folded_to,
        "hours": [
            [h, _write_plan(plan), _write_tally(tally, shelf)]
            for h, (plan, tally) in case.hours.items()
        ],
        "resolved_hour": case.resolved_hour,
        "flips": case.flips,
        "gap": to_json(case.gap),
        "mix": mix and [sorted(map(list, mix[0])), mix[1].shares, mix[1].user_hours],
    }


def _read_case(data: dict[str, Any], shelf: _Shelf) -> Case:
    flags = [from_json(Flag, f) for f in data["flags"]]
    folded = _read_tally(data["folded"], shelf)
    hours = {h: (_read_plan(plan), _read_tally(t, shelf)) for h, plan, t in data["hours"]}
    mix = data["mix"]
    return Case(
        incident_id=data["incident_id"],
        tenant=data["tenant"],
        cause=Cause(data["cause"]),
        opened_hour=data["opened_hour"],
        flags={f.flag_id: f for f in flags},
        state=IncidentState(data["state"]),
        published=from_json(Incident, data["published"]) if data["published"] else None,
        folded=folded,
        folded_to=data["folded_to"],
        hours=hours,
        resolved_hour=data["resolved_hour"],
        flips=data["flips"],
        gap=from_json(Gap, data["gap"]) if data["gap"] else None,
        mix=(frozenset(map(_cell, mix[0])), Mix(mix[1], mix[2])) if mix else None,
    )
