"""Documents in topics without anybody who detects, and worker processes to be killed."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import threading
import time
from pathlib import Path

import structlog

from connectors.sinks.ndjson import NdjsonSink
from pipeline.ledger.followed import FollowedLedger
from pipeline.model.clock import SystemClock
from pipeline.model.errors import RetriableError
from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka.client import Topics, producer
from pipeline.runtime.kafka.deliver import Deliverer
from pipeline.runtime.kafka.follow import Follower
from pipeline.runtime.kafka.topics import init
from pipeline.runtime.metrics import Metrics

PARTITIONS = 4
NAMES = {"flag": "flag_id", "incident": "incident_id"}
_names = itertools.count()
# Whatever another test has set the log up to, these lines go nowhere.
LOG = structlog.wrap_logger(
    structlog.testing.CapturingLogger(),
    processors=[],
    wrapper_class=structlog.make_filtering_bound_logger(0),
)
# A fork of a process that has imported everything starts in a moment; this one has no threads.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


def unmade(cluster, **more):
    """Topics of one test, of which none is there yet; of values no configuration may have, too."""
    held = Kafka(
        servers=cluster.servers,
        prefix=f"test-d{os.getpid()}-{next(_names)}",
        partitions=PARTITIONS,
        replication=1,
    )
    return held.model_copy(update=more)


def fresh(cluster, **more):
    """Topics of one test."""
    held = unmade(cluster, **more)
    init(held)
    return held


def written(config, path):
    """The same as a file, for the command line."""
    path.write_text(
        f'[kafka]\nservers = ["{config.servers[0]}"]\nprefix = "{config.prefix}"\n'
        f"partitions = {config.partitions}\nreplication = 1\n"
    )
    return path


def document(kind, name, revision, **more):
    told = {NAMES[kind]: name, "revision": revision, "raised_at": "2026-03-19T08:00:00Z"}
    return told | {"state": "open", **more}


class Publisher:
    """As the workers that detect: each tenant's documents in one partition, in transactions."""

    def __init__(self, config):
        self._topics = Topics(config.prefix)
        self._producer = producer(config, f"{config.prefix}-publisher")
        self.sent = []

    def send(self, *documents, partition=0, headers=()):
        """Documents (kind, document), or bytes, in one transaction."""
        self._producer.begin_transaction()
        for kind, told in documents:
            topic = self._topics.flags if kind == "flag" else self._topics.incidents
            value = told if isinstance(told, bytes) else json.dumps(told).encode()
            self._producer.send(
                topic,
                key=f"tenant-{partition}".encode(),
                value=value,
                partition=partition,
                headers=list(headers),
            )
            if not isinstance(told, bytes):
                self.sent.append((kind, told[NAMES[kind]], told["revision"]))
        self._producer.commit_transaction()

    def bury(self, *records):
        """Records of the dead topic, as the producer takes them."""
        self._producer.begin_transaction()
        for record in records:
            self._producer.send(self._topics.dead, **{"partition": 0, **record})
        self._producer.commit_transaction()

    def close(self):
        self._producer.close(timeout=5)


def stream(publisher, stop, revisions=None):
    """Revisions of some flags and incidents in every partition until stopped."""
    for revision in itertools.count(1):
        for partition in range(PARTITIONS):
            documents = [
                (kind, document(kind, f"{kind}-{partition}-{n}", revision, pad="x" * 300))
                for kind in NAMES
                for n in range(3)
            ]
            publisher.send(*documents, partition=partition)
        if stop.is_set() or revision == revisions:
            return


def lines(folder):
    """What the files of a folder hold: (kind, id, revision), in order."""
    found = []
    for kind, key in NAMES.items():
        path = folder / f"{kind}s.ndjson"
        if path.exists():
            told = map(json.loads, path.read_text().splitlines())
            found += [(kind, d[key], d["revision"]) for d in told]
    return found


def in_order(found):
    """Whether each flag's and incident's revisions are there once, from 1 on."""
    newest = {}
    for kind, name, revision in found:
        if revision != newest.get((kind, name), 0) + 1:
            return False
        newest[kind, name] = revision
    return True


def deliverer(config, sink, name="a", *, metrics=None, sink_name="siem", session_ms=6000, **more):
    return Deliverer(
        config,
        sink_name,
        sink,
        name,
        clock=SystemClock(),
        metrics=metrics or Metrics(),
        log=LOG,
        session_ms=session_ms,
        **more,
    )


def follower(config, ledger, metrics=None, **more):
    return Follower(
        config,
        ledger,
        clock=SystemClock(),
        metrics=metrics or Metrics(),
        log=LOG,
        **more,
    )


def until(true, step=lambda: None, seconds=60.0):
    """Step until something is true."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it does not come"
        step()


def _for_ever(step):
    while True:
        try:
            step()
        except RetriableError:
            time.sleep(0.1)


def _deliver(config, folder, name):
    # The sink's name is that of the command, which goes on where these processes stood.
    _for_ever(deliverer(config, NdjsonSink(Path(folder)), name, sink_name="ndjson").step)


def _follow(config, path):
    _for_ever(follower(config, FollowedLedger(Path(path))).step)


def start(role, *arguments):
    """A process with a worker in it: ``deliver`` or ``follow``."""
    target = {"deliver": _deliver, "follow": _follow}[role]
    process = PROCESSES.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def kill(process):
    process.kill()
    process.join()
    process.close()


def killed_at_random(begin, progress, kills, seed):
    """Start a worker, kill it shortly after it got something done, so many times over.

    Args:
        begin: starts the worker; the process.
        progress: anything that changes when the worker has done something.
    """
    chance = random.Random(seed)
    for _ in range(kills):
        before = progress()
        process = begin()
        try:
            until(lambda before=before: progress() != before, lambda: time.sleep(0.005))
            time.sleep(chance.uniform(0.0, 0.3))
        finally:
            kill(process)


def streaming(publisher):
    """A thread that publishes until its event is set."""
    stop = threading.Event()
    thread = threading.Thread(target=stream, args=(publisher, stop))
    thread.start()
    return thread, stop
