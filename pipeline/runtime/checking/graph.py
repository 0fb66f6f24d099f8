"""Microsoft Graph: each source is asked for the smallest piece of what it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.advisories.health_errors import HEALTH, MESSAGES
from connectors.advisories.health_errors import translated as health_refusal
from connectors.advisories.listing import ROOT
from connectors.http.answers import RefusedError
from connectors.http.client import HttpClient
from connectors.sources import directory_audits
from connectors.sources.audit_query_api import AuditQueryApi
from connectors.sources.graph_errors import Refused
from connectors.sources.graph_listing import probe
from connectors.sources.graph_signins import KINDS, signins
from pipeline.model.errors import FatalError, OutriderError
from pipeline.runtime.checking.finding import Finding, State, of_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from connectors.http.answers import Answer
    from connectors.sources.graph_listing import Listing
    from pipeline.model.clock import Clock

# By Microsoft's guidance on throttling: told from 80 % of a limit on.
_SHARE: Final = "x-ms-throttle-limit-percentage"


class Heard(HttpClient):
    """A client that keeps the headers of its last answer; ``quota`` reads them."""

    heard: Mapping[str, str] = {}

    def get(self, path: str, **options: Any) -> Answer:
        """See :meth:`HttpClient.get`."""
        answer = super().get(path, **options)
        self.heard = answer.headers
        return answer

    def quota(self, where: str) -> list[Finding]:
        """What is left of the quota, where the service told it."""
        share = self.heard.get(_SHARE, "")
        left, limit = (self.heard.get(f"ratelimit-{n}", "") for n in ("remaining", "limit"))
        try:
            if share:
                used = float(share)
            elif left and limit:
                used = 1 - float(left) / float(limit)
            else:
                return []
        except (ValueError, ZeroDivisionError):
            return []
        told = f"{max(0.0, 1 - used):.0%} of the quota are left"
        if used < 0.8:  # from there on Graph tells it
            return [Finding(where, "quota", State.OK, told)]
        remedy = "look who else asks with the same application, or give this one its own"
        return [Finding(where, "quota", State.WARN, told, remedy)]


def report(
    where: str, client: Heard, listing: Listing, clock: Clock, alarm: timedelta
) -> list[Finding]:
    """Ask for the newest record of a report.

    Args:
        where: source that reads it.
        client: signed in.
        listing: what the source asks for.
        clock: of this machine.
        alarm: how old the newest record may be before somebody has to look.
    """
    try:
        told = probe(client, listing, clock)
    except OutriderError as error:
        return [of_error(where, "answer", error)]
    if told.refusal is not None:
        licence = told.refusal.kind is Refused.LICENCE
        return [
            of_error(where, "licence" if licence else "answer", FatalError(told.refusal.message))
        ]
    return [
        Finding(where, "licence", State.OK, "the reports are open: Entra ID P1 or P2"),
        age(where, told.newest, clock.now(), alarm),
        *client.quota(where),
    ]


def sign_ins(client: Heard, version: Any, clock: Clock, alarm: timedelta) -> list[Finding]:
    """The report of sign-ins, as :class:`connectors.sources.graph_signins.GraphSignins` asks."""
    return report("graph_signins", client, signins(version, KINDS), clock, alarm)


def audits(client: Heard, clock: Clock, alarm: timedelta) -> list[Finding]:
    """The report of directory audits."""
    return report("directory_audits", client, directory_audits.LISTING, clock, alarm)


def health(client: Heard, *, messages: bool) -> list[Finding]:
    """Service communications: one issue, and one Message Center post if they are granted."""
    where = "service_health"
    found = []
    for name, permission in (("issues", HEALTH), ("messages", MESSAGES)):
        if name == "messages" and not messages:
            continue
        try:
            client.get(f"{ROOT}/{name}", params={"$top": "1"})
        except RefusedError as refused:
            error = health_refusal(refused, name, permission, first=True)
            found.append(of_error(where, "answer", error))
            continue
        except OutriderError as error:
            found.append(of_error(where, "answer", error))
            continue
        found.append(Finding(where, "answer", State.OK, f"{name} are told"))
    return found + client.quota(where)


def audit_query(client: Heard) -> list[Finding]:
    """Searches of the audit log: whether they may be made; none is."""
    where = "audit_query"
    try:
        AuditQueryApi(client).probe()
    except OutriderError as error:
        return [of_error(where, "answer", error)]
    return [Finding(where, "answer", State.OK, "searches may be made"), *client.quota(where)]


def age(where: str, newest: datetime | None, now: datetime, alarm: timedelta) -> Finding:
    """The finding on the newest record; ``alarm`` is how old it may be."""
    if newest is None:
        return Finding(
            where,
            "last record",
            State.WARN,
            "no record in the last 24 hours",
            "in a tenant in use there are some each hour: see that people sign in, or wait a day "
            "after the licence was given",
        )
    told = f"the newest record is {hours_ago(newest, now)} old"
    if now - newest <= alarm:
        return Finding(where, "last record", State.OK, told)
    remedy = "records come late, or nobody works just now; the collector tells when it lasts"
    return Finding(where, "last record", State.WARN, told, remedy)


def hours_ago(moment: datetime, now: datetime) -> str:
    """How long ago that was, in words.

    >>> from datetime import UTC, datetime, timedelta
    >>> noon = datetime(2026, 3, 19, 12, tzinfo=UTC)
    >>> hours_ago(noon - timedelta(minutes=5), noon), hours_ago(noon - timedelta(hours=30), noon)
    ('5 min', '30 h')
    """
    minutes = max(0, round((now - moment).total_seconds() / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
