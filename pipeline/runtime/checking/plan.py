"""What is looked at, in order, by the configuration; what leans on a failure is not tried."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from connectors.sources.blob_api import BlobApi
from connectors.sources.blobs import SCOPE as STORAGE_SCOPE
from pipeline.model.errors import OutriderError
from pipeline.runtime.checking import activity, graph
from pipeline.runtime.checking.blobs import containers
from pipeline.runtime.checking.brokers import brokers
from pipeline.runtime.checking.clocks import agreed
from pipeline.runtime.checking.destinations import destinations
from pipeline.runtime.checking.disk import room
from pipeline.runtime.checking.event_hubs import namespace
from pipeline.runtime.checking.finding import Finding, State, of_error, skipped
from pipeline.runtime.checking.ledgers import ledgers
from pipeline.runtime.checking.page import status_page
from pipeline.runtime.checking.permissions import NEEDED, READ_MESSAGES, granted
from pipeline.runtime.checking.places import Place, reached
from pipeline.runtime.checking.sign_in import Access
from pipeline.runtime.config_deliver import NOTICES, RECORDS
from pipeline.runtime.secret_files import exposed
from pipeline.runtime.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipeline.model.clock import Clock
    from pipeline.runtime.checking.sign_in import Granted
    from pipeline.runtime.config import Config

_GRAPH_SOURCES: Final = ("graph_signins", "directory_audits", "service_health", "audit_query")
_BAD: Final = frozenset({State.FAIL, State.SKIP})


def check(config: Config, state: Path, clock: Clock) -> Iterator[Finding]:
    """Look at everything that is configured; nothing is changed anywhere.

    Args:
        config: checked already.
        state: folder of the run's state.
        clock: of this machine.
    """
    yield _sources(config)
    yield from _remarks(config)
    yield from room(state)
    yield from ledgers(state)
    live = config.collect
    if config.needs_identity:
        tenants = config.microsoft.every_tenant
        for tenant in tenants:
            named = f", {tenant}" if len(tenants) > 1 else ""
            yield from _Tenant(config, tenant, f"sign-in{named}", named, clock).look()
    if live.status_page.enabled and live.status_page.address is not None:
        client = Services(config, clock).status_page()
        yield from status_page(client, live.status_page.address, config.microsoft.ca_file, clock)
    if live.event_hubs.enabled:
        yield from _event_hubs(config, clock)
    if live.blobs.enabled:
        yield from _blobs(config, clock)
    if config.kafka.servers:
        yield from brokers(config.kafka, clock)
    yield from destinations(config, state)


def _sources(config: Config) -> Finding:
    names = ", ".join(config.collect.enabled)
    told = f"reads {names}" if names else "nothing is read live; [collect] switches sources on"
    return Finding("configuration", "sources", State.OK, told)


def _remarks(config: Config) -> list[Finding]:
    live = config.collect
    secrets = [live.event_hubs.connection_string_file, live.blobs.sas_file]
    if config.needs_identity:
        secrets += config.microsoft.secret_files
    for section in config.deliver.of((*RECORDS, *NOTICES)).values():
        secrets += section.secret_files
    remarks = exposed([*secrets, config.privacy.key_file])
    if config.kafka.servers:
        remarks += config.kafka.remarks()
    return [_remark(r) for r in remarks]


def _remark(text: str) -> Finding:
    told, _, remedy = text.partition("; ")
    return Finding("configuration", "remark", State.WARN, told, remedy)


class _Tenant:
    """The looks at one tenant, with one sign-in for all of them."""

    def __init__(self, config: Config, tenant: str, where: str, named: str, clock: Clock) -> None:
        self._config, self._live, self._clock = config, config.collect, clock
        self._named, self._tenant = named, tenant
        self._access = Access(config.microsoft, tenant, where, clock)
        self._services = Services(config, clock)

    def look(self) -> Iterator[Finding]:
        yield from self._access.look()
        if any(getattr(self._live, name).enabled for name in _GRAPH_SOURCES):
            yield from self._graph()
        if self._live.activity.enabled:
            yield from self._activity()

    def _graph(self) -> Iterator[Finding]:
        section = self._config.microsoft
        token = self._access.granted(self._services.graph_scope, "Microsoft Graph")
        yield token.finding
        found = reached("Microsoft Graph", Place.of(section.graph, section.ca_file), self._clock)
        yield from found
        client = self._services.graph(graph.Heard, self._access.identity)
        for name in _GRAPH_SOURCES:
            if getattr(self._live, name).enabled:
                yield from self._asked(name, token, found[-1], lambda n=name: self._ask(n, client))  # type: ignore[misc] # bound now
        client.close()

    def _ask(self, name: str, client: graph.Heard) -> list[Finding]:
        live, clock = self._live, self._clock
        alarm = timedelta(minutes=getattr(live, name).alarm_minutes)
        if name == "graph_signins":
            return graph.sign_ins(client, live.graph_signins.version, clock, alarm)
        if name == "directory_audits":
            return graph.audits(client, clock, alarm)
        if name == "audit_query":
            return graph.audit_query(client)
        roles = self._access.granted(self._services.graph_scope, "").roles
        return graph.health(client, messages=roles is None or READ_MESSAGES.name in roles)

    def _activity(self) -> Iterator[Finding]:
        section, live = self._config.microsoft, self._live.activity
        if section.activity is None:
            told = f"the cloud {section.cloud} offers no Management Activity API"
            remedy = "read the audit log with collect.audit_query instead"
            yield Finding("activity", "name", State.FAIL, told, remedy)
            return
        token = self._access.granted(self._services.activity_scope, "the Management Activity API")
        yield token.finding
        found = reached("activity", Place.of(section.activity, section.ca_file), self._clock)
        yield from found
        client = self._services.activity(graph.Heard, self._access.identity)
        alarm = timedelta(minutes=live.alarm_minutes)
        yield from self._asked(
            "activity",
            token,
            found[-1],
            lambda: activity.feed(
                client, self._tenant, live.content, live.publisher, self._clock, alarm
            ),
        )
        client.close()

    def _asked(
        self, name: str, token: Granted, place: Finding, ask: Callable[[], list[Finding]]
    ) -> Iterator[Finding]:
        """The permissions of a source, then a small request of what it reads."""
        where = name + self._named
        if not token.given or place.state in _BAD:
            reason = "there is no token" if not token.given else "the service is not reached"
            yield skipped(where, "permission", reason)
            return
        if token.roles is not None:
            held = granted(where, NEEDED[name], token.roles, self._access.consent)
            yield from held
            if any(f.state is State.FAIL for f in held):
                yield skipped(where, "answer", "a permission is missing")
                return
        for found in ask():
            yield Finding(where, found.what, found.state, found.told, found.remedy)


def _event_hubs(config: Config, clock: Clock) -> Iterator[Finding]:
    where, live, services = "event_hubs", config.collect.event_hubs, Services(config, clock)
    try:
        address = services.hubs_address()
    except OutriderError as error:
        yield of_error(where, "name", error)
        return
    access = None if live.by_key else _access(config, where, clock)
    if access is not None:
        token = access.granted(f"https://{address.host}/.default", "Event Hubs")
        yield token.finding
        if not token.given:
            yield skipped(where, "hub", "there is no token")
            return
    login = services.hubs_login(None if access is None else access.identity)
    alarm = timedelta(minutes=live.alarm_minutes)
    yield from namespace(address, login, live.hubs, services.hubs_ca_file, clock, alarm)


def _blobs(config: Config, clock: Clock) -> Iterator[Finding]:
    where, live, services = "blobs", config.collect.blobs, Services(config, clock)
    found = reached(where, Place.of(services.storage_address, config.microsoft.ca_file), clock)
    yield from found
    if found[-1].state in _BAD:
        yield skipped(where, "container", "the account is not reached")
        return
    access = None if live.by_signature else _access(config, where, clock)
    if access is not None:
        token = access.granted(STORAGE_SCOPE, "the storage account")
        yield token.finding
        if not token.given:
            yield skipped(where, "container", "there is no token")
            return
    client = services.storage(None if access is None else access.identity)
    alarm = timedelta(minutes=live.alarm_minutes)
    api = BlobApi(client, by_signature=live.by_signature)
    yield from containers(api, live.containers, clock, alarm)
    yield agreed(where, client.skew)
    client.close()


def _access(config: Config, where: str, clock: Clock) -> Access:
    """The sign-in to what all tenants share."""
    return Access(config.microsoft, config.microsoft.every_tenant[0], where, clock)
