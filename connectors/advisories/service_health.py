"""Microsoft's advisories as they are published: service communications of Microsoft Graph.

What is there now is held in memory as the service has it, and every call is answered from
that: any number of tenants and rounds of a loop cost one look each few minutes. The service
keeps an issue for 30 days and only its newest version, so each version that differs is told,
once.

Source: https://learn.microsoft.com/graph/api/resources/service-communications-api-overview.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from connectors.advisories.health_errors import HEALTH, MESSAGES, SERVICE
from connectors.advisories.issue import is_message, read_issue
from connectors.advisories.listing import Counted, Listing, pages
from connectors.advisories.message import read_message
from connectors.advisories.overview import follow, open_advisories, read_overviews
from connectors.advisories.pace import Pace
from connectors.advisories.versions import in_order, read_cursor
from pipeline.model.clock import SystemClock
from pipeline.model.contracts import AdvisoryPoll
from pipeline.model.errors import OutriderError
from pipeline.model.reject import Reject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from connectors.advisories.listing import Held
    from connectors.advisories.overview import Overview
    from connectors.http.client import HttpClient
    from pipeline.model.advisory import Advisory
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Cursor

_CURSOR_VERSION: Final = 1
_MESSAGES: Final = timedelta(hours=1)
# Issues stay listed for 30 days; what was told of others is forgotten after this.
_FORGET: Final = timedelta(days=45)
# An overview may lag behind the issue that was resolved.
_EXPLAINS: Final = timedelta(hours=2)


@dataclass(slots=True)
class _Looked:
    """What the last look gave beside the listings; ``counted`` is told to the next call."""

    at: datetime | None = None
    overviews: list[Overview] = field(default_factory=list)
    counted: Counted = field(default_factory=Counted)


class ServiceHealthFeed:
    """Reads issues, health overviews and Message Center posts of one tenant.

    Args:
        http: of Microsoft Graph, with tokens for it.
        every: pause between two looks, whoever asks and how often.
        messages: whether to read Message Center posts. Nothing leans on them: where their
            permission is missing, or they fail, they are left out.
        clock: tells when to look again, and when a version was first seen.
    """

    def __init__(
        self,
        http: HttpClient,
        *,
        every: timedelta = timedelta(minutes=5),
        messages: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._http, self._pace = http, Pace(every, self._clock)
        self._issues = Listing(http, "issues", HEALTH, _issue)
        self._messages = Listing(http, "messages", MESSAGES, read_message)
        self._reads_messages = messages
        self._messages_at: datetime | None = None
        self._looked = _Looked()
        self._open: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def changed_since(self, cursor: Cursor | None) -> AdvisoryPoll:
        """Return the versions not yet told of, ordered by id and time of modification.

        Between two looks no request is made; a call without a cursor is then answered with
        all that is held. The cursor holds the keys of the versions told, by id, and what was
        told of health overviews.

        Raises:
            AuthError: the permission ServiceHealth.Read.All is missing, or no token is given.
            FatalError: the service refuses for good.
            RetriableError: it does not answer, or not now; told again, without a request,
                until the pause after a failure is over.
            StateError: the cursor is of another version.
        """
        before = read_cursor(cursor, _CURSOR_VERSION, SERVICE, "seen", "overviews")
        with self._lock:
            if self._pace.due:
                self._pace.ask(self._look)
            elif cursor is not None or self._looked.at is None:
                self._pace.check()
            return self._tell(before, first=cursor is None)

    def _look(self) -> None:
        at = self._clock.now()
        # Before the issues: one that is published in between is then seen to explain them.
        overviews = read_overviews(pages(self._http, "healthOverviews", HEALTH))
        counted = [self._issues.refresh(at), self._posts(at)]
        shown = len(overviews)
        self._looked = _Looked(
            at,
            overviews,
            Counted(
                sum(c.received for c in counted) + shown, sum(c.ignored for c in counted) + shown
            ),
        )

    def _posts(self, at: datetime) -> Counted:
        waits = self._messages_at is not None and at < self._messages_at
        if waits or not self._reads_messages:
            return Counted()
        self._messages_at = at + _MESSAGES
        try:
            return self._messages.refresh(at)
        except OutriderError:
            return Counted()  # 'outrider check' tells which permission is missing

    def _tell(self, before: dict[str, Any], *, first: bool) -> AdvisoryPoll:
        looked, at = self._looked, self._looked.at or self._clock.now()
        seen, advisories, rejects = _news(
            before["seen"], {**self._messages.records, **self._issues.records}, at, first=first
        )
        told, more = follow(
            self._open if first else before["overviews"],
            looked.overviews,
            self._explained(at),
            at,
        )
        if first:
            more = open_advisories(told)
        else:
            self._open = told
        counted, looked.counted = looked.counted, Counted()
        advisories += more
        return AdvisoryPoll(
            advisories=sorted(advisories, key=in_order),
            rejects=rejects,
            cursor={"v": _CURSOR_VERSION, "seen": _kept(seen, at), "overviews": told},
            received=max(counted.received, len(advisories) + len(rejects)) + len(more),
            ignored=counted.ignored,
        )

    def _explained(self, at: datetime) -> dict[str, tuple[str, ...]]:
        """Ids of the issues that tell why a service is unwell, by its name in lower case."""
        found: dict[str, tuple[str, ...]] = {}
        for issue in self._issues.advisories:
            modified = issue.last_modified_at
            fresh = modified is not None and at - modified < _EXPLAINS
            if not issue.is_resolved or fresh:
                name = issue.service.casefold()
                found[name] = (*found.get(name, ()), issue.advisory_id)
        return found


def _issue(record: Mapping[str, Any]) -> Advisory | None:
    return None if is_message(record) else read_issue(record)


def _news(
    before: Mapping[str, Any],
    records: Mapping[str, Iterable[Held]],
    at: datetime,
    *,
    first: bool,
) -> tuple[dict[str, Any], list[Advisory], list[Reject]]:
    """What is told of by now, the versions that are new, and the records of no use."""
    seen = {k: {"day": v["day"], "keys": list(v["keys"])} for k, v in before.items()}
    advisories: list[Advisory] = []
    rejects: list[Reject] = []
    for name, versions in records.items():
        told = seen.setdefault(name, {"day": "", "keys": []})
        told["day"] = at.date().isoformat()  # the cursor stays as it is while nothing is new
        for held in versions:
            if held.key in told["keys"]:
                continue
            told["keys"].append(held.key)
            if isinstance(held.what, Reject):
                rejects.append(held.what)
            elif held.what is not None:
                older = first and held.at_start
                advisories.append(replace(held.what, first_seen_at=None if older else held.read_at))
    return seen, advisories, rejects


def _kept(seen: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Without what the service has not listed for long."""
    since = (at - _FORGET).date().isoformat()
    return {k: v for k, v in seen.items() if v["day"] >= since}
