"""A trial run on loopback: a made-up tenant behind its services, read live by the real command.

    python -m tests.live_sources.trial [--state DIR] [--once]

An outage of classic Outlook began forty minutes ago; two weeks of records wait behind services
that answer as Microsoft's do, with their limits and troubles. Nothing leaves this machine.
"""

from __future__ import annotations

import argparse
import gzip
import json
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from pipeline.simulate.run import simulate
from pipeline.simulate.spec import SimulationSpec
from tests.live_sources.fortnight import TROUBLE, OneGraph
from tests.services.activity import AUDIENCE as ACTIVITY
from tests.services.activity import EXCHANGE, Activity
from tests.services.entra import ACTIVITY_ROLES, CLIENT, GRAPH_ROLES, SECRET, Entra
from tests.services.graph import AUDIENCE as GRAPH
from tests.services.server import Faults, ServiceClock, serving
from tests.warm import OUTRIDER

AGO = timedelta(minutes=40)


class Trial:
    """The tenant, as if its outage had just begun."""

    def __init__(self, folder, users=50):
        self.folder, self.clock = folder, ServiceClock(datetime.now(UTC), speed=1.0)
        spec = SimulationSpec(
            scenarios=("classic_outlook",),
            users=users,
            weeks=2,
            signin_form="graph_beta",
            audit_form="activity_api",
            dirty=False,
        )
        simulate(spec, folder / "logs")
        labels = json.loads((folder / "logs" / "labels.json").read_text(encoding="utf-8"))
        self.tenant = labels["tenant"]
        began = datetime.fromisoformat(labels["labels"][0]["start"])
        self.shift = datetime.now(UTC).replace(second=0, microsecond=0) - AGO - began
        self.entra = Entra(self.clock, roles={GRAPH: GRAPH_ROLES, ACTIVITY: ACTIVITY_ROLES})
        self.entra.tenants = {self.tenant}
        self.graph = OneGraph(self.clock, self.entra, Faults(1, **TROUBLE))
        self.activity = Activity(self.clock, self.entra, Faults(2, **TROUBLE))
        self.activity.subscribe()
        self._load()

    def moved(self, text):
        at = datetime.fromisoformat(text[:26].rstrip("Z")).replace(tzinfo=UTC) + self.shift
        return at, at.isoformat().replace("+00:00", "Z")

    def _load(self):
        for path in sorted((self.folder / "logs").rglob("*.gz")):
            found = json.loads(gzip.decompress(path.read_bytes()))
            if isinstance(found, list):
                self._audits(found)
                continue
            name = "signIns" if "signIns" in found["@odata.context"] else "directoryAudits"
            time_of = "createdDateTime" if name == "signIns" else "activityDateTime"
            for held in found["value"]:
                _, held[time_of] = self.moved(held[time_of])
                self.graph.reports.add(name, held)

    def _audits(self, records):
        newest = []
        for held in records:
            at, _ = self.moved(held["CreationTime"])
            held["CreationTime"] = f"{at:%Y-%m-%dT%H:%M:%S}"
            newest.append(at)
        self.activity.add(EXCHANGE, max(newest) + timedelta(minutes=60), records)

    def run(self, state, *, once):
        ca = trustme.CA()
        (self.folder / "ca.pem").write_bytes(ca.cert_pem.bytes())
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost").configure_cert(tls)
        with ExitStack() as stack:
            for service in (self.entra, self.graph, self.activity):
                stack.enter_context(serving(service, tls))
            config = self.write_config()
            print(f"configuration {config}\nstate         {state}\n", flush=True)
            subprocess.run([*OUTRIDER, "check", "--config", config, "--state", state], check=False)
            print(
                "\nEight days of records are read within the limits of Graph: some three minutes.\n"
            )
            command = [*OUTRIDER, "run", "--config", config, "--state", state]
            running = subprocess.Popen(command, stderr=(self.folder / "log").open("ab"))
            stack.callback(running.wait)
            stack.callback(running.terminate)
            return self.follow(running, state / "incidents.ndjson", once=once)

    def follow(self, running, told, *, once):
        seen = 0
        while running.poll() is None:
            lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
            for line in lines[seen:]:
                found = json.loads(line)
                print(
                    f"{found['published_at']}  {found['state']:10}  {found['headline']}", flush=True
                )
                began = datetime.now(UTC) - timedelta(hours=2)
                new = datetime.fromisoformat(found["onset_at"]) > began
                if once and new and found["verdict"] != "telemetry_gap":
                    return 0
            seen = len(lines)
            time.sleep(0.5)
        print((self.folder / "log").read_text(encoding="utf-8")[-2000:], file=sys.stderr)
        return running.returncode or 1

    def write_config(self):
        (self.folder / "secret").write_text(SECRET, encoding="utf-8")
        (self.folder / "secret").chmod(0o600)
        path = self.folder / "outrider.toml"
        path.write_text(
            f'[microsoft]\ntenant = "{self.tenant}"\nclient_id = "{CLIENT}"\n'
            f"secret_file = {json.dumps(str(self.folder / 'secret'))}\n"
            f'authority = "{self.entra.root}"\ngraph_address = "{self.graph.root}"\n'
            f'activity_address = "{self.activity.root}"\n'
            f"ca_file = {json.dumps(str(self.folder / 'ca.pem'))}\n"
            "[collect.graph_signins]\nenabled = true\nlookback_hours = 192\n"
            "[collect.directory_audits]\nenabled = true\n[collect.activity]\nenabled = true\n"
            "[collect.service_health]\nenabled = true\n",
            encoding="utf-8",
        )
        return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--state", type=Path, default=None, help="folder of the run")
    parser.add_argument("--once", action="store_true", help="end with the first outage told")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outrider-trial-") as folder:
        state = asked.state or Path(folder) / "state"
        try:
            return Trial(Path(folder)).run(state, once=asked.once)
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())
