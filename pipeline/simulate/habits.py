"""How each client is used on a working day, and what of it the audit log tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.model.vocabulary import Client


@dataclass(frozen=True, slots=True)
class Habit:
    """How a client is used, per holder of average activity on a full working day.

    Attributes:
        share: part of the users who hold it.
        sessions: times a day it is taken up.
        uses: mean mailbox accesses a session.
        minutes: mean length of a session.
        rhythm: "desk", "mobile" or "bot" (the same all day and night).
        binds: mean items of one access.
        resources: the tokens it asks for: (resource, probability per refresh).
        interactive: probability that a refresh is an interactive sign-in.
        sync: part of the accesses logged as a folder synchronisation.
    """

    share: float
    sessions: float
    uses: float
    minutes: float
    rhythm: str
    binds: float = 1.8
    resources: tuple[tuple[str, float], ...] = (("exchange", 1.0),)
    interactive: float = 0.01
    sync: float = 0.0


_MAIL = (("exchange", 1.0), ("graph", 0.15))
HABITS: Final[dict[Client, Habit]] = {
    Client.OUTLOOK_IOS: Habit(0.35, 12, 1.3, 5, "mobile", resources=_MAIL),
    Client.OUTLOOK_ANDROID: Habit(0.20, 11, 1.3, 5, "mobile", resources=_MAIL),
    Client.OUTLOOK_MAC_NEW: Habit(0.09, 14, 1.6, 25, "desk", resources=_MAIL, sync=0.15),
    Client.OUTLOOK_MAC_LEGACY: Habit(0.01, 14, 1.8, 25, "desk", resources=_MAIL, sync=0.5),
    Client.OUTLOOK_WINDOWS_CLASSIC: Habit(0.40, 14, 1.4, 35, "desk", resources=_MAIL, sync=0.55),
    Client.OUTLOOK_WINDOWS_NEW: Habit(0.25, 14, 1.4, 30, "desk", resources=_MAIL),
    Client.OWA: Habit(0.55, 5, 1.7, 14, "desk", resources=_MAIL, interactive=0.10),
    Client.ACTIVESYNC: Habit(0.07, 12, 1.3, 4, "mobile"),
    # A poll every 5 to 15 minutes, all day: 144 a day.
    Client.IMAP4: Habit(0.06, 144, 1, 1, "bot", binds=1.3, interactive=0.0),
    Client.EWS: Habit(0.015, 10, 2, 20, "desk"),
    Client.GRAPH: Habit(0.01, 6, 2, 10, "bot", resources=(("graph", 1.0),)),
    Client.POWERSHELL: Habit(0.004, 2, 1.5, 15, "desk", interactive=0.3),
    Client.TEAMS: Habit(
        0.95,
        8,
        1.2,
        30,
        "desk",
        resources=(("teams", 1.0), ("exchange", 0.06), ("graph", 0.15), ("sharepoint", 0.1)),
        interactive=0.02,
    ),
    Client.OFFICE_WEB: Habit(
        0.50,
        4,
        1.3,
        12,
        "desk",
        resources=(("shell", 1.0), ("graph", 0.25)),
        interactive=0.30,
    ),
    Client.COPILOT: Habit(
        0.25, 3.5, 1.6, 8, "desk", resources=(("copilot", 1.0), ("graph", 0.2)), interactive=0.10
    ),
    Client.OTHER: Habit(
        0.60,
        4,
        1.2,
        30,
        "desk",
        resources=(("sharepoint", 0.8), ("azure", 0.2)),
        interactive=0.05,
    ),
}

# Clients whose use leaves a record in the mailbox audit log, with the probability that
# one access does. An IMAP poll mostly finds nothing new; Teams mostly reads no mail.
AUDITED: Final[dict[Client, float]] = {
    Client.OUTLOOK_IOS: 1.0,
    Client.OUTLOOK_ANDROID: 1.0,
    Client.OUTLOOK_MAC_NEW: 1.0,
    Client.OUTLOOK_MAC_LEGACY: 1.0,
    Client.OUTLOOK_WINDOWS_CLASSIC: 1.0,
    Client.OUTLOOK_WINDOWS_NEW: 1.0,
    Client.OWA: 1.0,
    Client.ACTIVESYNC: 1.0,
    Client.IMAP4: 0.22,
    Client.EWS: 1.0,
    Client.GRAPH: 1.0,
    Client.POWERSHELL: 0.5,
    Client.TEAMS: 0.05,
}
