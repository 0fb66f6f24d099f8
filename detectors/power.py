"""What a bank would have seen: the smallest effect on a client that could not hide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.model.vocabulary import OutcomeFamily

if TYPE_CHECKING:
    from detectors.bank import TenantBank
    from pipeline.model.vocabulary import Client, Service

# An outage of four busy hours is what the statement of power speaks of.
HOURS: Final = 4.0
_EFFECTS: Final = np.arange(0.05, 1.0, 0.05)


def detectable(bank: TenantBank) -> dict[tuple[Service, Client], float]:
    """Smallest share of a client's users whose failing for four busy hours would be flagged.

    By (service, client); 1.0 = not even a full outage surely would. The expected evidence
    of an effect is its Kullback-Leibler divergence; it has to reach the threshold.
    """
    level = bank.threshold()
    out: dict[tuple[Service, Client], float] = {}
    lanes = bank.lanes("users")
    usual = _busy(bank)
    known = bank.users.usual.learned().spread
    judged = bank.users.warm() & (usual > 0.0)
    for at, lane in enumerate(lanes):
        if not judged[at]:
            out.setdefault((lane.cell.service, lane.cell.client), 1.0)
            continue
        null = HOURS * usual[at]
        left = null * (1.0 - _EFFECTS)
        # A level that wanders by itself explains as much of a drop as so many users less.
        worth = known.phi[at] + known.level[at] * usual[at]
        gain = (left * np.log(np.maximum(left, 1e-9) / null) - left + null) / worth
        _lower(out, lane.cell.service, lane.cell.client, gain, level)
    hour = bank.failures.hour or 0
    rate = bank.failures.rate(hour)
    warm = bank.failures.warm()
    index = {lane.cell: at for at, lane in enumerate(lanes)}
    for at, lane in enumerate(bank.lanes("failures")):
        if lane.family is OutcomeFamily.SERVICE and warm[at] and lane.cell in index:
            p0 = float(np.clip(rate[at], 0.002, 0.5))
            users = HOURS * usual[index[lane.cell]]
            e = np.maximum(_EFFECTS, p0)
            gain = users * (e * np.log(e / p0) + (1 - e) * np.log((1 - e) / (1 - p0)))
            _lower(out, lane.cell.service, lane.cell.client, gain, level)
    return out


def _busy(bank: TenantBank) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Usual users an hour in the busier quarter of the week, by lane."""
    season = bank.users.usual.season
    week = season.total / np.maximum(season.seen, 1e-9)
    busy: np.ndarray[tuple[int], np.dtype[np.float64]] = np.quantile(
        week * np.exp(season.log_level)[:, None], 0.75, axis=1
    )
    return busy


def _lower(
    out: dict[tuple[Service, Client], float],
    service: Service,
    client: Client,
    gain: np.ndarray[tuple[int], np.dtype[np.float64]],
    level: float,
) -> None:
    enough = np.flatnonzero(gain >= level)
    effect = float(_EFFECTS[enough[0]]) if len(enough) else 1.0
    out[service, client] = min(out.get((service, client), 1.0), effect)
