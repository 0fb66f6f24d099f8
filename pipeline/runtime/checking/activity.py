"""The Office 365 Management Activity API: subscriptions, and what became available of late."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from connectors.sources.activity_api import ActivityApi
from pipeline.model.errors import OutriderError
from pipeline.runtime.checking.finding import Finding, State, of_error
from pipeline.runtime.checking.graph import hours_ago

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.http.client import HttpClient
    from pipeline.model.clock import Clock

_WHERE: Final = "activity"
_DAY: Final = timedelta(hours=24)


def feed(
    client: HttpClient,
    tenant: str,
    kinds: Sequence[str],
    publisher: str | None,
    clock: Clock,
    alarm: timedelta,
) -> list[Finding]:
    """Look at the subscription to each kind of content; none is started.

    Args:
        client: signed in.
        tenant: whose audit log it is.
        kinds: of content that are to be read.
        publisher: whose quota counts; None = the tenant's own.
        clock: of this machine.
        alarm: how old the newest content may be before somebody has to look.
    """
    api = ActivityApi(client, tenant=tenant, publisher=publisher)
    try:
        held = api.subscriptions()
    except OutriderError as error:
        return [of_error(_WHERE, "audit log", error)]
    found = [Finding(_WHERE, "audit log", State.OK, "it is on, and may be read")]
    for kind in kinds:
        status = held.get(kind)
        if status != "enabled":
            told = "is disabled" if status else "is not there yet"
            found.append(
                Finding(
                    _WHERE,
                    "subscription",
                    State.WARN,
                    f"the subscription to {kind} {told}",
                    "the collector starts it; the first content comes up to 12 hours later, and "
                    "what became available before cannot be had; if it cannot be started, turn "
                    "the organisation's audit log on (Purview: Audit, Start recording)",
                )
            )
            continue
        found.append(Finding(_WHERE, "subscription", State.OK, f"to {kind}: enabled"))
        found.append(_newest(api, kind, clock, alarm))
    return found


def _newest(api: ActivityApi, kind: str, clock: Clock, alarm: timedelta) -> Finding:
    now = (clock.now() + api.ahead).replace(microsecond=0)
    try:
        listed = api.listing(kind, now - _DAY, now, 1)
    except OutriderError as error:
        return of_error(_WHERE, "last record", error)
    newest = max((c.created for c in listed.contents), default=None)
    if newest is None or (not listed.whole and now - newest > alarm):
        if listed.contents:
            told = f"{kind}: content of the last 24 hours fills several pages"
            return Finding(_WHERE, "last record", State.OK, told)
        return Finding(
            _WHERE,
            "last record",
            State.WARN,
            f"{kind}: nothing became available in the last 24 hours",
            "a new subscription needs up to 12 hours; else see that mailbox auditing is on "
            "(Exchange: Get-OrganizationConfig, AuditDisabled)",
        )
    told = f"{kind}: the newest content is {hours_ago(newest, now)} old"
    if now - newest <= alarm:
        return Finding(_WHERE, "last record", State.OK, told)
    remedy = "content comes late, or nobody works just now; the collector tells when it lasts"
    return Finding(_WHERE, "last record", State.WARN, told, remedy)
