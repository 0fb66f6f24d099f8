"""The vocabulary of what happens to the tenant: effects, labels, attacks, changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.model.clock import rfc3339, to_us

if TYPE_CHECKING:
    from datetime import date, datetime

    import numpy as np

    from pipeline.model.vocabulary import Client
    from pipeline.simulate.spec import SimulationSpec


class Mode(Enum):
    """How an effect shows."""

    SILENT = "silent"  # tokens are granted, the mailbox does not answer, clients retry
    REFUSE = "refuse"  # the service refuses tokens and accesses alike
    BLOCK = "block"  # the tenant's own policy or federation refuses new tokens


class Episode(NamedTuple):
    """A stretch in which ``share`` of the accesses fail; times in microseconds UTC."""

    start: int
    end: int
    share: float


@dataclass(frozen=True, slots=True)
class Effect:
    """One disturbance of user traffic.

    Attributes:
        name: of the scenario; salts the draws of who is hit.
        mode: how it shows.
        clients: whose traffic is disturbed.
        episodes: when and how strongly.
        resources: token targets that fail, by short name.
        codes: error codes and their weights.
        federated_only: whether only federated users are hit.
        hit: share of the users who are hit at all, the same ones all the time.
    """

    name: str
    mode: Mode
    clients: frozenset[Client]
    episodes: tuple[Episode, ...]
    resources: frozenset[str] = frozenset({"exchange"})
    codes: tuple[tuple[int, float], ...] = ()
    federated_only: bool = False
    hit: float = 1.0

    @property
    def span(self) -> tuple[int, int]:
        """First and last moment."""
        return self.episodes[0].start, self.episodes[-1].end


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about one incident, as labels.json tells it."""

    name: str
    kind: str
    start: datetime
    end: datetime
    clients: tuple[Client, ...]
    services: tuple[str, ...]
    signin_failures: bool
    effect: float
    advisory_ids: tuple[str, ...] = ()
    entra: tuple[Client, ...] = ()
    exchange_audit: tuple[Client, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The label as one JSON object of ``outrider.labels/1``."""
        return {
            "label_id": f"{self.name}-{self.start:%Y%m%dT%H%MZ}",
            "name": self.name,
            "kind": self.kind,
            "start": rfc3339(self.start),
            "end": rfc3339(self.end),
            "clients": [str(c) for c in self.clients],
            "services": list(self.services),
            "signin_failures": self.signin_failures,
            "advisory_ids": list(self.advisory_ids),
            "effect": round(self.effect, 3),
            "sources": {
                "entra": [str(c) for c in self.entra],
                "exchange_audit": [str(c) for c in self.exchange_audit],
            },
        }


@dataclass(frozen=True, slots=True)
class Change:
    """One record of the directory audit log that a scenario causes."""

    at: datetime
    activity: str
    category: str
    service: str
    target: str
    target_type: str


@dataclass(slots=True)
class Plan:
    """Everything the scenarios of one spec bring about."""

    effects: list[Effect] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    advisories: list[dict[str, Any]] = field(default_factory=list)
    sprays: list[Episode] = field(default_factory=list)
    storms: list[Episode] = field(default_factory=list)
    cut_offices: list[tuple[str, Episode]] = field(default_factory=list)
    audit_gaps: list[Episode] = field(default_factory=list)
    holidays: set[date] = field(default_factory=set)


class Calendar:
    """Turns "Tuesday of the third week, 9:10 UTC" into moments of the spec's period."""

    def __init__(self, spec: SimulationSpec, rng: np.random.Generator) -> None:
        self.spec = spec
        self.rng = rng
        # Two weeks to learn from where the period allows it.
        self.main = max(spec.weeks - 2, 0)
        self.last = spec.weeks - 1

    def at(self, week: int, weekday: int, hour: float, *, jitter: float = 0.0) -> datetime:
        """First ``weekday`` (0 = Monday) from the ``week``-th week's start, at ``hour`` UTC.

        ``jitter`` moves it by up to so many minutes either way, by seed.
        """
        base = self.spec.begin + timedelta(weeks=week)
        base += timedelta(days=(weekday - base.weekday()) % 7)
        shift = float(self.rng.uniform(-jitter, jitter)) if jitter else 0.0
        moment = base + timedelta(hours=hour, minutes=round(shift))
        return moment.replace(second=0, microsecond=0)

    def episodes(
        self,
        start: datetime,
        end: datetime,
        *,
        minutes_on: float,
        minutes_off: float,
        share: tuple[float, float],
    ) -> list[Episode]:
        """Draw failing stretches and pauses between ``start`` and ``end``."""
        out = []
        now = start
        while now < end:
            length = timedelta(minutes=float(self.rng.gamma(4, minutes_on / 4)))
            stop = min(now + max(length, timedelta(minutes=15)), end)
            out.append(Episode(to_us(now), to_us(stop), float(self.rng.uniform(*share))))
            now = stop + timedelta(minutes=float(self.rng.gamma(4, minutes_off / 4)))
        return out


def mean_effect(episodes: tuple[Episode, ...]) -> float:
    """Part of the accesses that fail between the first and the last moment."""
    lost = sum((e.end - e.start) * e.share for e in episodes)
    return lost / (episodes[-1].end - episodes[0].start)
