"""A small town of users with habits, so that rules can be tried on numbers known in advance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from pipeline.correlate.settings import CorrelateSettings
from pipeline.correlate.stage import advance
from pipeline.correlate.state import CorrelateState
from pipeline.model.flag import Flag, FlagState
from pipeline.model.ids import content_id
from pipeline.model.vocabulary import (
    Client,
    FlagKind,
    OutcomeFamily,
    Service,
    Signal,
    Source,
)
from pipeline.model.window import USER_HOUR_SCHEMA, Gap, WindowBlock

if TYPE_CHECKING:
    from pipeline.model.change import TenantChange
    from pipeline.model.incident import Incident

TENANT = "contoso"
DAY = datetime(2026, 3, 19, tzinfo=UTC)  # a Thursday
USERS = 120
SIGNIN = Source.ENTRA_SIGNIN_NONINTERACTIVE
AUDIT = Source.EXCHANGE_AUDIT
EXO = Service.EXCHANGE_ONLINE
NETWORKS = ("site-north", "site-south", "AS3320", "AS7018", "AS12322")
COUNTRIES = ("DE", "US", "FR")


@dataclass(frozen=True)
class Row:
    hour: datetime
    source: Source
    service: Service
    client: Client
    user: int
    country: str | None
    network: str | None
    client_version: str | None = None
    attempts: int = 2
    ok: int = 2
    failed_service: int = 0
    failed_tenant: int = 0
    failed_credential: int = 0
    code: int | None = None
    tenant: str = TENANT

    def failing(self, family: str, code: int, attempts: int = 3) -> Row:
        failed = {f"failed_{f}": 0 for f in OutcomeFamily} | {f"failed_{family}": attempts}
        return replace(self, attempts=attempts, ok=0, code=code, **failed)


def user_id(user: int) -> int:
    return 0x5EC0_0000_0000_0000 + user * 1_000_003


def network_of(user: int) -> str:
    return NETWORKS[user % 5]


def clients_of(user: int) -> list[tuple[Client, Client]]:
    """(as sign-ins tell it, as the mailbox audit tells it)"""
    out = [(Client.OUTLOOK_IOS,) * 2 if user % 2 else (Client.OUTLOOK_ANDROID,) * 2]
    if user % 4 == 0:
        fine = Client.OUTLOOK_MAC_NEW if user % 8 == 0 else Client.OUTLOOK_MAC_LEGACY
        out.append((Client.OUTLOOK_MAC, fine))
    else:
        out.append((Client.OUTLOOK_WINDOWS_CLASSIC,) * 2)
    if user % 3 == 0:
        out.append((Client.OWA,) * 2)
    return out


def habit(hour: datetime) -> float:
    """Share of the users at work."""
    if hour.weekday() >= 5:
        return 0.05
    return 0.95 if 8 <= hour.hour < 18 else 0.04


def usual_rows(hour: datetime, tenant: str = TENANT) -> list[Row]:
    """What an ordinary hour holds; the same hour always gives the same rows."""
    rng = np.random.default_rng(int(hour.timestamp()))
    rows: list[Row] = []
    awake = rng.random(USERS) < habit(hour)
    for user in range(USERS):
        luck = rng.random(8)
        if not awake[user]:
            continue
        where = (COUNTRIES[user % 3], network_of(user))
        for at, (coarse, fine) in enumerate(clients_of(user)):
            if luck[at] < 0.05:
                continue
            rows.append(Row(hour, SIGNIN, EXO, coarse, user_id(user), *where, tenant=tenant))
            rows.append(Row(hour, AUDIT, EXO, fine, user_id(user), None, None, tenant=tenant))
    rows.extend(
        Row(hour, AUDIT, EXO, Client.SYSTEM, user_id(user), None, None, tenant=tenant)
        for user in range(0, USERS, 2)
    )
    return rows


def table(rows: Iterable[Row]) -> pa.Table:
    rows = list(rows)
    return (
        pa.table(
            {
                f.name: pa.array([getattr(r, f.name) for r in rows]).cast(f.type)
                if not pa.types.is_dictionary(f.type)
                else pa.array(
                    [None if getattr(r, f.name) is None else str(getattr(r, f.name)) for r in rows],
                    pa.string(),
                ).dictionary_encode()
                for f in USER_HOUR_SCHEMA
            },
            schema=USER_HOUR_SCHEMA,
        )
        if rows
        else USER_HOUR_SCHEMA.empty_table()
    )


Change = Callable[[list[Row]], list[Row]]


def block(
    start: datetime,
    hours: int = 1,
    change: Change | None = None,
    *,
    gaps: Sequence[Gap] = (),
    completeness: dict[tuple[str, Source], np.ndarray] | None = None,
    tenants: Sequence[str] = (TENANT,),
    rows: list[Row] | None = None,
) -> WindowBlock:
    if rows is None:
        rows = [
            row
            for h in range(hours)
            for tenant in tenants
            for row in usual_rows(start + timedelta(hours=h), tenant)
        ]
    if change is not None:
        rows = change(rows)
    told = completeness or {
        (t, s): np.ones(hours * 60, np.float32) for t in tenants for s in (SIGNIN, AUDIT)
    }
    return WindowBlock(
        start=start,
        minutes=hours * 60,
        cells=(),
        counts={},
        codes={},
        completeness=told,
        user_hours=table(rows),
        gaps=tuple(gaps),
        settle={(t, SIGNIN): (120.0, 600.0) for t in tenants}
        | {(t, AUDIT): (3600.0, 5400.0) for t in tenants},
    )


def flag(
    kind: FlagKind,
    client: Client,
    onset: datetime,
    *,
    name: str = "",
    source: Source = SIGNIN,
    service: Service = EXO,
    family: OutcomeFamily | None = None,
    alarm: datetime | None = None,
    raised: datetime | None = None,
    closed: datetime | None = None,
    score: float = 14.0,
    observed: dict[str, float] | None = None,
    expected: dict[str, float] | None = None,
    tenant: str = TENANT,
    code: int | None = None,
) -> Flag:
    alarm = alarm or onset + timedelta(minutes=10)
    delay = timedelta(minutes=75) if source is AUDIT else timedelta(minutes=4)
    signal = {
        FlagKind.FAILURE_SPIKE: Signal.FAILURE_RATE,
        FlagKind.VOLUME_DROP: Signal.ACTIVE_USERS,
        FlagKind.RETRY_SURGE: Signal.RETRY_PRESSURE,
        FlagKind.CLIENT_SHIFT: Signal.CLIENT_SHIFT,
        FlagKind.NEW_ERROR: Signal.NEW_ERROR,
    }[kind]
    drop = kind is FlagKind.VOLUME_DROP
    return Flag(
        flag_id=content_id("flag", tenant, source, service, client, kind, family, onset, name),
        revision=1,
        state=FlagState.OPEN,
        tenant=tenant,
        source=source,
        service=service,
        client=client,
        signal=signal,
        kind=kind,
        onset_at=onset,
        alarm_at=alarm,
        raised_at=raised or alarm + delay,
        score=score,
        p_value=float(np.exp(-score)),
        detector="test",
        detector_version="1",
        closed_at=closed,
        family=family,
        error_code=code,
        observed=observed if observed is not None else {"users": 20.0, "rate": 0.4},
        expected=expected
        if expected is not None
        else {"users": 50.0 if drop else 1.0, "rate": 0.01},
    )


def closing(open_flag: Flag, at: datetime) -> Flag:
    return replace(open_flag, revision=2, state=FlagState.CLOSED, closed_at=at)


@dataclass
class Run:
    """Hours given to the stage one after the other."""

    state: CorrelateState
    at: datetime
    settings: CorrelateSettings
    incidents: list[Incident]

    def hours(
        self,
        count: int,
        flags: Sequence[Flag] = (),
        change: Change | None = None,
        *,
        changes: Sequence[TenantChange] = (),
        gaps: Sequence[Gap] = (),
        completeness: dict[tuple[str, Source], np.ndarray] | None = None,
        tenants: Sequence[str] = (TENANT,),
    ) -> list[Incident]:
        given = block(self.at, count, change, gaps=gaps, completeness=completeness, tenants=tenants)
        self.state, out = advance(self.state, given, flags, changes=changes, settings=self.settings)
        self.at += timedelta(hours=count)
        self.incidents += out
        return list(out)

    @property
    def last(self) -> Incident:
        return self.incidents[-1]

    def latest(self) -> dict[str, Incident]:
        return {i.incident_id: i for i in self.incidents}


class Town:
    """Everything a test needs, so that no test module imports another."""

    tenant, day, users = TENANT, DAY, USERS
    signin, audit, exo = SIGNIN, AUDIT, EXO
    Row, Run = Row, Run
    user_id = staticmethod(user_id)
    network_of = staticmethod(network_of)
    clients_of = staticmethod(clients_of)
    usual_rows = staticmethod(usual_rows)
    block, flag, closing, table = (
        staticmethod(block),
        staticmethod(flag),
        staticmethod(closing),
        staticmethod(table),
    )

    def __init__(self, week: CorrelateState) -> None:
        self.week = week

    def at(self, hour: int, minute: int = 0, day: int = 0) -> datetime:
        return DAY + timedelta(days=day, hours=hour, minutes=minute)

    def run(self, **knobs: object) -> Run:
        codes = {
            90033: ("service_fault", "a temporary fault at Microsoft"),
            53003: ("policy", "blocked by Conditional Access"),
            50126: ("user_error", "wrong user name or password"),
            50107: ("federation", "the federation realm does not exist"),
        }
        settings = CorrelateSettings(**({"code_meanings": codes} | knobs))  # type: ignore[arg-type] # knobs of a test
        return Run(self.week, DAY, settings, [])

    def drop(
        self,
        clients: set[Client],
        share: float = 0.7,
        sources: frozenset[Source] = frozenset({AUDIT}),
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Change:
        """Take ``share`` of the rows of ``clients`` away, the same users every hour."""

        def change(rows: list[Row]) -> list[Row]:
            return [
                r
                for r in rows
                if not (
                    r.client in clients
                    and r.source in sources
                    and (start is None or r.hour >= start)
                    and (end is None or r.hour < end)
                    and (r.user * 2_654_435_761 >> 7) % 100 < 100 * share
                )
            ]

        return change

    def fail(
        self,
        clients: set[Client],
        family: str,
        code: int,
        share: float = 0.6,
        only: Callable[[Row], bool] = lambda _: True,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Change:
        """Let ``share`` of the users of ``clients`` fail to sign in."""

        def change(rows: list[Row]) -> list[Row]:
            return [
                r.failing(family, code)
                if r.client in clients
                and r.source is SIGNIN
                and only(r)
                and (start is None or r.hour >= start)
                and (end is None or r.hour < end)
                and (r.user * 2_654_435_761 >> 7) % 100 < 100 * share
                else r
                for r in rows
            ]

        return change


@pytest.fixture(scope="session")
def week() -> CorrelateState:
    """The state after eight ordinary days, up to Thursday 00:00."""
    start = DAY - timedelta(days=8)
    state, incidents = advance(CorrelateState(), block(start, 192), ())
    assert incidents == ()
    return state


@pytest.fixture
def town(week: CorrelateState) -> Town:
    return Town(week)
