"""An outage of Exchange Online made to order: which clients, how much, when, how it shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline.model.clock import to_us
from pipeline.model.errors import ConfigError
from pipeline.model.vocabulary import FINER_CLIENTS, Client
from pipeline.simulate.codes import EXCHANGE_FAULTS
from pipeline.simulate.habits import AUDITED, HABITS
from pipeline.simulate.plan import Effect, Episode, Label, Mode

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.simulate.plan import Plan

LASTING_SHARE: Final = 0.95  # of the accesses of those who are hit for good
_COARSE: Final = {fine: coarse for coarse, finer in FINER_CLIENTS.items() for fine in finer}


@dataclass(frozen=True, slots=True)
class Outage:
    """One outage.

    Attributes:
        clients: whose mail access fails; the finest names.
        start: UTC.
        length: how long.
        effect: share of the accesses that fail, above 0 and up to 1.
        silent: tokens are granted and the mailbox does not answer, as in EX1256020; else
            sign-ins fail with service codes.
        lasting: the same people are hit all the time (one server, one database); else
            anyone now and then.

    Raises:
        ConfigError: no client, a client without mail, an effect or a length outside its bounds.
    """

    clients: tuple[Client, ...]
    start: datetime
    length: timedelta
    effect: float
    silent: bool = False
    lasting: bool = False

    def __post_init__(self) -> None:
        strange = [c for c in self.clients if c not in HABITS]
        if not self.clients or strange:
            named = ", ".join(strange) or "no client"
            raise ConfigError(f"outage of {named}: choose from {', '.join(HABITS)}")
        if not 0.0 < self.effect <= 1.0:
            raise ConfigError(f"outage with an effect of {self.effect}: want more than 0, up to 1")
        if self.length <= timedelta(0):
            raise ConfigError(f"outage of {self.length}: want a length above 0")


def order(plan: Plan, outage: Outage, number: int) -> None:
    """Add an outage, the ``number``-th of its tenant, to the plan; no advisory tells of it."""
    name = f"outage_{number}"
    end = outage.start + outage.length
    hit = outage.effect / LASTING_SHARE if outage.lasting else 1.0
    share = min(1.0, outage.effect / min(hit, 1.0))
    plan.effects.append(
        Effect(
            name,
            Mode.SILENT if outage.silent else Mode.REFUSE,
            frozenset(outage.clients),
            (Episode(to_us(outage.start), to_us(end), share),),
            codes=() if outage.silent else EXCHANGE_FAULTS,
            hit=min(1.0, hit),
        )
    )
    plan.labels.append(
        Label(
            name=name,
            kind="service_outage",
            start=outage.start,
            end=end,
            clients=outage.clients,
            services=("exchange_online",),
            signin_failures=not outage.silent,
            effect=outage.effect,
            entra=tuple(dict.fromkeys(_COARSE.get(c, c) for c in outage.clients)),
            exchange_audit=tuple(c for c in outage.clients if c in AUDITED),
        )
    )
