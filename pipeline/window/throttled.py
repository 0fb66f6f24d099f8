"""Mailboxes the audit log has fallen silent about.

After more than 1,000 binds in 24 h the log keeps no binds of a mailbox for the next 24 h
(``IsThrottled``): a false drop, so the mailbox leaves the count and the expectation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.model.event import EventFlag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.window.columns import Columns

DAY_US: Final = 86_400_000_000
_ACTIVE_DAYS: Final = 7


@dataclass(slots=True)
class Mailboxes:
    """By tenant: until when each throttled mailbox is out, and when each was last active (us)."""

    silent_until: dict[tuple[str, int], int] = field(default_factory=dict)
    last_active: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, events: Columns, audit: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Learn from the audit rows; return the rows that belong to a throttled mailbox."""
        names = events.tenant.values
        rows = np.flatnonzero(audit & events.has_user)
        out = np.zeros(len(events), dtype=bool)
        if not len(rows):
            return out
        tenant, user, time = events.tenant.codes[rows], events.user[rows], events.time[rows]
        marked = (events.flags[rows] & int(EventFlag.THROTTLED_MAILBOX)) > 0
        for at in np.flatnonzero(marked).tolist():
            key = (names[tenant[at]], int(user[at]))
            until = int(time[at]) + DAY_US
            self.silent_until[key] = max(until, self.silent_until.get(key, 0))
        for code, name in enumerate(names):
            mine = tenant == code
            mailboxes, last = np.unique(user[mine][::-1], return_index=True)
            latest = time[mine][::-1][last]
            for who, when in zip(mailboxes.tolist(), latest.tolist(), strict=True):
                self.last_active[name, who] = when
        for (name, who), until in self.silent_until.items():
            if name in names:
                mine = (tenant == names.index(name)) & (user == np.uint64(who))
                out[rows[mine & (time >= until - DAY_US) & (time < until)]] = True
        return out

    def share_out(self, tenant: str, hours_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Share of the tenant's active mailboxes that is throttled in each hour."""
        active = sum(1 for name, _ in self.last_active if name == tenant)
        out = np.zeros(len(hours_us))
        for (name, _), until in self.silent_until.items():
            if name == tenant:
                out += (hours_us < until) & (hours_us >= until - DAY_US)
        return np.minimum(out / max(active, 1), 0.5)

    def forget_before(self, moment_us: int) -> None:
        """Drop mailboxes long inactive and silences long over."""
        horizon = moment_us - _ACTIVE_DAYS * DAY_US
        self.last_active = {k: v for k, v in self.last_active.items() if v >= horizon}
        self.silent_until = {k: v for k, v in self.silent_until.items() if v >= horizon}
