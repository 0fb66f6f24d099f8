"""A served ledger on loopback, and a client that says exactly what it is told to."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import structlog

from pipeline.ledger.reading import Reader
from pipeline.ledger.store import Ledger
from pipeline.model.clock import SystemClock
from pipeline.model.documents import to_line
from pipeline.model.flag import FlagState
from pipeline.model.incident import IncidentState
from pipeline.model.vocabulary import Client, Verdict
from pipeline.runtime.config_serve import Serve
from pipeline.runtime.health import Health
from pipeline.runtime.listening import Address
from pipeline.runtime.metrics import Metrics
from pipeline.web.access import Access
from pipeline.web.api import Backend
from pipeline.web.app import application
from pipeline.web.ledgers import Readers
from pipeline.web.server import WebServer
from tests.unit.report import sample_folder
from tests.unit.web import large_ledger

# Whatever another test has set the log up to, these lines go nowhere.
LOG = structlog.wrap_logger(
    structlog.testing.CapturingLogger(),
    processors=[],
    wrapper_class=structlog.make_filtering_bound_logger(0),
)
RAISED = sample_folder.RAISED
TENANT = sample_folder.TENANT


def incident_row(number, revision=1, *, tenant=TENANT, **changes):
    told = {
        "incident_id": f"inc-{number:04}",
        "revision": revision,
        "tenants": (tenant,),
        "raised_at": RAISED + timedelta(minutes=number),
        "state": IncidentState.OPEN,
        **changes,
    }
    made = sample_folder.incident(**told)
    return (made.incident_id, revision, tenant, to_line(made))


def flag_row(number, revision=1, *, tenant=TENANT, client=Client.OUTLOOK_IOS, **changes):
    told = {
        "flag_id": f"flag-{number:04}",
        "revision": revision,
        "tenant": tenant,
        "raised_at": RAISED + timedelta(minutes=number),
        "state": FlagState.OPEN,
        **changes,
    }
    made = replace(sample_folder.flag(client), **told)
    return (made.flag_id, revision, tenant, to_line(made))


def fill(ledger, count=12):
    """Incidents of two tenants, the even ones resolved, as many flags, and what is shown."""
    rows = []
    for n in range(count):
        tenant = TENANT if n % 3 else "other-tenant"
        verdict = Verdict.SERVICE_OUTAGE if n % 4 else Verdict.ATTACK
        clients = (Client.OWA,) if n % 5 == 0 else (Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID)
        rows.append(incident_row(n, tenant=tenant, verdict=verdict, clients=clients))
        if n % 2 == 0:
            over = {"state": IncidentState.RESOLVED, "verdict": verdict, "clients": clients}
            rows.append(incident_row(n, 2, tenant=tenant, **over))
    with ledger.transaction():
        ledger.add_documents("incident", rows)
        ledger.add_documents("flag", [flag_row(n) for n in range(count)])
    if count:
        large_ledger.put_shown(ledger)


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Site:
    """What a test asks.

    Attributes:
        ledger: the writing end.
        health, metrics: those of the process.
    """

    def __init__(self, server, ledger, health, metrics):
        self.port, self.ledger = server.port, ledger
        self.health, self.metrics = health, metrics

    def ask(self, target, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, target, skip_host="host" in headers)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            found = connection.getresponse()
            return Answer(found.status, found.headers, found.read())
        finally:
            connection.close()


@contextmanager
def site(folder, *, serve=None, bind="127.0.0.1:0", host="127.0.0.1", count=12, look=None):
    """Serve a filled ledger; ``host`` is what the access rules believe to listen on."""
    ledger = Ledger(folder / "ledger.sqlite")
    fill(ledger, count)
    readers, health, metrics = Readers(ledger.path), Health(ready=True), Metrics()
    backend = Backend(
        mode="embedded",
        readers=readers,
        health=health,
        ready=lambda: health.ready,
        lag=Reader.deliveries,
        committed_at=SystemClock().now,
        version="1.2.3",
    )
    access = Access(serve or Serve(), Address(host, 0))
    app = application(backend, access, metrics=metrics, log=LOG, look=look)
    with WebServer(app, Address.of(bind).listen()) as server:
        yield Site(server, ledger, health, metrics)
    readers.close()
    ledger.close()
