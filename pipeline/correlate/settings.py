"""Every knob of the stage, with why it stands where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class CorrelateSettings:
    """Knobs of grouping, life cycle, counting and verdict.

    Attributes:
        join_window: onsets this close may share a cause although the clients differ.
        mixed_window: onsets this close in one cell share a cause although the families differ.
        change_window: how long before the onset a tenant change is suspected.
        straggling_share: flags of clients with less than this share of the users who are hit
            may stay open in an incident that recovers.
        recovering_hold: all other flags closed for so long = recovering; doubled after each
            time it turned out wrong, up to half of ``resolve_hold``.
        resolve_hold: all flags closed for so long = resolved, if people were at work since.
        waking_hours: hours of work needed within that hold; an hour is one of work when
            its users reach ``waking_share`` of the busiest hour of the last week.
        reopen_window: a fitting flag this soon after the resolution re-opens.
        flag_expiry: a flag its detector never closed counts as closed after this.
        weak_score, weak_minutes: a client is noise when its best score and its flagged
            minutes are below these shares of the leading client's.
        press_attempts: attempts of one user in one hour that count as pressing (the window
            stage counts ``newly_pressing`` at the same number).
        margin: log-odds the best verdict must lead by, else undetermined.
        medium_users, high_users, high_share, critical_users, critical_share: severity from
            affected users, absolute and as share of the tenant's active users; high and
            critical need both. lost_high, lost_critical: or so many user-minutes lost.
        settle_signin, settle_audit: seconds until an hour is known, where the block does
            not tell: a few minutes for sign-ins, 90 minutes for the mailbox audit.
        fold_hours: hours after which an hour's tally can no longer change.
        code_meanings: by error code, (outcome class, meaning).
        arrival: ``measured`` or ``declared``, copied into the incidents.
    """

    join_window: timedelta = timedelta(hours=2)
    mixed_window: timedelta = timedelta(hours=1)
    change_window: timedelta = timedelta(hours=3)
    straggling_share: float = 0.2
    recovering_hold: timedelta = timedelta(hours=1)
    resolve_hold: timedelta = timedelta(hours=12)
    waking_hours: int = 3
    waking_share: float = 0.3
    reopen_window: timedelta = timedelta(hours=72)
    flag_expiry: timedelta = timedelta(days=14)
    weak_score: float = 0.5
    weak_minutes: float = 0.25
    press_attempts: int = 5
    margin: float = 0.7
    medium_users: int = 5
    high_users: int = 20
    high_share: float = 0.10
    critical_users: int = 50
    critical_share: float = 0.40
    lost_high: float = 12_000.0
    lost_critical: float = 120_000.0
    settle_signin: float = 300.0
    settle_audit: float = 5_400.0
    fold_hours: int = 30
    code_meanings: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    arrival: str = "measured"
