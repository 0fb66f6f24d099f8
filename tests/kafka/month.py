"""A simulated month of several tenants, its incidents by a backfill, and what a run told."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from kafka import TopicPartition

from connectors.advisories.files import FileAdvisoryFeed
from connectors.normalise.settings import NormaliseSettings
from detectors.issued import IssuedFlags
from pipeline.correlate.issued import IssuedIncidents
from pipeline.model.clock import SystemClock
from pipeline.model.documents import from_json
from pipeline.model.errors import RetriableError
from pipeline.model.flag import Flag
from pipeline.model.incident import Incident
from pipeline.runtime.arrivals import Arrivals
from pipeline.runtime.config import Config, Privacy, load
from pipeline.runtime.kafka.client import Topics, consumer
from pipeline.runtime.kafka.collect import Collector
from pipeline.runtime.keys import KEY_VARIABLE, privacy_key
from pipeline.runtime.metrics import Metrics
from pipeline.simulate.run import simulate
from pipeline.simulate.spec import SimulationSpec
from pipeline.window.arrival import DECLARED
from tests import warm

# The long version is a month of five tenants; the short one keeps every step of it.
LONG = bool(os.environ.get("OUTRIDER_TEST_LONG"))
SIZE = {"tenants": 5, "users": 60, "weeks": 4} if LONG else {"tenants": 2, "users": 30, "weeks": 2}
ROOT = Path(__file__).parents[2]
KEY = "a key for tests, sixteen bytes and more"
SCENARIOS = ("ex1256020", "imap4", "all_protocols", "quiet", "password_spray")
PLAIN = {"flag_id": (Flag, IssuedFlags().plain), "incident_id": (Incident, IssuedIncidents().plain)}


def _key() -> bytes:
    given = {KEY_VARIABLE: KEY}
    return privacy_key(Privacy(), Path(), environ=given).get_secret_value()


class Month:
    """Logs of some tenants and what each tenant's backfill makes of them.

    Args:
        folder: to write to.
        tenants, users, weeks: how much.
    """

    def __init__(self, folder: Path, *, tenants: int, users: int, weeks: int) -> None:
        self.folder, self.logs = folder, folder / "logs"
        self.advisories = folder / "advisories"
        self.wanted: dict[str, dict[str, object]] = {"flag_id": {}, "incident_id": {}}
        for n in range(tenants):
            spec = SimulationSpec(
                scenarios=(SCENARIOS[n % len(SCENARIOS)],),
                users=users,
                weeks=weeks,
                seed=40 + n,
                dirty=False,
            )
            simulate(spec, folder / f"tenant{n}")
            if n == 0:
                (folder / "tenant0" / "advisories").rename(self.advisories)
            for part in ("signins", "audit", "directory"):
                (self.logs / part).mkdir(parents=True, exist_ok=True)
                (folder / f"tenant{n}" / part).rename(self.logs / part / f"tenant{n}")
            self._backfill(n, folder / f"out{n}")

    def _backfill(self, number: int, out: Path) -> None:
        """One tenant at a time: together they would be evidence for each other."""
        paths = [str(p) for p in sorted(self.logs.glob(f"*/tenant{number}"))]
        command = [*warm.OUTRIDER, "backfill", *paths, "--advisories", str(self.advisories)]
        env = os.environ | {KEY_VARIABLE: KEY}
        done = warm.run([*command, "--out", str(out)], env=env)
        assert done.returncode in {0, 4}, done.stderr
        for name in ("flags", "incidents"):
            lines = (out / f"{name}.ndjson").read_text("utf-8").splitlines()
            for key, finals in final(json.loads(line) for line in lines).items():
                self.wanted[key] |= finals

    def sources(self, spool: Path, *, rows: int = 4_096, scatter: int = 0) -> dict[str, Arrivals]:
        """The logs in the order in which they arrive; directory audits name no tenant."""
        tenants = sorted({p.name for p in self.logs.glob("*/tenant*")})
        return {
            name: Arrivals(
                [str(p) for p in sorted(self.logs.glob(f"*/{name}"))],
                NormaliseSettings(key=_key(), tenant="", site_names={}),
                spool / name,
                delays={
                    str(s): float(getattr(Config().sources, s).declared_delay_seconds)
                    for s in DECLARED
                },
                batch_rows=rows,
                scatter=scatter,
            )
            for name in tenants
        }

    def feeds(self) -> dict[str, FileAdvisoryFeed]:
        """The advisories, for all tenants."""
        return {"advisories": FileAdvisoryFeed([str(self.advisories)])}

    def collector(self, config, spool: Path, **how: int) -> Collector:
        """Sends the logs to the topics."""
        return Collector(
            config,
            "month",
            self.sources(spool, **how),
            feeds=self.feeds(),
            unnamed=lambda: "nobody",
            clock=SystemClock(),
            metrics=Metrics(),
        )


def send(folder: str, config: str, spool: str, rows: int, scatter: int, pace: float) -> None:
    """Send a month from a process of its own, ``pace`` seconds a portion."""
    month = Month.__new__(Month)
    month.logs, month.advisories = Path(folder) / "logs", Path(folder) / "advisories"
    collector = month.collector(load(Path(config)).kafka, Path(spool), rows=rows, scatter=scatter)
    while not collector.finished:
        try:
            collector.step()
        except RetriableError as error:
            sys.stderr.write(f"{error}\n")
            time.sleep(1.0)
        time.sleep(pace)
    collector.close()


def final(documents) -> dict[str, dict[str, object]]:
    """The last revision of each document, without what depends on when records came."""
    newest: dict[str, dict[str, object]] = {"flag_id": {}, "incident_id": {}}
    for document in documents:
        key = "flag_id" if "flag_id" in document else "incident_id"
        newest[key][document[key]] = document
    return {
        key: {
            i: PLAIN[key][1](from_json(PLAIN[key][0], d))
            for i, d in found.items()
            if d["state"] != "retracted"
        }
        for key, found in newest.items()
    }


def each_once(documents) -> None:
    """Every (id, revision) once, and no revision missing."""
    keys = [(d.get("flag_id") or d["incident_id"], d["revision"]) for d in documents]
    seen = Counter(keys)
    assert [k for k, n in seen.items() if n > 1] == []
    newest = Counter(k for k, _ in seen)
    assert all((k, r) in seen for k, n in newest.items() for r in range(1, n + 1))


def read_all(config, topic: str, seconds: float = 30.0) -> list:
    """Every committed record of a topic."""
    reader = consumer(config)
    places = [TopicPartition(topic, n) for n in range(config.partitions)]
    reader.assign(places)
    reader.seek_to_beginning(*places)
    ends = reader.end_offsets(places)
    found = []
    until = time.monotonic() + seconds
    while any(reader.position(p) < ends[p] for p in places):
        assert time.monotonic() < until, "an open transaction hides the end of the topic"
        for records in reader.poll(timeout_ms=100).values():
            found += records
    reader.close()
    return found


def told(config) -> list[dict]:
    """Every document that workers have told, flags first."""
    topics = Topics(config.prefix)
    records = [*read_all(config, topics.flags), *read_all(config, topics.incidents)]
    return [json.loads(r.value) for r in records]


def consumed(config) -> bool:
    """Whether the group of the workers has consumed everything."""
    topic = Topics(config.prefix).events
    reader = consumer(config, group_id=f"{config.prefix}-detect")
    try:
        places = [TopicPartition(topic, n) for n in range(config.partitions)]
        ends = reader.end_offsets(places)
        stood = {p: reader.committed(p) or 0 for p in places}
        # The last offset of a partition is the mark of a transaction.
        return all(stood[p] >= ends[p] - 1 for p in places)
    finally:
        reader.close()


class Workers:
    """Processes of ``outrider detect``, started, killed and stopped at will."""

    def __init__(self, folder: Path, config) -> None:
        self.folder, self.running = folder, {}
        self.path = folder / "outrider.toml"
        servers = ", ".join(f'"{s}"' for s in config.servers)
        self.path.write_text(
            f'[kafka]\nservers = [{servers}]\nprefix = "{config.prefix}"\n'
            f"partitions = {config.partitions}\nreplication = {config.replication}\n"
            f"snapshot_rows = {config.snapshot_rows}\n"
        )

    def start(self, name: str) -> None:
        command = [*warm.OUTRIDER, "detect", "--config", str(self.path), "--name", name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = warm.Popen(command, stdout=log, stderr=log)

    def collect(self, month: Month, *, rows: int, scatter: int, pace: float) -> None:
        """Send a month as the process ``collector``."""
        told = (str(month.folder), str(self.path), str(self.folder / "spool"), rows, scatter, pace)
        code = f"from tests.kafka.month import send; send(*{told!r})"
        with (self.folder / "collector.log").open("ab") as log:
            self.running["collector"] = warm.Popen(
                [sys.executable, "-c", code], stdout=log, stderr=log, cwd=ROOT
            )

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self, seconds: float = 30.0) -> None:
        """Ask all to end, and wait; a worker that fails is shown."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        codes = {name: p.wait(seconds) for name, p in self.running.items()}
        self.running = {}
        assert set(codes.values()) <= {0}, (codes, self.logs())

    def logs(self) -> str:
        return "\n".join(p.read_text()[-2000:] for p in sorted(self.folder.glob("*.log")))

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        for name in list(self.running):
            self.kill(name)
