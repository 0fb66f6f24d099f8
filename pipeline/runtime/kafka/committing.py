"""Making the steps of a worker durable, each in one transaction, once there is a reason to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pipeline.runtime.kafka.writing import Writing
from pipeline.runtime.live.observe import count, observe
from pipeline.runtime.tracing import span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import FilteringBoundLogger

    from pipeline.model.clock import Clock
    from pipeline.model.dead_letter import DeadLetter
    from pipeline.runtime.config import Kafka
    from pipeline.runtime.kafka.partition import Partition, Ripe
    from pipeline.runtime.live.parts import Issue
    from pipeline.runtime.metrics import Metrics

# How often offsets are committed where nothing is to be told.
_COMMIT_SECONDS: Final = 1.0
# A state takes 10 to 50 ms, and a thousand may be due at once: the broker ends a transaction that
# is open for 15 seconds, and whoever waits for a flag waits for the states in its transaction.
_STORE_SECONDS: Final = 1.0
_OBSERVE_SECONDS: Final = 5.0


@dataclass(slots=True)
class Step:
    """One step's harvest of one partition: what to tell, what cannot be used, records taken."""

    issues: list[tuple[str, Issue]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    rows: int = 0


class Committing:
    """Writes what came of steps, and counts it.

    Args:
        config: of the broker.
        name: of the worker; a second one of the same name shuts the first one out.
        clock: tells how far tenants are behind.
        metrics: counters and gauges.
        log: one line for each commit that told something.
    """

    def __init__(
        self,
        config: Kafka,
        name: str,
        *,
        clock: Clock,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._writing = Writing(config, name)
        self._clock, self._metrics, self._log = clock, metrics, log
        self._committed_at = self._observed_at = 0.0

    def commit(
        self,
        parts: Mapping[int, Partition],
        steps: Mapping[int, Step],
        group: Any,
        *,
        everything: bool = False,
    ) -> bool:
        """Make a step durable.

        Args:
            parts: all that the worker holds.
            steps: what came of some of them.
            group: the worker's membership, which the broker asks for.
            everything: store every tenant that has taken in more than its stored state holds.

        Returns:
            Whether states are left to be stored with the next one.

        Raises:
            KafkaError: nothing of it shows.
        """
        told = any(s.issues or s.dead for s in steps.values())
        held = [p for p in parts.values() if not p.replaying]
        ripe = sorted(r for p in held for r in p.ripe(everything=everything))
        due = {r.partition for r in ripe}
        moved = [p for p in held if p.moved or p.number in due]
        waited = time.monotonic() - self._committed_at >= _COMMIT_SECONDS
        if not told and not ripe and (not moved or not (waited or everything)):
            return False
        began = time.monotonic()
        with span("commit") as work, self._writing.transaction():
            for number, step in steps.items():
                for name, issue in step.issues:
                    self._writing.tell(parts[number], name, issue)
                self._writing.bury(parts[number], step.dead)
            shown = {p.number for p in held if self._writing.show(p)}
            stored = self._store(parts, ripe)
            # Whatever is written of a partition goes with its offset, moved or not: that is what
            # the broker refuses from a worker that has lost it.
            written = shown.union(steps, (p.number for p in moved))
            consumed = [p for p in parts.values() if p.number in written]
            self._writing.consume(consumed, group)
            work["records"] = sum(s.rows for s in steps.values())
            work["issues"] = sum(len(s.issues) for s in steps.values())
        for part in consumed:
            part.settled()
        self._committed_at = time.monotonic()
        self._count(parts, steps, stored, self._committed_at - began)
        return stored < len(ripe)

    def observe(self, parts: Mapping[int, Partition]) -> None:
        """Set the gauges now and then: they tell of who sends nothing, too."""
        if time.monotonic() - self._observed_at >= _OBSERVE_SECONDS:
            self._observe(parts)

    def close(self) -> None:
        """Let go of the broker."""
        self._writing.close()

    def _store(self, parts: Mapping[int, Partition], ripe: list[Ripe]) -> int:
        """Store the states that have waited longest; how many of them."""
        until = time.monotonic() + _STORE_SECONDS
        for done, each in enumerate(ripe):
            if done and time.monotonic() >= until:
                return done
            self._writing.store(parts[each.partition], each.tenant)
        return len(ripe)

    def _observe(self, parts: Mapping[int, Partition]) -> None:
        held = [t for p in parts.values() for t in p.engine.tenants.values()]
        observe(self._metrics, held, self._clock.now())
        self._observed_at = time.monotonic()

    def _count(
        self,
        parts: Mapping[int, Partition],
        steps: Mapping[int, Step],
        stored: int,
        seconds: float,
    ) -> None:
        self._observe(parts)
        rows = sum(s.rows for s in steps.values())
        letters = [m for s in steps.values() for m in s.dead]
        issues = [i for s in steps.values() for _, i in s.issues]
        flags, incidents = count(self._metrics, rows, letters, issues)
        write = self._log.info if flags or incidents or letters else self._log.debug
        write(
            "commit",
            records=rows,
            flags=flags,
            incidents=incidents,
            dead=len(letters),
            states=stored,
            seconds=round(seconds, 3),
        )
