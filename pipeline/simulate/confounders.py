"""What looks like an outage and is none: attacks, own changes, gaps, habits."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from pipeline.model.clock import to_us
from pipeline.model.vocabulary import Client
from pipeline.simulate.habits import AUDITED, HABITS
from pipeline.simulate.plan import Change, Effect, Episode, Label, Mode
from pipeline.simulate.population import ZONES

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.simulate.plan import Calendar, Plan

HOLIDAY_FACTOR: Final = 0.15
CUT_OFFICE: Final = "munich"
ALL_CLIENTS: Final = tuple(HABITS)
ENTRA_CLIENTS: Final = tuple(
    dict.fromkeys(
        Client.OUTLOOK_MAC if c in {Client.OUTLOOK_MAC_NEW, Client.OUTLOOK_MAC_LEGACY} else c
        for c in ALL_CLIENTS
    )
)
_EXCHANGE: Final = ("exchange_online",)


def _episode(start: datetime, end: datetime, share: float = 1.0) -> Episode:
    return Episode(to_us(start), to_us(end), share)


def _password_spray(plan: Plan, calendar: Calendar) -> None:
    start = calendar.at(calendar.main, 0, 10.0, jitter=20)
    end = start + timedelta(hours=6)
    plan.sprays.append(_episode(start, end))
    clients = (Client.POWERSHELL, Client.SMTP_AUTH, Client.OWA)
    plan.labels.append(
        Label(
            "password_spray", "attack", start, end, clients, ("identity", *_EXCHANGE), True, 1.0,
            entra=clients,
        )
    )  # fmt: skip


def _retry_storm(plan: Plan, calendar: Calendar) -> None:
    starts = (
        calendar.at(calendar.main, 0, 13.2, jitter=10),
        calendar.at(calendar.last, 3, 9.3, jitter=10),
    )
    clients = (Client.ACTIVESYNC, Client.OUTLOOK_WINDOWS_CLASSIC)
    for start, client, minutes in zip(starts, clients, (45, 35), strict=True):
        end = start + timedelta(minutes=minutes)
        plan.storms.append(_episode(start, end))
        plan.labels.append(
            Label(
                "retry_storm", "benign", start, end, (client,), _EXCHANGE, True, 1.0,
                entra=(client,),
            )
        )  # fmt: skip


def _conditional_access(plan: Plan, calendar: Calendar) -> None:
    changed = calendar.at(calendar.last, 1, 10.0, jitter=15)
    reverted = changed + timedelta(hours=2)
    # A policy reaches the sign-in servers within a few minutes.
    start, end = changed + timedelta(minutes=3), reverted + timedelta(minutes=3)
    clients = (Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID, Client.OWA)
    for at in (changed, reverted):
        plan.changes.append(
            Change(
                at, "Update conditional access policy", "Policy", "Conditional Access",
                "CA014 Require compliant device", "Policy",
            )
        )  # fmt: skip
    plan.effects.append(
        Effect(
            "conditional_access",
            Mode.BLOCK,
            frozenset(clients),
            (_episode(start, end, 0.6),),
            frozenset({"exchange", "graph"}),
            ((53003, 1.0),),
        )
    )
    plan.labels.append(
        Label(
            "conditional_access", "tenant_change", start, end, clients, _EXCHANGE, True, 0.6,
            entra=clients, exchange_audit=clients,
        )
    )  # fmt: skip


def _expired_certificate(plan: Plan, calendar: Calendar) -> None:
    start = calendar.at(calendar.last, 3, 7.0, jitter=15)
    end = start + timedelta(hours=6)
    clients = tuple(c for c in ALL_CLIENTS if c not in {Client.IMAP4, Client.GRAPH})
    plan.effects.append(
        Effect(
            "expired_certificate",
            Mode.BLOCK,
            frozenset(clients),
            (_episode(start, end, 0.4),),
            frozenset({"exchange", "graph", "teams", "sharepoint", "shell", "copilot", "azure"}),
            ((50008, 0.7), (50107, 0.3)),
            federated_only=True,
        )
    )
    # Nobody changed anything when it expired; the repair is what the log shows.
    plan.changes.append(
        Change(
            end - timedelta(minutes=4), "Set federation settings on domain",
            "DirectoryManagement", "Core Directory", "contoso.example", "Other",
        )
    )  # fmt: skip
    services = (*_EXCHANGE, "teams", "sharepoint", "office_web", "copilot", "other")
    plan.labels.append(
        Label(
            "expired_certificate", "tenant_change", start, end, clients, services, True, 0.4,
            entra=tuple(c for c in ENTRA_CLIENTS if c not in {Client.IMAP4, Client.GRAPH}),
            exchange_audit=tuple(c for c in clients if c in AUDITED),
        )
    )  # fmt: skip


def _office_network(plan: Plan, calendar: Calendar) -> None:
    start = calendar.at(calendar.main, 4, 10.5, jitter=15)
    end = start + timedelta(hours=3)
    plan.cut_offices.append((CUT_OFFICE, _episode(start, end)))
    plan.labels.append(
        Label(
            "office_network", "local_network", start, end, ALL_CLIENTS, _EXCHANGE, False, 1.0,
            entra=ENTRA_CLIENTS, exchange_audit=tuple(AUDITED),
        )
    )  # fmt: skip


def _audit_gap(plan: Plan, calendar: Calendar) -> None:
    start = calendar.at(calendar.main, 2, 6.0, jitter=15)
    end = start + timedelta(hours=6)
    plan.audit_gaps.append(_episode(start, end))
    plan.labels.append(
        Label(
            "audit_gap", "telemetry_gap", start, end, (*AUDITED, Client.SYSTEM), _EXCHANGE,
            False, 1.0, exchange_audit=(*AUDITED, Client.SYSTEM),
        )
    )  # fmt: skip


def _holiday(plan: Plan, calendar: Calendar) -> None:
    day = calendar.at(calendar.last, 0, 0.0)
    plan.holidays.add(day.date())
    plan.labels.append(
        Label(
            "holiday", "benign", day, day + timedelta(days=1), ALL_CLIENTS, _EXCHANGE, False,
            1 - HOLIDAY_FACTOR, entra=ENTRA_CLIENTS, exchange_audit=tuple(AUDITED),
        )
    )  # fmt: skip


def _migration(plan: Plan, calendar: Calendar) -> None:
    start = calendar.spec.begin + timedelta(weeks=calendar.spec.weeks - 3)
    clients = (Client.OUTLOOK_WINDOWS_CLASSIC, Client.OUTLOOK_WINDOWS_NEW)
    plan.labels.append(
        Label(
            "migration", "benign", start, start + timedelta(weeks=2), clients, _EXCHANGE, False,
            0.3, entra=clients, exchange_audit=clients,
        )
    )  # fmt: skip


def _daylight_saving(plan: Plan, calendar: Calendar) -> None:
    for zone in ZONES:
        for moment in clock_changes(zone, calendar.spec.begin, calendar.spec.end):
            plan.labels.append(
                Label(
                    "daylight_saving", "benign", moment,
                    min(moment + timedelta(days=7), calendar.spec.end), ALL_CLIENTS,
                    _EXCHANGE, False, 0.0,
                )
            )  # fmt: skip


def clock_changes(zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """Moments (UTC, to the hour) between ``begin`` and ``end`` at which ``zone`` changes."""
    place = ZoneInfo(zone)
    out = []
    moment = begin
    while moment < end:
        later = moment + timedelta(hours=1)
        if moment.astimezone(place).utcoffset() != later.astimezone(place).utcoffset():
            out.append(later)
        moment = later
    return out


def is_holiday(plan: Plan, day: date) -> bool:
    """Whether nobody has to work on the local ``day``."""
    return day in plan.holidays


CONFOUNDERS: Final[dict[str, Callable[[Plan, Calendar], None]]] = {
    "password_spray": _password_spray,
    "retry_storm": _retry_storm,
    "conditional_access": _conditional_access,
    "expired_certificate": _expired_certificate,
    "office_network": _office_network,
    "audit_gap": _audit_gap,
    "holiday": _holiday,
    "migration": _migration,
    "daylight_saving": _daylight_saving,
}
