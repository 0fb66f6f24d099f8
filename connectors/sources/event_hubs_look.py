"""What ``outrider check`` sees of Event Hubs: each hub by itself, over a connection of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kafka.errors import KafkaError

from connectors.sources.event_hubs_client import Bounds, HubClient
from connectors.sources.event_hubs_messages import arrival
from pipeline.model.clock import from_us
from pipeline.model.errors import OutriderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from connectors.sources.event_hubs_login import Address, Login

_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class HubLook:
    """What is seen of a hub.

    Attributes:
        hub: its name.
        problem: why it cannot be read; None = it can.
        partitions: their number.
        newest: when its last message arrived; None = it holds none.
    """

    hub: str
    problem: OutriderError | None = None
    partitions: int = 0
    newest: datetime | None = None


def look_at_hubs(
    address: Address, login: Login, hubs: Sequence[str], ca_file: Path | None = None
) -> list[HubLook]:
    """Try the hubs one by one: one that is missing or denied says nothing of the others.

    Args:
        address: of the namespace.
        login: how to sign in there.
        hubs: to look at.
        ca_file: authorities to trust; None = the usual ones.
    """
    return [_look(address, login, hub, ca_file) for hub in hubs]


def _look(address: Address, login: Login, hub: str, ca_file: Path | None) -> HubLook:
    try:
        client = HubClient(address, [hub], login, ca_file)
    except OutriderError as error:
        return HubLook(hub, error)
    try:
        held = client.bounds(client.partitions())
        last = {p: Bounds(b.end - 1, b.end) for p, b in held.items() if b.oldest < b.end}
        came = client.read(last, _SECONDS) if last else {}
        newest = max((arrival(m) for s in came.values() for m in s.messages), default=0)
        return HubLook(hub, None, len(held), from_us(newest) if newest else None)
    except OutriderError as error:
        return HubLook(hub, error)
    except KafkaError as error:
        return HubLook(hub, client.failure(error))
    finally:
        client.close()
