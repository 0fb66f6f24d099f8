"""All that is known of one incident at one moment; what verdict and headline are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.model.vocabulary import FlagKind

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.correlate.grouping import Cause
    from pipeline.correlate.scope import Concentration
    from pipeline.correlate.settings import CorrelateSettings
    from pipeline.correlate.tally import Tally
    from pipeline.model.change import TenantChange
    from pipeline.model.flag import Flag
    from pipeline.model.incident import ErrorCode, HealthyClient
    from pipeline.model.vocabulary import Client, Service
    from pipeline.model.window import Gap


@dataclass(frozen=True, slots=True)
class Picture:
    """One incident at one moment.

    Attributes:
        cause: class of its flags.
        strong: flags of the named clients, in order of onset.
        clients, services: what is named.
        onset_at: when it began.
        tally: sums over its flagged hours.
        users: distinct affected users.
        succeeding: distinct affected users who succeed in a healthy client.
        network, country: where the affected users are; None = not known.
        healthy: clients that still work.
        codes: failure codes.
        changes: the tenant's changes shortly before the onset.
        changes_known: whether the directory audit told anything in the last week.
        other_tenants: tenants with a like incident at the same time.
        aftermath: people only return from here to clients that work again.
        gap: of a telemetry gap, the gap.
        settings: knobs and meanings of codes.
    """

    cause: Cause
    strong: tuple[Flag, ...]
    clients: tuple[Client, ...]
    services: tuple[Service, ...]
    onset_at: datetime
    tally: Tally
    users: int
    succeeding: int
    network: Concentration | None
    country: Concentration | None
    healthy: tuple[HealthyClient, ...]
    codes: tuple[ErrorCode, ...]
    changes: tuple[TenantChange, ...]
    changes_known: bool
    other_tenants: int
    aftermath: bool
    gap: Gap | None
    settings: CorrelateSettings


def effect(flag: Flag) -> float:
    """How many users the flag itself speaks of."""
    observed = flag.observed.get("users", 0.0)
    expected = flag.expected.get("users", 0.0)
    if flag.kind is FlagKind.VOLUME_DROP:
        return max(0.0, expected - observed)
    if flag.kind in {FlagKind.RETRY_SURGE, FlagKind.CLIENT_SHIFT}:
        return max(0.0, observed - expected)
    return observed
