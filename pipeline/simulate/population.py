"""Who works in the tenant, with which clients, where and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.model.vocabulary import Client
from pipeline.simulate.catalog import SOFTWARE
from pipeline.simulate.habits import HABITS
from pipeline.simulate.people import DOMAIN, GHOSTS, SERVICES, names
from pipeline.simulate.places import (
    CARRIERS,
    DATACENTRE,
    FOREIGN,
    HOMES,
    OFFICES,
    AddressBook,
    Network,
)
from pipeline.simulate.spec import guid, stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.simulate.spec import SimulationSpec

CLIENTS: Final = tuple(Client)
CLIENT_INDEX: Final = {client: i for i, client in enumerate(CLIENTS)}
ZONES: Final = ("Europe/Berlin", "America/New_York")
OFFICE_SHARES: Final = (0.45, 0.25, 0.30)  # berlin, munich, new_york
OFFICE_ZONE: Final = (0, 0, 1)

MEMBER, SERVICE, GUEST, GHOST = range(4)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Everybody who may appear; arrays have one entry an account.

    ``begin`` and ``length`` are the local working hours; ``activity`` has mean 1.
    """

    kind: NDArray[np.int8]
    name: list[str]
    upn: list[str]
    object_id: list[str]
    mailbox: list[str]
    office: NDArray[np.int8]
    zone: NDArray[np.int8]
    activity: NDArray[np.float64]
    begin: NDArray[np.float64]
    length: NDArray[np.float64]
    federated: NDArray[np.bool_]
    office_ip: NDArray[np.int32]
    home_ip: NDArray[np.int32]
    mobile_ip: NDArray[np.int32]

    def members(self) -> NDArray[np.int64]:
        """Indices of the members."""
        return np.flatnonzero(self.kind == MEMBER)


@dataclass(frozen=True, slots=True)
class Holdings:
    """One client in one user's hands; ``rate`` is sessions on a full working day.

    ``life`` and ``phase`` (microseconds) say when its access token runs out.
    ``moves_at`` is the part of the period (0 to 1) at which a classic user moves to new
    Outlook, ``arrives_at`` the same for the new client; 2 and -1 mean never and always.
    """

    user: NDArray[np.int32]
    client: NDArray[np.int8]
    software: NDArray[np.int16]
    rate: NDArray[np.float64]
    life: NDArray[np.int64]
    phase: NDArray[np.int64]
    moves_at: NDArray[np.float64]
    arrives_at: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.user.size)


@dataclass(frozen=True, slots=True)
class Population:
    """Accounts, their clients and every address in use."""

    accounts: Accounts
    holdings: Holdings
    addresses: list[str]
    networks: list[Network]
    datacentre_ips: NDArray[np.int32]
    foreign_ips: list[NDArray[np.int32]]


def populate(spec: SimulationSpec) -> Population:
    """Draw the tenant of ``spec``."""
    book = AddressBook()
    accounts = _accounts(spec, book)
    return Population(
        accounts=accounts,
        holdings=_holdings(spec, accounts),
        datacentre_ips=np.array(book.add_all(DATACENTRE, 24), np.int32),
        foreign_ips=[np.array(book.add_all(n, 12), np.int32) for n in FOREIGN],
        addresses=book.addresses,
        networks=book.networks,
    )


def _accounts(spec: SimulationSpec, book: AddressBook) -> Accounts:
    rng = stream(spec.seed, "accounts")
    services = max(2, spec.users // 100)
    guests = max(1, spec.users // 25)
    sizes = (spec.users, services, guests, len(GHOSTS))
    kind = np.repeat(np.arange(4, dtype=np.int8), sizes)
    total = int(kind.size)
    people = names(rng, spec.users)
    name = [n for n, _ in people]
    upn = [f"{local}@{DOMAIN}" for _, local in people]
    for i in range(services):
        local = SERVICES[i % len(SERVICES)] + ("" if i < len(SERVICES) else str(i))
        name.append(f"Service {local}")
        upn.append(f"svc.{local}@{DOMAIN}")
    for display, local in names(rng, guests):
        name.append(f"{display} (Fabrikam)")
        upn.append(f"{local}@fabrikam.example")
    name += list(GHOSTS)
    upn += [f"{g}@{DOMAIN}" for g in GHOSTS]
    office = rng.choice(3, size=total, p=OFFICE_SHARES).astype(np.int8)
    # Heavy tail: the busiest twentieth of the users make some 15 % of the traffic.
    activity = np.minimum(rng.lognormal(-0.15, 0.55, total), 5.0)
    ids = rng.bytes(32 * total).hex()
    object_id = [guid(ids[64 * i : 64 * i + 32]) for i in range(total)]
    mailbox = [guid(ids[64 * i + 32 : 64 * i + 64]) for i in range(total)]
    office_pool = [np.array(book.add_all(n)) for n in OFFICES]
    carrier_pool = [np.array(book.add_all(n)) for n in CARRIERS]
    home = np.empty(total, np.int32)
    for i, where in enumerate(office.tolist()):
        network = HOMES[where]
        home[i] = book.add(network, f"{network.prefix}:{i + 1:x}::{rng.integers(16, 65535):x}")
    return Accounts(
        kind=kind,
        name=name,
        upn=upn,
        object_id=object_id,
        mailbox=mailbox,
        office=office,
        zone=np.array(OFFICE_ZONE, np.int8)[office],
        activity=activity,
        begin=np.clip(rng.normal(8.5, 0.7, total), 6.0, 11.0),
        length=np.clip(rng.normal(9.0, 0.7, total), 6.5, 11.0),
        federated=rng.random(total) < 0.4,
        office_ip=_draw(rng, office_pool, office),
        home_ip=home,
        mobile_ip=_draw(rng, carrier_pool, np.array(OFFICE_ZONE, np.int8)[office]),
    )


def _draw(
    rng: np.random.Generator, pools: list[NDArray[np.int64]], which: NDArray[np.int8]
) -> NDArray[np.int32]:
    out = np.empty(which.size, np.int32)
    for i, pool in enumerate(pools):
        mine = which == i
        out[mine] = rng.choice(pool, size=int(mine.sum()))
    return out


def _holdings(spec: SimulationSpec, accounts: Accounts) -> Holdings:
    rng = stream(spec.seed, "holdings")
    members, services = accounts.members(), np.flatnonzero(accounts.kind == SERVICE)
    users, clients, rates = [], [], []
    held: dict[Client, NDArray[np.bool_]] = {}
    for client, habit in HABITS.items():
        mine = rng.random(members.size) < habit.share
        personal = rng.lognormal(-0.125, 0.5, members.size)
        held[client] = mine
        # Everybody may fall back on the web client, and a migration needs its new one.
        spare = client in {Client.OWA, Client.OUTLOOK_WINDOWS_NEW}
        chosen = members if spare else members[mine]
        rate = habit.sessions * np.where(
            habit.rhythm == "bot", 1.0, personal * accounts.activity[members]
        )
        users.append(chosen)
        clients.append(np.full(chosen.size, CLIENT_INDEX[client], np.int8))
        rates.append(np.where(mine, rate, 0.0) if spare else rate[mine])
    for client in (Client.IMAP4, Client.EWS, Client.GRAPH):
        users.append(services)
        clients.append(np.full(services.size, CLIENT_INDEX[client], np.int8))
        rates.append(np.full(services.size, HABITS[client].sessions))
    user, client_code = np.concatenate(users), np.concatenate(clients)
    rate = np.concatenate(rates)
    moves_at, arrives_at = _migration(spec, rng, user, client_code, rate)
    size = user.size
    # Access tokens live 60 to 90 minutes; an IMAP client signs in again sooner.
    life = rng.uniform(60, 90, size)
    life[client_code == CLIENT_INDEX[Client.IMAP4]] *= 0.5
    life_us = (life * 60e6).astype(np.int64)
    return Holdings(
        user=user.astype(np.int32),
        client=client_code,
        software=_software(rng, client_code),
        rate=rate,
        life=life_us,
        phase=(rng.random(size) * life_us).astype(np.int64),
        moves_at=moves_at,
        arrives_at=arrives_at,
    )


def _software(rng: np.random.Generator, client_code: NDArray[np.int8]) -> NDArray[np.int16]:
    out = np.empty(client_code.size, np.int16)
    for client in HABITS:
        mine = client_code == CLIENT_INDEX[client]
        builds = [i for i, s in enumerate(SOFTWARE) if s.client == client]
        weights = np.array([SOFTWARE[i].weight for i in builds])
        out[mine] = rng.choice(builds, size=int(mine.sum()), p=weights / weights.sum())
    return out


def _migration(
    spec: SimulationSpec,
    rng: np.random.Generator,
    user: NDArray[np.int64],
    client_code: NDArray[np.int8],
    rate: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Let 30 % of the classic users move within the two middle weeks; changes ``rate``."""
    moves, arrives = np.full(user.size, 2.0), np.full(user.size, -1.0)
    if "migration" not in spec.scenarios:
        return moves, arrives
    classic = np.flatnonzero(client_code == CLIENT_INDEX[Client.OUTLOOK_WINDOWS_CLASSIC])
    chosen = classic[rng.random(classic.size) < 0.3]
    first = (spec.weeks - 3) / spec.weeks
    moves[chosen] = first + rng.random(chosen.size) * 2 / spec.weeks
    by_user = {int(user[i]): i for i in chosen}
    for j in np.flatnonzero(client_code == CLIENT_INDEX[Client.OUTLOOK_WINDOWS_NEW]):
        i = by_user.get(int(user[j]))
        if i is not None and rate[j] == 0.0:
            rate[j], arrives[j] = rate[i], moves[i]
    return moves, arrives
