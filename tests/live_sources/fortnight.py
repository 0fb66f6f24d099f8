"""A fortnight of a tenant behind its services, and a collector that is a process of its own.

Time is simulated: one number in a file that both sides map. The collector moves it on when it
has nothing to do, so that a fortnight takes minutes and no request is ever left out.
"""

from __future__ import annotations

import json
import mmap
import random
import ssl
import struct
import sys
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import trustme

from pipeline.ledger.store import Ledger
from pipeline.runtime.live.messages import Kind, unpack_advisories, unpack_events, unpack_notice
from tests import warm
from tests.live_sources.graph_tenant import changed, signed_in
from tests.services.activity import AUDIENCE as ACTIVITY
from tests.services.activity import EXCHANGE, Activity
from tests.services.audit_records import record
from tests.services.entra import ACTIVITY_ROLES, CLIENT, GRAPH_ROLES, SECRET, TENANT, Entra
from tests.services.graph import AUDIENCE as GRAPH
from tests.services.graph import Graph
from tests.services.health import Health
from tests.services.server import Faults, Service, serving

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TROUBLE = {"throttled": 0.05, "failing": 0.02, "hung_up": 0.01, "cut": 0.01}
TOKEN_SECONDS = 20 * 60
RUN = "from tests.live_sources.collector import main; main()"


class SharedClock:
    """The time that all processes of a test share; a killed one leaves it as it was."""

    def __init__(self, path, start=None):
        if start is not None:
            path.write_bytes(struct.pack("d", start.timestamp()))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8)

    def seconds(self):
        return struct.unpack("d", self._map[:8])[0]

    def now(self):
        return datetime.fromtimestamp(self.seconds(), UTC)

    def advance(self, by):
        self._map[:8] = struct.pack("d", self.seconds() + by.total_seconds())


class OneGraph(Service):
    """Reports and service communications behind one address, as Graph has them."""

    def __init__(self, clock, entra, faults):
        super().__init__(clock, faults)
        self.reports, self.health = Graph(clock, entra), Health(clock, entra=entra)

    def throttle(self):
        return self.reports.throttle()

    def answer(self, request):
        service = self.reports if "/auditLogs/" in request.path else self.health
        service.root = self.root
        return service.answer(request)


class World:
    """What happened in the tenant, and the services that tell of it."""

    def __init__(self, folder, days, seed=1):
        self.folder, self.days = folder, days
        self.until = MONDAY + timedelta(days=days)
        self.clock = SharedClock(folder / "clock", MONDAY)
        # Entra itself is down now and then as well.
        self.entra = Entra(
            self.clock,
            Faults(seed + 1, failing=0.02, hung_up=0.01),
            roles={GRAPH: GRAPH_ROLES, ACTIVITY: ACTIVITY_ROLES},
            lifetime=TOKEN_SECONDS,
        )
        self.graph = OneGraph(self.clock, self.entra, Faults(seed + 2, **TROUBLE))
        self.activity = Activity(self.clock, self.entra, Faults(seed + 3, **TROUBLE))
        self.chance = random.Random(seed)
        self.told = {"entra": set(), "exchange_audit": set(), "entra_directory_audit": set()}
        self.again = 0
        self._signins()
        self._audits()
        for number in range(3 * days):
            at = MONDAY + number * 8 * HOUR + self.chance.randrange(480) * MINUTE
            self.graph.reports.add("directoryAudits", changed(9_000_000 + number, at))
            self.told["entra_directory_audit"].add(9_000_000 + number)
        self.graph.health.issue(
            "EX1256020", text="Start time: Thursday, March 5, 2026, at 8:00 AM UTC"
        )
        self.graph.health.issue("EX1256021")

    def _signins(self):
        for number in range(self.days * 24 * 60):
            at = MONDAY + timedelta(seconds=60 * number + self.chance.random() * 60)
            late = self.chance.choices(
                [self.chance.uniform(30, 290), self.chance.uniform(420, 7000)], [9, 1]
            )[0]
            interactive = self.chance.random() < 0.3
            kind = "interactiveUser" if interactive else "nonInteractiveUser"
            made = signed_in(number + 1, at, isInteractive=interactive, signInEventTypes=[kind])
            self.graph.reports.add("signIns", made, timedelta(seconds=late))
            self.told["entra"].add(number + 1)

    def _audits(self):
        number = 0
        for quarter in range(self.days * 96):
            shown = MONDAY + quarter * 15 * MINUTE + self.chance.random() * 15 * MINUTE
            held = []
            for _ in range(self.chance.randrange(12)):
                number += 1
                at = shown - timedelta(minutes=self.chance.uniform(30, 100))
                held.append(record(number, at))
                self.told["exchange_audit"].add(number)
            if held and self.chance.random() < 0.2:
                # The same record in two blobs: by design, says the reference.
                held.append(dict(held[0]))
                self.again += 1
            if held:
                late = shown + self.chance.uniform(0, 90) * MINUTE
                listed = late if self.chance.random() < 0.1 else None
                self.activity.add(EXCHANGE, shown, held, shown=listed)

    @contextmanager
    def serving(self):
        ca = trustme.CA()
        (self.folder / "ca.pem").write_bytes(ca.cert_pem.bytes())

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost").configure_cert(tls)
        with ExitStack() as stack:
            for service in (self.entra, self.graph, self.activity):
                stack.enter_context(serving(service, tls))
            self.write_config()
            yield self

    def write_config(self):
        (self.folder / "secret").write_text(SECRET)
        (self.folder / "secret").chmod(0o600)
        (self.folder / "key").write_bytes(b"a key of the tests, of some length")
        (self.folder / "key").chmod(0o600)
        on = "enabled = true\n"
        (self.folder / "outrider.toml").write_text(
            f"[privacy]\nkey_file = {json.dumps(str(self.folder / 'key'))}\n"
            f'[microsoft]\ntenant = "{TENANT}"\nclient_id = "{CLIENT}"\n'
            f"secret_file = {json.dumps(str(self.folder / 'secret'))}\n"
            f'authority = "{self.entra.root}"\ngraph_address = "{self.graph.root}"\n'
            f'activity_address = "{self.activity.root}"\n'
            f"ca_file = {json.dumps(str(self.folder / 'ca.pem'))}\n"
            f"[collect.graph_signins]\n{on}[collect.directory_audits]\n{on}"
            f"[collect.activity]\n{on}[collect.service_health]\n{on}"
        )

    def start(self):
        """The collector, a process of its own, until all of the fortnight is read."""
        until = (self.until + 10 * HOUR).timestamp()
        command = [sys.executable, "-c", RUN, str(self.folder), str(until)]
        with (self.folder / "log").open("ab") as log:
            return warm.Popen(command, stdout=log, stderr=log)

    @property
    def log(self):
        return (self.folder / "log").read_text(encoding="utf-8")

    def journal(self):
        """All messages that were ever stored, in order, by kind."""
        ledger = Ledger(self.folder / "state" / "ledger.sqlite")
        try:
            held = [m for name in ledger.tenants() for m in ledger.journalled(name, 0)]
        finally:
            ledger.close()
        return {kind: [m.body for m in held if m.kind == kind.value] for kind in Kind}

    def read(self):
        """By log, the ids of all records in the events, in order of their storing."""
        found = {name: [] for name in self.told}
        for body in self.journal()[Kind.EVENTS]:
            table = unpack_events(body)
            for source, ident in zip(
                table["source"].to_pylist(), table["event_id"].to_pylist(), strict=True
            ):
                found["entra" if "signin" in source else source].append(ident)
        return found

    def notices(self):
        return [unpack_notice(b) for b in self.journal()[Kind.FEED]]

    def advisories(self):
        return [a for b in self.journal()[Kind.ADVISORIES] for a in unpack_advisories(b)]
