"""What would have been seen: the weight of "no incident found"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.model.vocabulary import CLIENT_LABELS, SERVICE_LABELS, Client, Service
from pipeline.notify.clean import clean
from pipeline.notify.words import count, percent
from pipeline.report.quality import as_dict, as_list, number

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Watched:
    """One client and how well it is watched.

    ``users``: distinct users of a usual working day. ``effect``: smallest share (0..1) of
    them whose trouble over four busy hours would have been flagged; 1 = none.
    """

    client: str
    service: str
    users: float
    effect: float

    def row(self) -> tuple[str, str, str, str]:
        """The cells of the table."""
        seen = percent(self.effect) if self.effect < 1 else "too few users"
        return self.client, self.service, count(self.users), seen


def watched(summary: Mapping[str, Any]) -> list[Watched]:
    """The clients of a summary, the one with most users first."""
    rows = [as_dict(r) for r in as_list(summary.get("exposure"))]
    found = [
        Watched(
            _label(Client, CLIENT_LABELS, r.get("client", "-")),
            _label(Service, SERVICE_LABELS, r.get("service", "-")),
            number(r.get("users_a_day")),
            number(r.get("smallest_detectable_effect", 1)),
        )
        for r in rows
        if r.get("client") != Client.SYSTEM
    ]
    return sorted(found, key=lambda w: (-w.users, w.client, w.service))


def sentence(found: list[Watched]) -> str:
    """What the absence of an incident is worth, in one sentence."""
    named = [w for w in found if w.effect < 1][:4]
    if not named:
        return "No client had users and history enough to judge by, so this is no all-clear."
    told = ", ".join(f"{w.client} {percent(w.effect)}" for w in named)
    return (
        "Trouble for this share of a client's users during four busy hours would have been "
        f"flagged: {told}."
    )


def _label(kind: type[Client | Service], labels: Mapping[Any, str], value: Any) -> str:
    return labels[kind(value)] if value in set(kind) else clean(value, 60)
