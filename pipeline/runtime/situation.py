"""What people are told now, for whoever only looks: commands and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.model.clock import to_us
from pipeline.notify.explaining import explain_incident, explain_labels
from pipeline.notify.holding import Situation
from pipeline.notify.matchers import labels_of
from pipeline.notify.memory import INCIDENTS, OVER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from pipeline.ledger.store import Ledger
    from pipeline.notify.explaining import Explained
    from pipeline.notify.memory import State
    from pipeline.notify.settings import NotifySettings


def situation_of(
    ledger: Ledger, settings: NotifySettings, now: datetime
) -> tuple[Situation, State]:
    """What there is to decide by now, and what the notify stage remembers."""
    state = ledger.threads()
    known = state.get(INCIDENTS, {})
    return Situation(settings, now, known, ledger.silences(to_us(now)), ledger.acks()), state


def explain(
    ledger: Ledger, settings: NotifySettings, now: datetime, incident: Mapping[str, Any]
) -> list[Explained]:
    """Who is told of an incident and who is not, with the reasons, by destination.

    Args:
        ledger: of the process that tells people.
        settings: of the notify stage.
        now: the moment, in UTC.
        incident: its newest revision (``outrider.incident/1``).
    """
    situation, state = situation_of(ledger, settings, now)
    name = incident["incident_id"]
    if name in situation.incidents:
        return explain_incident(situation, state, name)
    if incident["state"] in OVER:
        return []
    return explain_labels(situation, labels_of(incident), name)
