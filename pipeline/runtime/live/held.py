"""A tenant's state as a ledger or a topic holds it, and the tenant that it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.model.clock import from_us
from pipeline.runtime.live.engine import apply, restored
from pipeline.runtime.live.messages import Kind, Message, UnreadableMessageError

if TYPE_CHECKING:
    from pipeline.ledger.store import Ledger
    from pipeline.runtime.judging import Settings
    from pipeline.runtime.live.tenant import Tenant


@dataclass(slots=True)
class Held:
    """What is kept of a tenant, all of one moment.

    Attributes:
        tenant: whose.
        stands_at: what the ground holds up to: a number of the journal, or an offset.
        behind: messages since that are to be taken in again; on Kafka those of all tenants
            of the partition.
        ground: the ground part; None before it was stored first.
        parts: its large parts, by name.
        issued: the issued part; None if nothing was told.
        messages: those since, in order, where they were asked for.
        partition: of the topics; None in a ledger.
    """

    tenant: str
    stands_at: int = 0
    behind: int = 0
    ground: bytes | None = None
    parts: dict[str, bytes] = field(default_factory=dict)
    issued: bytes | None = None
    messages: list[Message] = field(default_factory=list)
    partition: int | None = None


def held_in(ledger: Ledger, tenant: str) -> Held | None:
    """What a ledger holds of a tenant; None if it knows nothing of it."""
    with ledger.reading():
        if tenant not in ledger.tenants():
            return None
        stands_at, ground = ledger.state(tenant) or (0, None)
        messages = [
            Message(tenant, Kind(m.kind), None if m.read_at is None else from_us(m.read_at), m.body)
            for m in ledger.journalled(tenant, stands_at)
        ]
        return Held(
            tenant,
            stands_at,
            len(messages),
            ground,
            ledger.parts(tenant),
            ledger.issued(tenant),
            messages,
        )


def revived(settings: Settings, held: Held) -> Tenant:
    """The tenant as a run would bring it back, its messages taken in.

    Raises:
        StateError: the state is damaged or of another version.
    """
    tenant = restored(settings, held.ground, held.parts, held.issued)
    for message in held.messages:
        try:
            apply(tenant, message)
        except UnreadableMessageError:
            continue  # the run has made a dead letter of it
    return tenant
