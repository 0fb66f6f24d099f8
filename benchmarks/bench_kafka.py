"""Kafka to incidents: records a second, gain of a second worker, delay to a flag, a move of states.

    python benchmarks/bench_kafka.py [--tenants N] [--people N] [--days N] [--rounds N]

Starts a broker of its own on loopback (needs Java 17 and Maven, as the tests do) and fills the
topic of events with batches of 2,000 slim records. Then, each in processes of their own:

- throughput: one worker (``outrider detect``), two workers, and as the peer one and two plain
  kafka-python consumers that decode the same batches and count them by minute, client and outcome
  in Arrow: what anybody pays before a single thought, and what the machine gives anybody's second
  process beside a broker. Records a second of processor time and of wall time; the workers store
  their tenants' states as often as they do by default. On two processors the broker takes a tenth
  of them from two workers, and the connection of one worker runs on the one that is free; so one
  worker is timed on one processor as well, with the broker: half of the machine. Each case has a
  broker of its own, as the files of earlier ones make it slower.
- delay: messages that end the minute of an outage, to the moment when the flag can be read.
- move: a second worker joins one that holds many tenants; seconds until it has taken its half
  over, and memory of both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from kafka import TopicPartition

from benchmarks.kafka_load import OUTAGE_HOUR, begin, hour_of, send, tenant_names
from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka.client import Topics, consumer, producer
from pipeline.runtime.kafka.stored import key, read_back
from pipeline.runtime.kafka.topics import init
from pipeline.runtime.live.messages import Kind, Message
from tests.kafka.broker import Cluster, fetch, unmet
from tests.warm import OUTRIDER

if TYPE_CHECKING:
    from collections.abc import Iterator

DELAY_PEOPLE = 200
PARTITIONS = 8
PEER = """
import collections, sys, time
from pathlib import Path
import pyarrow as pa, pyarrow.compute as pc
from kafka import TopicPartition
from pipeline.runtime.config import load
from pipeline.runtime.kafka.client import Topics, consumer
from pipeline.runtime.live.framing import unframed
config = load(Path(sys.argv[1])).kafka
reader = consumer(config)
mine = range(int(sys.argv[2]), config.partitions, int(sys.argv[3]))
places = [TopicPartition(Topics(config.prefix).events, n) for n in mine]
reader.assign(places); reader.seek_to_beginning(*places)
ends = reader.end_offsets(places)
counts, rows = collections.Counter(), 0
cpu, began = time.process_time(), time.monotonic()
while any(reader.position(p) < ends[p] for p in places):
    for records in reader.poll(timeout_ms=200).values():
        for record in records:
            if dict(record.headers)["kind"] != b"events":
                continue
            with pa.ipc.open_stream(unframed(record.value)) as stream:
                table = stream.read_all()
            rows += table.num_rows
            minute = pc.floor_temporal(table["event_time"], unit="minute")
            slim = pa.table({"minute": minute, "client": table["client"], "outcome": table["outcome"]})
            for row in slim.group_by(["minute", "client", "outcome"]).aggregate([([], "count_all")]).to_pylist():
                counts[row["minute"], row["client"], row["outcome"]] += row["count_all"]
print(rows, time.process_time() - cpu, began, time.monotonic())
"""


def cpu_of(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> float:
    """Proportional set size of a process, MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith("Pss:")) / 1024


class Rate(NamedTuple):
    """Records a second of processor time and of wall time."""

    processor: float
    wall: float


class Case(NamedTuple):
    """What is timed: so many processes; they and the broker on so many processors, None = all."""

    plain: bool
    processes: int
    processors: int | None = None

    def __str__(self) -> str:
        """As it stands in the table."""
        what = "plain consumer" if self.plain else "worker"
        where = "" if self.processors is None else f" and broker on {self.processors} processor(s)"
        return f"{self.processes} {what}(s){where}".ljust(40)


CASES = (Case(False, 1), Case(False, 1, 1), Case(False, 2, 2), Case(True, 1), Case(True, 2))


class Waiting(Cluster):
    """Waits for the workers of a new group, as Kafka does by default; the tests have no time.

    Else the first of two workers takes all, and hands half of it over while it is timed.
    """

    def settings(self, node: int) -> list[str]:
        """More of a node's properties; of two the last one counts."""
        return [*super().settings(node), "group.initial.rebalance.delay.ms=3000"]


class Bench:
    """One broker and what is run against it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processors = sorted(os.sched_getaffinity(0))
        self.cluster = Waiting(folder)
        self.cluster.start()

    def config(self, prefix: str, partitions: int = PARTITIONS) -> Kafka:
        """Topics of their own under a prefix."""
        config = Kafka(
            servers=self.cluster.servers, prefix=prefix, partitions=partitions, replication=1
        )
        init(config)
        return config

    def file(self, config: Kafka) -> Path:
        """The same as a configuration file."""
        path = self.folder / f"{config.prefix}.toml"
        path.write_text(
            f'[kafka]\nservers = ["{config.servers[0]}"]\nprefix = "{config.prefix}"\n'
            f"partitions = {config.partitions}\nreplication = 1\n",
            encoding="utf-8",
        )
        return path

    def worker(self, config: Kafka, name: str) -> subprocess.Popen[bytes]:
        """A process of ``outrider detect``."""
        command = [*OUTRIDER, "detect", "--config", str(self.file(config)), "--name", name]
        with (self.folder / f"{config.prefix}-{name}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def assigned(self, config: Kafka, name: str) -> list[dict[str, Any]]:
        """What a worker's log says of partitions that it has taken over."""
        log = self.folder / f"{config.prefix}-{name}.log"
        lines = log.read_text(encoding="utf-8").splitlines()
        return [json.loads(x) for x in lines if '"event": "assigned"' in x]


@contextmanager
def started() -> Iterator[Bench]:
    """A broker of its own, and nothing left of it: what others wrote is no burden to it."""
    with tempfile.TemporaryDirectory(prefix="outrider-bench-") as folder:
        bench = Bench(Path(folder))
        try:
            yield bench
        finally:
            bench.cluster.kill()


class Progress:
    """How far the workers have come; one connection, as each look at it costs them processor."""

    def __init__(self, config: Kafka) -> None:
        self._reader = consumer(config, group_id=f"{config.prefix}-detect")
        topic = Topics(config.prefix).events
        self._places = [TopicPartition(topic, n) for n in range(config.partitions)]

    def position(self) -> int:
        """Offsets that the workers have committed, all partitions together."""
        return sum(self._reader.committed(p) or 0 for p in self._places)

    def end(self) -> int:
        """Offsets at the ends, without the marks of the last transactions."""
        return sum(max(0, e - 1) for e in self._reader.end_offsets(self._places).values())

    def wait(self, seconds: float) -> None:
        """Until everything that is there now is committed; looks once in so many seconds."""
        end = self.end()
        while self.position() < end:
            time.sleep(seconds)

    def close(self) -> None:
        """Let go of the connection."""
        self._reader.close()


def work_off(config: Kafka, seconds: float = 0.5) -> None:
    """Wait until the workers have taken everything."""
    progress = Progress(config)
    progress.wait(seconds)
    progress.close()


def consumed(bench: Bench, config: Kafka, records: int, consumers: int) -> Rate:
    """What so many plain consumers make of all records, without the start of their processes."""
    command = [sys.executable, "-c", PEER, str(bench.file(config))]
    running = [
        subprocess.Popen([*command, str(n), str(consumers)], stdout=subprocess.PIPE, text=True)
        for n in range(consumers)
    ]
    told = [[float(x) for x in p.communicate()[0].split()] for p in running]
    rows, cpu, began, ended = zip(*told, strict=True)
    if sum(rows) != records:
        raise SystemExit(f"{sum(rows):.0f} of {records} records were consumed")
    return Rate(records / sum(cpu), records / (max(ended) - min(began)))


def confined(bench: Bench, count: int | None) -> None:
    """Leave so many processors to the broker, and to all that is started from now on; None = all."""
    processors = set(bench.processors[:count])
    os.sched_setaffinity(0, processors)
    for node in bench.cluster.running.values():
        for thread in Path(f"/proc/{node.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), processors)


def worked(bench: Bench, config: Kafka, records: int, workers: int) -> Rate:
    """What so many workers make of all records, from when all have got their partitions."""
    names = [f"w{n}" for n in range(workers)]
    running = [bench.worker(config, name) for name in names]
    progress = Progress(config)
    end = progress.end()
    while not all(bench.assigned(config, name) for name in names):
        time.sleep(0.02)
    before, began = sum(cpu_of(p.pid) for p in running), time.monotonic()
    start = progress.position()
    progress.wait(0.1)
    seconds = time.monotonic() - began
    cpu = sum(cpu_of(p.pid) for p in running) - before
    progress.close()
    for process in running:
        process.kill()
        process.wait()
    done = records * (end - start) / end
    return Rate(done / cpu, done / seconds)


def throughput(args: argparse.Namespace) -> None:
    """Each round measures all cases in turn: a machine's speed may change by half in a minute."""
    # Six tenants in eight partitions are four for one worker and two for the other.
    partitions = min(PARTITIONS, args.tenants)
    found: dict[Case, list[Rate]] = {case: [] for case in CASES}
    for _ in range(args.rounds):
        for case in CASES:
            with started() as bench:
                config = bench.config("rate", partitions)
                records = send(config, args.tenants, args.people, args.days)
                confined(bench, case.processors)
                run = consumed if case.plain else worked
                found[case].append(run(bench, config, records, case.processes))
                confined(bench, None)
    print(
        f"throughput, {records} records of {args.tenants} tenants, batches of 2,000; "
        f"{args.rounds} rounds, medians"
    )
    for case, rates in found.items():
        cpu, wall = (median(values) for values in zip(*rates, strict=True))
        print(f"  {case}  {cpu / 1e3:6.0f} k/s of processor  {wall / 1e3:6.0f} k/s of wall time")
    one, held, two, plain_one, plain_two = found.values()
    for text, lower, upper, field in (
        ("one worker / one plain consumer, processor", plain_one, one, 0),
        ("two workers / one, wall time", one, two, 1),
        ("two workers on two processors / one on one", held, two, 1),
        ("two plain consumers / one, wall time", plain_one, plain_two, 1),
        ("processor time a record, two workers / one", two, one, 0),
    ):
        ratios = [u[field] / w[field] for w, u in zip(lower, upper, strict=True)]
        told = " ".join(f"{r:.2f}" for r in ratios)
        print(f"  {text:44} {median(ratios):5.2f}   of rounds {told}")


def delay(bench: Bench, args: argparse.Namespace) -> None:
    """Each tenant in turn has an outage; the message that ends its minute is timed."""
    config = bench.config("delay")
    tenants = args.delays
    send(config, tenants, DELAY_PEOPLE, 9, more_hours=OUTAGE_HOUR)
    running = bench.worker(config, "w")
    work_off(config)
    writer = producer(config, "bench-delay")
    reader = consumer(config)
    topics = Topics(config.prefix)
    places = [TopicPartition(topics.flags, n) for n in range(config.partitions)]
    reader.assign(places)
    reader.seek_to_end(*places)
    reader.poll(timeout_ms=100)
    sent, seen = {}, {}
    moment = begin(9)
    for number, name in enumerate(tenant_names(tenants)):
        batches = hour_of(number, DELAY_PEOPLE, 9 * 24 + OUTAGE_HOUR, failing=True)
        for until in range(1, 60):
            now = moment.replace(hour=OUTAGE_HOUR, minute=until)
            minute = [b for at, b in batches if at == until - 1]
            messages = [Message(name, Kind.EVENTS, now, b) for b in minute]
            messages.append(Message(name, Kind.CLOCK, now))
            writer.begin_transaction()
            for m in messages:
                told = {"key": m.tenant.encode(), "value": m.body, "headers": m.headers()}
                told["partition"] = number % config.partitions
                writer.send(topics.events, **told)
            sent[name] = time.monotonic()
            writer.commit_transaction()
            deadline = time.monotonic() + 1.0
            while name not in seen and time.monotonic() < deadline:
                for records in reader.poll(timeout_ms=20).values():
                    for record in records:
                        seen.setdefault(json.loads(record.value)["tenant"], time.monotonic())
            if name in seen:
                break
    found = sorted(seen[n] - sent[n] for n in seen if n in sent)
    running.kill()
    running.wait()
    p50, p99 = found[len(found) // 2], found[min(len(found) - 1, int(len(found) * 0.99))]
    print(f"delay from the end of the minute to the flag, {len(found)} of {tenants} outages")
    print(
        f"  median {p50 * 1e3:.0f} ms, 99 % within {p99 * 1e3:.0f} ms, most {found[-1] * 1e3:.0f} ms"
    )


def move(bench: Bench, args: argparse.Namespace) -> None:
    """Copies of one tenant's state stand for many tenants: reading them back costs the same."""
    config = bench.config("move")
    send(config, 1, 60, 9)
    first = bench.worker(config, "w0")
    work_off(config)
    first.terminate()
    first.wait()
    states = read_back(config, range(config.partitions))
    (kept,) = [k for found in states.values() for k in found.values()]
    writer, topics = producer(config, "bench-move"), Topics(config.prefix)
    names = [f"copy-{n:04d}" for n in range(args.states)]
    moment = begin(9).replace(hour=3)
    for number, name in enumerate(names):
        place = number % config.partitions
        writer.begin_transaction()
        pieces = {f"part/{p}": body for p, body in kept.parts.items()}
        pieces |= {"ground": (0).to_bytes(8, "big") + (kept.ground or b"")}
        pieces |= {"issued": kept.issued or b""}
        for what, body in pieces.items():
            writer.send(topics.state, key=key(name, what), value=body, partition=place)
        message = Message(name, Kind.CLOCK, moment)
        writer.send(
            topics.events,
            key=name.encode(),
            value=b"",
            headers=message.headers(),
            partition=place,
        )
        writer.commit_transaction()
    first = bench.worker(config, "w0")
    work_off(config)
    alone = memory_of(first.pid)
    began = time.monotonic()
    second = bench.worker(config, "w1")
    while not bench.assigned(config, "w1"):
        time.sleep(0.05)
    seconds = time.monotonic() - began
    told = bench.assigned(config, "w1")
    print(f"move of half of {args.states} tenants, {kept.size / 1e3:.0f} kB each, to a new worker")
    print(f"  from start of its process {seconds:.1f} s; reading states {told[0]['seconds']:.1f} s")
    print(
        f"  memory {alone:.0f} MiB before; then {memory_of(first.pid):.0f} and {memory_of(second.pid):.0f} MiB"
    )
    for process in (first, second):
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tenants", type=int, default=8)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--delays", type=int, default=100)
    parser.add_argument("--states", type=int, default=1_000)
    parser.add_argument("--only", choices=("throughput", "delay", "move"))
    args = parser.parse_args()
    problem = unmet() or fetch()
    if problem:
        raise SystemExit(f"{problem}: a real Kafka broker is needed")
    if args.only in {None, "throughput"}:
        throughput(args)
    for part in (delay, move):
        if args.only in {None, part.__name__}:
            with started() as bench:
                part(bench, args)


if __name__ == "__main__":
    main()
