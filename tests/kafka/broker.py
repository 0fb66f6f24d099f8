"""A real Kafka broker on loopback, from its published artifacts, for as long as a test needs it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LIBS = HERE / ".libs"
POM = HERE / "pom.xml"
# Read here: the tests themselves do not see the OUTRIDER_ variables.
REQUIRED = bool(os.environ.get("OUTRIDER_TESTS_NEED_KAFKA"))
LEAST_JAVA = 17
# Starting quickly matters more than speed: the first compiler only, little memory.
JAVA = ("java", "-Xmx320m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{LIBS}/*")


def unmet():
    """What this machine lacks for a broker, or nothing."""
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if missing:
        return f"no {' and no '.join(missing)} on this machine"
    told = subprocess.run(("java", "-version"), capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found[1]) < LEAST_JAVA:
        return f"java is older than {LEAST_JAVA} on this machine"
    return None


def require():
    """Skip where no broker can be started, but fail where it is required."""
    problem = unmet() or fetch()
    if problem is None:
        return
    text = f"{problem}: a real Kafka broker is needed"
    if REQUIRED:
        pytest.fail(text)
    pytest.skip(text)


def fetch():
    """Fetch the artifacts once; two test processes may ask at a time. What went wrong, or None."""
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest()
    mark = LIBS / "complete"
    if mark.exists() and mark.read_text() == wanted:
        return None
    draft = LIBS.with_name(f".libs.{os.getpid()}")
    command = ("mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies")
    for _ in range(3):
        done = subprocess.run(
            [*command, f"-DoutputDirectory={draft}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode == 0:
            break
    else:
        shutil.rmtree(draft, ignore_errors=True)
        return f"maven cannot fetch the broker: {done.stdout.strip()[:300]}"
    (draft / "complete").write_text(wanted)
    if mark.exists() and mark.read_text() != wanted:
        shutil.rmtree(LIBS)
    try:
        draft.rename(LIBS)
    except OSError:
        shutil.rmtree(draft)  # the other one was first
    return None


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for held in sockets:
        held.bind(("127.0.0.1", 0))
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


class Cluster:
    """One or three nodes, each broker and controller; killed and started at will."""

    java = JAVA
    formatting = ()  # more words for the tool that prepares the folders

    def __init__(self, folder, nodes=1):
        self.folder, self.nodes = folder, nodes
        ports = free_ports(2 * nodes)
        self.brokers, self.controllers = ports[:nodes], ports[nodes:]
        self.running = {}
        voters = ",".join(f"{n}@127.0.0.1:{p}" for n, p in enumerate(self.controllers))
        copies = min(nodes, 3)
        for node in range(nodes):
            path = folder / f"node{node}.properties"
            path.write_text(
                "\n".join(
                    [
                        "process.roles=broker,controller",
                        f"node.id={node}",
                        f"controller.quorum.voters={voters}",
                        f"listeners={self.listeners(node)}",
                        "controller.listener.names=CONTROLLER",
                        f"log.dirs={folder / f'data{node}'}",
                        f"offsets.topic.replication.factor={copies}",
                        f"transaction.state.log.replication.factor={copies}",
                        f"transaction.state.log.min.isr={max(1, copies - 1)}",
                        "offsets.topic.num.partitions=4",
                        "transaction.state.log.num.partitions=4",
                        "group.initial.rebalance.delay.ms=0",
                        "group.min.session.timeout.ms=1000",
                        "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000",
                        "auto.create.topics.enable=false",
                        *self.settings(node),
                    ]
                )
            )
            tool = [*JAVA, "kafka.tools.StorageTool", "format", "-t", "b3V0cmlkZXItdGVzdHMtMQ"]
            command = [*tool, "-c", str(path), *self.formatting]
            subprocess.run(command, check=True, capture_output=True, timeout=60)

    def listeners(self, node):
        broker, controller = self.brokers[node], self.controllers[node]
        return f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}"

    def settings(self, _node):
        """More lines of the node's properties."""
        return []

    @property
    def servers(self):
        return [f"127.0.0.1:{port}" for port in self.brokers]

    def start(self, *nodes):
        for node in nodes or range(self.nodes):
            command = [*self.java, "kafka.Kafka", str(self.folder / f"node{node}.properties")]
            with (self.folder / f"node{node}.log").open("ab") as log:
                self.running[node] = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait()

    def wait(self, seconds=60):
        until = time.monotonic() + seconds
        for node in self.running:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", self.brokers[node]), 1).close()
                    break
                except OSError:
                    assert time.monotonic() < until, (self.folder / f"node{node}.log").read_text()
                    time.sleep(0.1)

    def kill(self, *nodes):
        for node in nodes or tuple(self.running):
            process = self.running.pop(node)
            process.send_signal(signal.SIGKILL)
            process.wait()
