"""Live sources and feeds by the configuration: who asks what, with which budget and identity."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from connectors.advisories.service_health import ServiceHealthFeed
from connectors.advisories.status_page import StatusPageFeed
from connectors.http.budget import Budget
from connectors.http.client import HttpClient
from connectors.sources.activity import ActivitySource
from connectors.sources.activity_api import QUOTA_REQUESTS, QUOTA_SECONDS, ActivityApi
from connectors.sources.audit_query import AuditQuerySource
from connectors.sources.audit_query_api import AuditQueryApi
from connectors.sources.blobs import Blobs
from connectors.sources.directory_audits import DirectoryAudits
from connectors.sources.event_hubs import EventHubs
from connectors.sources.graph_listing import application_budget, reports_budget
from connectors.sources.graph_signins import GraphSignins
from pipeline.model.vocabulary import Source
from pipeline.runtime.identity import signed_in
from pipeline.runtime.live.background import Live
from pipeline.runtime.services import ACTIVITY, Services

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.auth import Identity
    from connectors.normalise.settings import NormaliseSettings
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Cursor
    from pipeline.runtime.config import Config

_SIGN_INS: Final = (Source.ENTRA_SIGNIN, Source.ENTRA_SIGNIN_NONINTERACTIVE)
_DIAGNOSTICS: Final = (*_SIGN_INS, Source.ENTRA_DIRECTORY_AUDIT)
# Event Hubs hand out what has just come, and a poll waits for it itself.
_HUBS_IDLE_SECONDS: Final = 1.0


class Wiring:
    """Makes what the configuration switches on.

    Args:
        config: of the run.
        settings: how records are read.
        clock: tells the time to all of them; None = the machine's.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        config: Config,
        settings: NormaliseSettings,
        clock: Clock | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._settings, self._clock = config, settings, clock
        self._services, self._monotonic = Services(config, clock), monotonic
        self._all_tenants = application_budget(monotonic=monotonic)
        self._identities: dict[str, Identity] = {}
        self._reports: dict[str, Budget] = {}

    def sources(self) -> list[Live]:
        """Sources of logs, those of each tenant together."""
        collect, found = self._config.collect, []
        for tenant in self._config.microsoft.every_tenant:
            if collect.graph_signins.enabled:
                found.append(self._graph_signins(tenant))
            if collect.directory_audits.enabled:
                found.append(self._directory_audits(tenant))
            if collect.activity.enabled:
                found.append(self._activity(tenant))
            if collect.audit_query.enabled:
                found.append(self._audit_query(tenant))
        if collect.event_hubs.enabled:
            found.append(self._event_hubs())
        if collect.blobs.enabled:
            found.append(self._blobs())
        return found

    def advisories(self) -> list[Live]:
        """Feeds of advisories."""
        collect, found = self._config.collect, []
        if collect.service_health.enabled:
            found += [self._service_health(t) for t in self._config.microsoft.every_tenant]
        if collect.status_page.enabled:
            found.append(self._status_page())
        return found

    def identity(self, tenant: str) -> Identity:
        """Who we are at a tenant; all that ask there share its tokens."""
        if tenant not in self._identities:
            made = signed_in(self._config.microsoft, tenant, self._clock)
            self._identities[tenant] = made
        return self._identities[tenant]

    def _of(self, tenant: str) -> NormaliseSettings:
        return replace(self._settings, tenant=tenant.casefold())

    def _budget(self, tenant: str) -> Budget:
        if tenant not in self._reports:
            self._reports[tenant] = reports_budget(self._all_tenants, monotonic=self._monotonic)
        return self._reports[tenant]

    def _graph(self, tenant: str, budget: Budget | None = None) -> HttpClient:
        return self._services.graph(HttpClient, self.identity(tenant), budget)

    def _graph_signins(self, tenant: str) -> Live:
        section = self._config.collect.graph_signins
        source = GraphSignins(
            self._graph(tenant, self._budget(tenant)),
            self._of(tenant),
            lookback=timedelta(hours=section.lookback_hours),
            version=section.version,
            clock=self._clock,
        )
        logs = _SIGN_INS if section.version == "beta" else _SIGN_INS[:1]
        return _live("graph_signins", tenant, source.poll, logs, section.alarm_minutes)

    def _directory_audits(self, tenant: str) -> Live:
        section = self._config.collect.directory_audits
        source = DirectoryAudits(
            self._graph(tenant, self._budget(tenant)),
            self._of(tenant),
            lookback=timedelta(hours=section.lookback_hours),
            clock=self._clock,
        )
        logs = (Source.ENTRA_DIRECTORY_AUDIT,)
        return _live("directory_audits", tenant, source.poll, logs, section.alarm_minutes)

    def _activity(self, tenant: str) -> Live:
        section = self._config.collect.activity
        quota = Budget(QUOTA_REQUESTS, QUOTA_SECONDS, ACTIVITY, monotonic=self._monotonic)
        client = self._services.activity(HttpClient, self.identity(tenant), quota)
        source = ActivitySource(
            ActivityApi(client, tenant=tenant, publisher=section.publisher),
            self._of(tenant),
            kinds=section.content,
            lookback=timedelta(hours=section.lookback_hours),
            clock=self._clock,
            monotonic=self._monotonic,
        )
        return _live(
            "activity", tenant, source.poll, (Source.EXCHANGE_AUDIT,), section.alarm_minutes
        )

    def _audit_query(self, tenant: str) -> Live:
        section = self._config.collect.audit_query
        source = AuditQuerySource(
            AuditQueryApi(self._graph(tenant)),
            self._of(tenant),
            lookback=timedelta(hours=section.lookback_hours),
            clock=self._clock,
        )
        logs = (Source.EXCHANGE_AUDIT,)
        return _live("audit_query", tenant, source.poll, logs, section.alarm_minutes)

    def _blobs(self) -> Live:
        section = self._config.collect.blobs
        source = Blobs(
            self._services.storage(self._tokens(own_way=section.by_signature)),
            self._settings,
            containers=section.containers,
            by_signature=section.by_signature,
            lookback=timedelta(hours=section.lookback_hours),
            clock=self._clock,
            monotonic=self._monotonic,
        )
        return _live("blobs", None, source.poll, _DIAGNOSTICS, section.alarm_minutes)

    def _event_hubs(self) -> Live:
        section = self._config.collect.event_hubs
        source = EventHubs(
            self._services.hubs_address(),
            self._services.hubs_login(self._tokens(own_way=section.by_key)),
            self._settings,
            hubs=section.hubs,
            ca_file=self._services.hubs_ca_file,
            clock=self._clock,
        )
        minutes = section.alarm_minutes
        return _live("event_hubs", None, source.poll, _DIAGNOSTICS, minutes, _HUBS_IDLE_SECONDS)

    def _tokens(self, *, own_way: bool) -> Identity | None:
        """Who signs in at what all tenants share: the first of them, where nothing else does."""
        return None if own_way else self.identity(self._config.microsoft.every_tenant[0])

    def _service_health(self, tenant: str) -> Live:
        section = self._config.collect.service_health
        feed = ServiceHealthFeed(
            self._graph(tenant),
            every=timedelta(minutes=section.every_minutes),
            clock=self._clock,
        )
        return _live("service_health", tenant, feed.changed_since, (), section.alarm_minutes)

    def _status_page(self) -> Live:
        section = self._config.collect.status_page
        feed = StatusPageFeed(
            self._services.status_page(),
            section.address or "",
            every=timedelta(minutes=section.every_minutes),
            clock=self._clock,
        )
        return _live("status_page", None, feed.changed_since, (), section.alarm_minutes)


def _live(
    kind: str,
    tenant: str | None,
    ask: Callable[[Cursor | None], Any],
    logs: tuple[Source, ...],
    alarm_minutes: int,
    idle_seconds: float = 30.0,
) -> Live:
    name = None if tenant is None else tenant.casefold()
    return Live(kind, name, ask, logs, timedelta(minutes=alarm_minutes), idle_seconds)
