"""Event Hubs: each hub by itself, through the Kafka endpoint as the source reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connectors.sources.event_hubs_look import look_at_hubs
from pipeline.runtime.checking.finding import Finding, State, of_error
from pipeline.runtime.checking.graph import age
from pipeline.runtime.checking.places import Place, reached

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from connectors.sources.event_hubs_login import Address, Login
    from pipeline.model.clock import Clock

_WHERE: Final = "event_hubs"


def namespace(
    address: Address,
    login: Login,
    hubs: Sequence[str],
    ca_file: Path | None,
    clock: Clock,
    alarm: timedelta,
) -> list[Finding]:
    """Look at a namespace and its hubs; nothing is committed, and no group is joined.

    Args:
        address: of the namespace.
        login: how to sign in.
        hubs: to be read.
        ca_file: authorities to trust; None = those of the machine.
        clock: of this machine.
        alarm: how old the newest message may be before somebody has to look.
    """
    place = Place(address.host, address.port, ca_file=ca_file)
    found = reached(_WHERE, place, clock)
    if found[-1].state in {State.FAIL, State.SKIP}:
        return found
    for look in look_at_hubs(address, login, hubs, ca_file):
        if look.problem is not None:
            found.append(of_error(_WHERE, "hub", look.problem))
            continue
        count = f"{look.partitions} partition{'s' if look.partitions != 1 else ''}"
        found.append(Finding(_WHERE, "hub", State.OK, f"{look.hub}: {count}, may be read"))
        told = age(_WHERE, look.newest, clock.now(), alarm)
        found.append(
            Finding(told.where, told.what, told.state, f"{look.hub}: {told.told}", told.remedy)
        )
    return found
