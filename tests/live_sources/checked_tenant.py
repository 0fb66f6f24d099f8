"""A tenant in good order on loopback, over TLS, and a configuration that reads all of it."""

from __future__ import annotations

import ssl
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from pipeline.report.checked import checked_text
from pipeline.runtime.checking.plan import check
from pipeline.runtime.config import load
from tests.kafka.secure import pkcs8
from tests.services.activity import AUDIENCE as ACTIVITY
from tests.services.activity import Activity
from tests.services.audit_queries import AuditQueries
from tests.services.entra import ACTIVITY_ROLES, CLIENT, GRAPH_ROLES, SECRET, TENANT, Entra
from tests.services.graph import AUDIENCE as GRAPH
from tests.services.graph import Graph
from tests.services.health import Health
from tests.services.server import Service, ServiceClock, serving
from tests.services.status import Status
from tests.unit.connectors import vendor_records as v


class WholeGraph(Service):
    """Reports, service communications and audit searches behind one address."""

    def __init__(self, clock, entra):
        super().__init__(clock)
        self.entra = entra
        self.reports = Graph(clock, entra)
        self.health = Health(clock, entra=entra)
        self.searches = AuditQueries(clock, entra)

    def answer(self, request):
        if request.path.startswith("/v1.0/admin/"):
            return self.health.answer(request)
        if "/security/" in request.path:
            return self.searches.answer(request)
        return self.reports.answer(request)


class Tenant:
    """Everything is as it should be; tests break one thing each.

    ``sections`` of the configuration are changed by ``change``; ``look`` checks and gives the
    findings, after a look that they hold no secret.
    """

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        self.clock = ServiceClock(datetime.now(UTC), speed=1.0)
        self.ca = trustme.CA()
        self.write("ca.pem", self.ca.cert_pem.bytes())
        self.write("stranger.pem", trustme.CA().cert_pem.bytes())
        self.write("secret", SECRET.encode())
        self.entra = Entra(self.clock)
        self.graph = WholeGraph(self.clock, self.entra)
        self.activity = Activity(self.clock, self.entra)
        self.page = Status(self.clock)
        self.secrets = [SECRET]
        self.sections = {}

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    def certificate(self, days, name="localhost", **more):
        return self.ca.issue_cert(name, not_after=datetime.now(UTC) + timedelta(days=days), **more)

    def tls(self, days=90, name="localhost"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate(days, name).configure_cert(context)
        return context

    @contextmanager
    def open(self, **tls):
        """Serve; ``tls`` replaces the context of a service by its name."""
        with ExitStack() as stack:
            for name in ("entra", "graph", "activity", "page"):
                stack.enter_context(serving(getattr(self, name), tls.get(name) or self.tls()))
            self.settle()
            yield self

    def settle(self):
        now = self.clock.now()
        self.entra.roles = {GRAPH: list(GRAPH_ROLES), ACTIVITY: list(ACTIVITY_ROLES)}
        stamp = (now - timedelta(minutes=9)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.graph.reports.add("signIns", v.sign_in(3, createdDateTime=stamp))
        audit = {"id": "a", "activityDateTime": stamp, "result": "success"}
        self.graph.reports.add("directoryAudits", audit)
        self.graph.health.issue("EX1")
        self.activity.subscribe()
        self.activity.add("Audit.Exchange", now - timedelta(hours=1), [{}])
        ca = str(self.folder / "ca.pem")
        self.sections = {
            "microsoft": {
                "tenant": TENANT,
                "client_id": CLIENT,
                "secret_file": str(self.folder / "secret"),
                "authority": self.entra.root,
                "graph_address": self.graph.root,
                "activity_address": self.activity.root,
                "ca_file": ca,
            },
            "collect.graph_signins": {"enabled": True},
            "collect.directory_audits": {"enabled": True},
            "collect.activity": {"enabled": True},
            "collect.audit_query": {"enabled": True},
            "collect.service_health": {"enabled": True},
            "collect.status_page": {
                "enabled": True, "address": self.page.address("/api/feed/mac"),
            },
        }  # fmt: skip

    def change(self, section, **changed):
        held = {**self.sections.get(section, {}), **changed}
        self.sections[section] = {k: x for k, x in held.items() if x is not None}

    def only(self, *sections):
        """Read nothing but these."""
        for name in [n for n in self.sections if n.startswith("collect.")]:
            if name.removeprefix("collect.") not in sections:
                del self.sections[name]

    @property
    def config(self):
        lines = []
        for name, keys in self.sections.items():
            lines.append(f"[{name}]")
            lines += [f"{k} = {toml(x)}" for k, x in keys.items()]
        return self.write("outrider.toml", "\n".join(lines).encode())

    def look(self, state=None):
        found = list(check(load(self.config), state or self.folder / "state", self.clock))
        shown = repr(found) + checked_text(found)
        for secret in [*self.secrets, *self.entra.issued]:
            assert secret not in shown
        for line in checked_text(found).splitlines():
            # An address or a path is copied whole.
            assert len(line) <= 80 or max(map(len, line.split())) > 40, line
        return found

    def own_certificate(self, days):
        """Sign in by a certificate that ends in so many days."""
        issued = self.certificate(days, "outrider.example.net", key_type=trustme.KeyType.RSA)
        chain = issued.cert_chain_pems[0].bytes()
        self.change(
            "microsoft",
            secret_file=None,
            certificate_file=str(self.write("app.pem", chain)),
            certificate_key_file=str(self.write("app.key", pkcs8(issued))),
        )


def toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(toml(x) for x in value)}]"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)
