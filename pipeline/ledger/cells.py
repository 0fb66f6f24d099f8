"""How each cell of a tenant does, from its running hours as the ledger keeps them.

The running hours are one JSON object: the hours themselves, how complete each source is in
them, what was attempted in each cell, and the rows of the timeline.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline.ledger.showing import CellHour, CellNow, CellState, Measure
from pipeline.model.clock import from_us
from pipeline.model.vocabulary import Signal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SECOND_US: Final = 1_000_000
# As the detectors take it: nothing is seen below the one, and a drop is told from the other on.
_BLIND: Final = 0.05
_WHOLE: Final = 0.9
# Of so few users, one or two more or less say nothing to whoever looks at a wall of cells.
_FEW: Final = 3.0
_PRESSING: Final = (Signal.FAILURE_RATE, Signal.RETRY_PRESSURE)
_MISSED: Final = (Signal.ACTIVE_USERS, Signal.ACCESS_VOLUME)
_RANK: Final = {s: n for n, s in enumerate((CellState.HIGH, CellState.LOW, CellState.USUAL))}


class _Seen(NamedTuple):
    """A cell by the hour that is compared."""

    at: int
    state: CellState
    warm: bool
    measures: tuple[Measure, ...]


def cells_of(body: Mapping[str, Any]) -> tuple[CellNow, ...]:
    """The cells in running hours, in order of source, service and client.

    Args:
        body: as :mod:`pipeline.runtime.live.showing` makes it.
    """
    hours = body["hours"]
    found = []
    for names, attempts, failed, complete, signals in _cells(body):
        seen = _see(complete, signals)
        at, share = seen.at, None
        if attempts[at] and Signal.FAILURE_RATE in signals:
            share = failed[at] / attempts[at]
        found.append(
            CellNow(
                source=names[0],
                service=names[1],
                client=names[2],
                state=seen.state,
                warm=seen.warm,
                completeness=complete[at],
                hour=from_us(hours[at] * SECOND_US),
                attempts=attempts[at],
                failure_rate=share,
                measures=seen.measures,
                hours=tuple(
                    _hour(n, hours, attempts, complete, signals) for n in range(len(hours))
                ),
            )
        )
    return tuple(found)


def states_of(body: Mapping[str, Any]) -> dict[str, int]:
    """How many cells are in each state; see :func:`cells_of`."""
    return dict(Counter(_see(cell[3], cell[4]).state.value for cell in _cells(body)))


def _cells(
    body: Mapping[str, Any],
) -> Iterator[
    tuple[Sequence[str], Sequence[int], Sequence[int], Sequence[float], Mapping[str, Any]]
]:
    """Names, attempts and failures by hour, completeness by hour, and numbers by signal."""
    lanes: dict[tuple[str, str, str], dict[str, Sequence[Any]]] = {}
    for source, service, client, signal, *numbers in body["lanes"]:
        lanes.setdefault((source, service, client), {})[signal] = numbers
    nothing = [0.0] * len(body["hours"])
    for source, service, client, attempts, failed in sorted(body["cells"], key=lambda c: c[:3]):
        names = (source, service, client)
        complete = body["sources"].get(source) or nothing
        yield names, attempts, failed, complete, lanes.get(names, {})


def _see(complete: Sequence[float], signals: Mapping[str, Sequence[Any]]) -> _Seen:
    whole = [n for n, share in enumerate(complete) if share >= _WHOLE]
    some = [n for n, share in enumerate(complete) if share >= _BLIND]
    at = whole[-1] if whole else some[-1] if some else len(complete) - 1
    measures = tuple(
        _measure(signal, at, complete[at], numbers) for signal, numbers in sorted(signals.items())
    )
    users = signals.get(Signal.ACTIVE_USERS)
    warm = any(m.expected is not None for m in measures)
    if users is not None:
        warm = users[1][at] is not None
    if not some:
        return _Seen(at, CellState.BLIND, warm, measures)
    # What fails now must not wait for the hour to be whole.
    last = some[-1]
    failing = any(
        _measure(signal, last, complete[last], signals[signal]).state is CellState.HIGH
        for signal in _PRESSING
        if signal in signals
    )
    state = CellState.HIGH if failing else _state(measures, warm=warm)
    return _Seen(at, state, warm, measures)


def _measure(signal: str, at: int, complete: float, numbers: Sequence[Any]) -> Measure:
    observed, expected, low, high = (column[at] for column in numbers)
    state = CellState.USUAL
    if complete < _BLIND:
        state = CellState.BLIND
    elif expected is None:
        state = CellState.WARMING_UP
    elif observed > high and observed >= _FEW:
        state = CellState.HIGH
    elif observed < low and expected >= _FEW and complete >= _WHOLE:
        state = CellState.LOW
    return Measure(signal, observed, expected, low, high, state)


def _state(measures: Sequence[Measure], *, warm: bool) -> CellState:
    told = [CellState.USUAL if warm or not measures else CellState.WARMING_UP]
    for measure in measures:
        if measure.state is CellState.HIGH and measure.signal in _PRESSING:
            told.append(CellState.HIGH)
        elif measure.state is CellState.LOW and measure.signal in _MISSED:
            told.append(CellState.LOW)
    return min(told, key=lambda s: _RANK.get(s, len(_RANK)))


def _hour(
    at: int,
    hours: Sequence[int],
    attempts: Sequence[int],
    complete: Sequence[float],
    signals: Mapping[str, Sequence[Any]],
) -> CellHour:
    nobody: Sequence[Any] = [[None] * len(hours)] * 4
    users, expected, low, high = (n[at] for n in signals.get(Signal.ACTIVE_USERS, nobody))
    failing = signals.get(Signal.FAILURE_RATE, nobody)[0][at]
    moment = from_us(hours[at] * SECOND_US)
    return CellHour(moment, attempts[at], users, expected, low, high, failing, complete[at])
