"""What people are told (``outrider.notice/1``), and what they answer: silences and acknowledgements.

A notice is one message to one destination of people: a chat, a pager, a mailbox. The notify stage
decides which there are; (notice_id, revision) is the key of each, and notice_id is its thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 # read back at run time by documents.from_json
from enum import StrEnum
from typing import ClassVar, Final

from pipeline.model.incident import (  # noqa: TC001 # read back at run time
    Incident,
    IncidentState,
    Severity,
)


class NoticeReason(StrEnum):
    """Why something is told now: the reason of a revision, or one of the last three.

    reminder: nothing is new; it goes on, and nobody has acknowledged it.
    unsilenced: what held it back has ended, a silence, quiet hours, maintenance, inhibition.
    rerouted: it goes on, but from now on it is told elsewhere; here it is over.
    """

    OPENED = "opened"
    SPREAD = "spread"
    SEVERITY_UP = "severity_up"
    MATCHED = "matched"
    ADVISORY_CHANGED = "advisory_changed"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    CORRECTED = "corrected"
    REMINDER = "reminder"
    UNSILENCED = "unsilenced"
    REROUTED = "rerouted"


# What is always told where an incident belongs: it begins there, and it ends there.
ALWAYS: Final = frozenset(
    {
        NoticeReason.OPENED,
        NoticeReason.UNSILENCED,
        NoticeReason.RESOLVED,
        NoticeReason.REROUTED,
    }
)


@dataclass(frozen=True, slots=True)
class NoticeItem:
    """One incident of a notice, and why it is told."""

    reason: NoticeReason
    incident: Incident


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one destination.

    Attributes:
        notice_id: its thread: the incident_id, or ``grp-`` and a hash for a group.
        revision: grows within the thread. Of a single incident it is the incident's own, but
            greater by one than the last one told where that is not less (after a reminder).
        sink: the destination, as it is called in the configuration.
        at: when it was decided.
        reason: the most pressing of its incidents' reasons.
        state: the least over of its incidents; one that was rerouted counts as resolved.
        severity: the highest of its incidents that are not over (of all, if all are over).
        group: labels that the incidents have in common; empty for a single one.
        incidents: at least one, the most pressing first.
        link: to a page about it, where ``notify.public_url`` is set.
    """

    SCHEMA: ClassVar[str] = "outrider.notice/1"

    notice_id: str
    revision: int
    sink: str
    at: datetime
    reason: NoticeReason
    state: IncidentState
    severity: Severity
    group: dict[str, str]
    incidents: tuple[NoticeItem, ...]
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody is told of what matches, from ``starts_at`` until before ``ends_at``.

    ``matchers`` all have to match, each written as in a route: ``client=owa,imap4``.
    """

    SCHEMA: ClassVar[str] = "outrider.silence/1"

    silence_id: str
    matchers: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    by: str
    comment: str

    def active(self, now: datetime) -> bool:
        """Whether it holds at a moment."""
        return self.starts_at <= now < self.ends_at


@dataclass(frozen=True, slots=True)
class Ack:
    """Somebody looks after an incident: no reminders and no small updates until it gets worse.

    ``until``: from then on it is as if nobody did; None = for as long as it lasts.
    """

    SCHEMA: ClassVar[str] = "outrider.ack/1"

    incident_id: str
    at: datetime
    by: str
    note: str
    until: datetime | None = None
