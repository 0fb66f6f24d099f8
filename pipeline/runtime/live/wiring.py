"""Live sources and feeds by the configuration: who asks what, with which budget and identity."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from connectors.advisories.service_health import ServiceHealthFeed
from connectors.advisories.status_page import StatusPageFeed
from connectors.http.budget import Budget
from connectors.http.client import HttpClient
from connectors.sources.activity import ActivitySource
from connectors.sources.activity_api import QUOTA_REQUESTS, QUOTA_SECONDS, ActivityApi
from connectors.sources.audit_query import AuditQuerySource
from connectors.sources.audit_query_api import AuditQueryApi
from connectors.sources.blob_sas import SharedAccess
from connectors.sources.blobs import SCOPE as STORAGE_SCOPE
from connectors.sources.blobs import Blobs
from connectors.sources.directory_audits import DirectoryAudits
from connectors.sources.event_hubs import EventHubs
from connectors.sources.event_hubs_login import KeyLogin, TokenLogin, address_of
from connectors.sources.graph_listing import application_budget, reports_budget
from connectors.sources.graph_signins import GraphSignins
from pipeline.model.errors import ConfigError
from pipeline.model.vocabulary import Source
from pipeline.runtime.identity import signed_in
from pipeline.runtime.live.background import Live
from pipeline.runtime.live.feeds import Feeds
from pipeline.runtime.live.pool import DaemonPool
from pipeline.runtime.secret_files import (
    EVENT_HUBS_CONNECTION,
    STORAGE_SAS,
    given,
    read_secret,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from structlog.typing import FilteringBoundLogger

    from connectors.auth import Identity
    from connectors.normalise.settings import NormaliseSettings
    from pipeline.model.clock import Clock
    from pipeline.runtime.config import Config
    from pipeline.runtime.metrics import Metrics

# A reader waits for the network nearly all of its time.
_THREADS: Final = 8
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
        self._monotonic = monotonic
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

    def graph(self, tenant: str, budget: Budget | None) -> HttpClient:
        """Microsoft Graph, asked as ourselves in a tenant."""
        microsoft = self._config.microsoft
        return HttpClient(
            "Microsoft Graph",
            microsoft.graph,
            tokens=self.identity(tenant),
            scope=f"{microsoft.where.graph}/.default",
            budget=budget,
            ca_file=microsoft.ca_file,
            clock=self._clock,
        )

    def activity_api(self, tenant: str) -> ActivityApi:
        """The Management Activity API of a tenant.

        Raises:
            ConfigError: the cloud offers none.
        """
        microsoft = self._config.microsoft
        if microsoft.activity is None:
            raise ConfigError(
                f"collect.activity: the cloud {microsoft.cloud!r} offers no Management Activity "
                "API; switch it off, and export the audit log to files"
            )
        client = HttpClient(
            "Office 365 Management Activity API",
            microsoft.activity,
            tokens=self.identity(tenant),
            scope=f"{microsoft.where.activity_audience}/.default",
            budget=Budget(
                QUOTA_REQUESTS,
                QUOTA_SECONDS,
                "Office 365 Management Activity API",
                monotonic=self._monotonic,
            ),
            ca_file=microsoft.ca_file,
            clock=self._clock,
        )
        publisher = self._config.collect.activity.publisher
        return ActivityApi(client, tenant=tenant, publisher=publisher)

    def event_hubs(self) -> EventHubs:
        """The hubs of the namespace that is configured."""
        hubs, microsoft = self._config.collect.event_hubs, self._config.microsoft
        address = address_of(hubs.namespace or "", microsoft.where.event_hubs)
        login: KeyLogin | TokenLogin
        if hubs.connection_string_file is not None or given(EVENT_HUBS_CONNECTION):
            login = KeyLogin(
                lambda: read_secret(
                    hubs.connection_string_file,
                    EVENT_HUBS_CONNECTION,
                    "the connection string of Event Hubs",
                    "collect.event_hubs.connection_string_file",
                )
            )
        else:
            login = TokenLogin(self.identity(microsoft.every_tenant[0]))
        return EventHubs(
            address,
            login,
            self._settings,
            hubs=hubs.hubs,
            ca_file=hubs.ca_file or microsoft.ca_file,
            clock=self._clock,
        )

    def _of(self, tenant: str) -> NormaliseSettings:
        return replace(self._settings, tenant=tenant.casefold())

    def _budget(self, tenant: str) -> Budget:
        if tenant not in self._reports:
            self._reports[tenant] = reports_budget(self._all_tenants, monotonic=self._monotonic)
        return self._reports[tenant]

    def _graph_signins(self, tenant: str) -> Live:
        section = self._config.collect.graph_signins
        source = GraphSignins(
            self.graph(tenant, self._budget(tenant)),
            self._of(tenant),
            lookback=timedelta(hours=section.lookback_hours),
            version=section.version,
            clock=self._clock,
        )
        logs = _SIGN_INS if section.version == "beta" else _SIGN_INS[:1]
        return _live("graph_signins", tenant, source, logs, section.alarm_minutes)

    def _directory_audits(self, tenant: str) -> Live:
        section = self._config.collect.directory_audits
        source = DirectoryAudits(
            self.graph(tenant, self._budget(tenant)),
            self._of(tenant),
            lookback=timedelta(hours=section.lookback_hours),
            clock=self._clock,
        )
        logs = (Source.ENTRA_DIRECTORY_AUDIT,)
        return _live("directory_audits", tenant, source, logs, section.alarm_minutes)

    def _activity(self, tenant: str) -> Live:
        section = self._config.collect.activity
        source = ActivitySource(
            self.activity_api(tenant),
            self._of(tenant),
            kinds=section.content,
            lookback=timedelta(hours=section.lookback_hours),
            clock=self._clock,
            monotonic=self._monotonic,
        )
        return _live("activity", tenant, source, (Source.EXCHANGE_AUDIT,), section.alarm_minutes)

    def _audit_query(self, tenant: str) -> Live:
        section = self._config.collect.audit_query
        source = AuditQuerySource(
            AuditQueryApi(self.graph(tenant, None)),
            self._of(tenant),
            lookback=timedelta(hours=section.lookback_hours),
            clock=self._clock,
        )
        logs = (Source.EXCHANGE_AUDIT,)
        return _live("audit_query", tenant, source, logs, section.alarm_minutes)

    def _blobs(self) -> Live:
        section, microsoft = self._config.collect.blobs, self._config.microsoft
        signed = section.sas_file is not None or given(STORAGE_SAS)
        client = HttpClient(
            "Azure Storage",
            section.address or f"https://{section.account}.{microsoft.where.storage}",
            tokens=None if signed else self.identity(microsoft.every_tenant[0]),
            scope=STORAGE_SCOPE,
            ca_file=microsoft.ca_file,
            clock=self._clock,
            secret=SharedAccess(self._signature, self._clock) if signed else None,
        )
        source = Blobs(
            client,
            self._settings,
            containers=section.containers,
            by_signature=signed,
            lookback=timedelta(hours=section.lookback_hours),
            clock=self._clock,
            monotonic=self._monotonic,
        )
        return _live("blobs", None, source, _DIAGNOSTICS, section.alarm_minutes)

    def _signature(self) -> str:
        return read_secret(
            self._config.collect.blobs.sas_file,
            STORAGE_SAS,
            "the shared access signature",
            "collect.blobs.sas_file",
        )

    def _event_hubs(self) -> Live:
        minutes = self._config.collect.event_hubs.alarm_minutes
        source = self.event_hubs()
        return _live("event_hubs", None, source, _DIAGNOSTICS, minutes, _HUBS_IDLE_SECONDS)

    def _service_health(self, tenant: str) -> Live:
        section = self._config.collect.service_health
        feed = ServiceHealthFeed(
            self.graph(tenant, None),
            every=timedelta(minutes=section.every_minutes),
            clock=self._clock,
        )
        return _live("service_health", tenant, feed, (), section.alarm_minutes)

    def _status_page(self) -> Live:
        section = self._config.collect.status_page
        address = section.address or ""
        parts = urlsplit(address)
        page = HttpClient(
            "status page",
            f"{parts.scheme}://{parts.netloc}",
            ca_file=self._config.microsoft.ca_file,
            clock=self._clock,
        )
        every = timedelta(minutes=section.every_minutes)
        feed = StatusPageFeed(page, address, every=every, clock=self._clock)
        return _live("status_page", None, feed, (), section.alarm_minutes)


@contextmanager
def live_feeds(
    config: Config,
    settings: NormaliseSettings,
    *,
    unnamed: Callable[[], str],
    clock: Clock,
    metrics: Metrics,
    log: FilteringBoundLogger,
) -> Iterator[Feeds]:
    """Everything that is read live, with threads of their own while the block runs.

    Raises:
        ConfigError: something is switched on that cannot be.
    """
    wiring = Wiring(config, settings, clock)
    pool = DaemonPool(_THREADS, "feed")
    try:
        yield Feeds(
            wiring.sources(),
            wiring.advisories(),
            unnamed=unnamed,
            clock=clock,
            metrics=metrics,
            log=log,
            pool=pool,
        )
    finally:
        pool.shutdown()  # of a request under way nothing is kept


def _live(
    kind: str,
    tenant: str | None,
    what: object,
    logs: tuple[Source, ...],
    alarm_minutes: int,
    idle_seconds: float = 30.0,
) -> Live:
    return Live(
        kind,
        None if tenant is None else tenant.casefold(),
        what,  # type: ignore[arg-type] # a source or a feed, as its maker says
        logs,
        timedelta(minutes=alarm_minutes),
        idle_seconds,
    )
