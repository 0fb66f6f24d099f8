"""The scenarios by name: each adds its effects, labels and advisories to the plan."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline.model.clock import from_us, to_us
from pipeline.model.vocabulary import Client
from pipeline.simulate import advisories
from pipeline.simulate.codes import EXCHANGE_FAULTS, OVERLOAD, REFUSED
from pipeline.simulate.confounders import CONFOUNDERS
from pipeline.simulate.outage import order
from pipeline.simulate.plan import Calendar, Effect, Episode, Label, Mode, Plan, mean_effect
from pipeline.simulate.spec import stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.simulate.spec import SimulationSpec


def make_plan(spec: SimulationSpec) -> Plan:
    """Lay out everything the scenarios of ``spec`` bring about."""
    plan = Plan()
    for name in dict.fromkeys(spec.scenarios):
        build = _OUTAGES.get(name) or CONFOUNDERS.get(name)
        if build is not None:
            build(plan, Calendar(spec, stream(spec.seed, f"scenario {name}")))
    for number, outage in enumerate(spec.outages, start=1):
        order(plan, outage, number)
    plan.labels.sort(key=lambda label: (label.start, label.name))
    plan.advisories += advisories.background(spec)
    return plan


def _ex1256020(plan: Plan, calendar: Calendar) -> None:
    """EX1256020: silent in the sign-in log, rolled back, declared over, relisted.

    Onset on a Thursday; first post a day later; the rollback of Saturday helps a little,
    the all-clear of Monday is wrong; EX1268771 lists it again; over on the second Friday.
    """
    start = calendar.at(calendar.main, 3, 8.0)
    rollback = start + timedelta(days=2, hours=9)
    end = start + timedelta(days=8, hours=5)
    episodes = calendar.episodes(
        start, rollback, minutes_on=170, minutes_off=30, share=(0.68, 0.88)
    )
    episodes += calendar.episodes(rollback, end, minutes_on=150, minutes_off=40, share=(0.60, 0.80))
    clients = (Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID, Client.OUTLOOK_MAC_NEW)
    plan.effects.append(Effect("ex1256020", Mode.SILENT, frozenset(clients), tuple(episodes)))
    documents = advisories.ex1256020(start, rollback, end)
    plan.advisories += documents
    plan.labels.append(
        Label(
            name="ex1256020",
            kind="service_outage",
            start=start,
            end=from_us(episodes[-1].end),
            clients=clients,
            services=("exchange_online",),
            signin_failures=False,
            effect=mean_effect(tuple(episodes)),
            advisory_ids=tuple(dict.fromkeys(str(d["id"]) for d in documents)),
            entra=(Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID, Client.OUTLOOK_MAC),
            exchange_audit=clients,
        )
    )


def _all_protocols(plan: Plan, calendar: Calendar) -> None:
    start = calendar.at(calendar.main, 1, 9.0, jitter=20)
    clients = (
        Client.OWA,
        Client.OUTLOOK_WINDOWS_CLASSIC,
        Client.ACTIVESYNC,
        Client.IMAP4,
        Client.EWS,
    )
    # Grows within half an hour, as faults that spread over servers do.
    edges = [
        start,
        start + timedelta(minutes=30),
        start + timedelta(hours=4),
        start + timedelta(hours=5),
    ]
    shares = (0.35, 0.58, 0.40)
    episodes = tuple(
        Episode(to_us(a), to_us(b), s)
        for a, b, s in zip(edges[:-1], edges[1:], shares, strict=True)
    )
    _loud(plan, "all_protocols", clients, episodes, EXCHANGE_FAULTS, audited=clients)


def _office_copilot(plan: Plan, calendar: Calendar) -> None:
    start = calendar.at(calendar.main, 2, 12.5, jitter=20)
    middle, end = start + timedelta(minutes=150), start + timedelta(minutes=210)
    episodes = (
        Episode(to_us(start), to_us(middle), 0.55),
        Episode(to_us(middle), to_us(end), 0.35),
    )
    clients = (Client.OFFICE_WEB, Client.COPILOT)
    _loud(
        plan,
        "office_copilot",
        clients,
        episodes,
        OVERLOAD,
        resources=("shell", "copilot"),
        services=("office_web", "copilot"),
    )


def _imap4(plan: Plan, calendar: Calendar) -> None:
    start = calendar.at(calendar.last, 0, 6.0, jitter=20)
    end = start + timedelta(hours=40)
    episodes = calendar.episodes(start, end, minutes_on=110, minutes_off=40, share=(0.5, 0.75))
    clients = (Client.IMAP4,)
    _loud(plan, "imap4", clients, tuple(episodes), EXCHANGE_FAULTS, audited=clients)


def _classic_outlook(plan: Plan, calendar: Calendar) -> None:
    start = calendar.at(calendar.last, 2, 7.25, jitter=20)
    episodes = (Episode(to_us(start), to_us(start + timedelta(hours=9)), 0.5),)
    clients = (Client.OUTLOOK_WINDOWS_CLASSIC,)
    _loud(plan, "classic_outlook", clients, episodes, REFUSED, audited=clients)


def _loud(
    plan: Plan,
    name: str,
    clients: tuple[Client, ...],
    episodes: tuple[Episode, ...],
    codes: tuple[tuple[int, float], ...],
    *,
    resources: tuple[str, ...] = ("exchange",),
    services: tuple[str, ...] = ("exchange_online",),
    audited: tuple[Client, ...] = (),
) -> None:
    """Add an outage that the sign-in log shows."""
    plan.effects.append(
        Effect(name, Mode.REFUSE, frozenset(clients), episodes, frozenset(resources), codes)
    )
    start, end = from_us(episodes[0].start), from_us(episodes[-1].end)
    documents = advisories.LOUD[name](start, end)
    plan.advisories += documents
    plan.labels.append(
        Label(
            name=name,
            kind="service_outage",
            start=start,
            end=end,
            clients=clients,
            services=services,
            signin_failures=True,
            effect=mean_effect(episodes),
            advisory_ids=tuple(dict.fromkeys(str(d["id"]) for d in documents)),
            entra=clients,
            exchange_audit=audited,
        )
    )


_OUTAGES: Final[dict[str, Callable[[Plan, Calendar], None]]] = {
    "ex1256020": _ex1256020,
    "all_protocols": _all_protocols,
    "office_copilot": _office_copilot,
    "imap4": _imap4,
    "classic_outlook": _classic_outlook,
}
