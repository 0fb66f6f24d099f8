"""A busy tenant's state: what storing it costs beside judging, and against storing it whole.

    python benchmarks/bench_states.py [--days N] [--people N] [--each N]

One tenant in one process, without a broker: its records are taken in and judged as a worker does in
a backlog, and its state is stored after so many records. The peer, in the same run: the same state
written down whole, as whoever does not know what has changed has to.
"""

from __future__ import annotations

import argparse
import time
from datetime import timedelta

from benchmarks.kafka_load import begin, hour_of, tenant_names
from pipeline.runtime.config import Config, Kafka
from pipeline.runtime.judging import Settings
from pipeline.runtime.live.engine import Engine
from pipeline.runtime.live.freezing import freeze
from pipeline.runtime.live.messages import Kind, Message
from pipeline.runtime.live.tenant import Tenant
from pipeline.runtime.memory import keep_freed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--days", type=int, default=5)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--each", type=int, default=Kafka().snapshot_rows)
    args = parser.parse_args()
    keep_freed()
    settings = Settings.of(Config.model_validate({}), trace_hours=0)
    engine = Engine(settings, lambda _: Tenant(settings))
    (name,) = tenant_names(1)
    rows = ahead = states = written = 0
    judging = storing = whole = 0.0
    for hour in range(args.days * 24):
        read_at = begin(0) + timedelta(hours=hour + 1)
        for _, body in hour_of(0, args.people, hour):
            began = time.process_time()
            ahead += engine.take(Message(name, Kind.EVENTS, read_at, body))
            judging += time.process_time() - began
            if ahead < args.each:
                continue
            began = time.process_time()
            taken = engine.snapshot(name)
            storing += time.process_time() - began
            began = time.process_time()
            freeze(engine.tenant(name).ground)
            whole += time.process_time() - began
            written += len(taken.body) + sum(map(len, taken.parts.values()))
            rows, ahead, states = rows + ahead, 0, states + 1
    rows += ahead
    print(f"{rows} records, {states} states; ns of processor a record")
    print(f"  judging {judging / rows * 1e9:6.0f}")
    print(f"  storing {storing / rows * 1e9:6.0f}   {written / rows:.0f} bytes a record")
    print(f"  storing whole {whole / rows * 1e9:6.0f} ({whole / storing:.1f} times)")


if __name__ == "__main__":
    main()
