"""A real Kafka broker on loopback, from its published artifacts, for as long as a test needs it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LIBS = HERE / ".libs"
REQUIRED = "OUTRIDER_TESTS_NEED_KAFKA"
# Starting quickly matters more than speed: the first compiler only, little memory.
JAVA = ("java", "-Xmx320m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{LIBS}/*")


def require():
    """Skip without Java and Maven, but fail where the broker is required."""
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if not missing:
        return
    text = f"no {' and no '.join(missing)} on this machine: a real Kafka broker is needed"
    if os.environ.get(REQUIRED):
        pytest.fail(text)
    pytest.skip(text)


def fetch():
    """Fetch the artifacts once; two test processes may ask at a time."""
    if (LIBS / "complete").exists():
        return
    draft = LIBS.with_name(f".libs.{os.getpid()}")
    command = ("mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies")
    subprocess.run([*command, f"-DoutputDirectory={draft}"], check=True, timeout=300)
    (draft / "complete").touch()
    try:
        draft.rename(LIBS)
    except OSError:
        shutil.rmtree(draft)  # the other one was first


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
                    ]
                )
            )
            tool = [*JAVA, "kafka.tools.StorageTool", "format", "-t", "b3V0cmlkZXItdGVzdHMtMQ"]
            subprocess.run([*tool, "-c", str(path)], check=True, capture_output=True, timeout=60)

    def listeners(self, node):
        broker, controller = self.brokers[node], self.controllers[node]
        return f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}"

    @property
    def servers(self):
        return [f"127.0.0.1:{port}" for port in self.brokers]

    def start(self, *nodes):
        for node in nodes or range(self.nodes):
            command = [*JAVA, "kafka.Kafka", str(self.folder / f"node{node}.properties")]
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
