"""The role ``collect``: sources and feeds to the topics, with the place to read on.

Batches, dead letters and cursors commit in one transaction: a collector killed anywhere goes
on after the last batch that others can see.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from kafka.errors import KafkaError

from pipeline.model.documents import to_line
from pipeline.model.errors import ConfigError, FatalError
from pipeline.runtime.kafka.client import Topics, producer, unreachable
from pipeline.runtime.kafka.letters import record_of
from pipeline.runtime.kafka.stored import read_cursors
from pipeline.runtime.kafka.transaction import transaction
from pipeline.runtime.live.reading import Reading
from pipeline.runtime.tracing import span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.model.clock import Clock
    from pipeline.model.contracts import AdvisoryFeed, Source
    from pipeline.runtime.config import Kafka
    from pipeline.runtime.live.feeds import Feeds
    from pipeline.runtime.live.reading import Harvest
    from pipeline.runtime.metrics import Metrics


class Collector:
    """Reads sources and feeds into the topics.

    Args:
        config: of the broker.
        name: begins the keys of its cursors and of its transactions; a second collector of the
            same name shuts the first one out.
        sources: by name.
        feeds: of advisories, by name.
        unnamed: gives the tenant of records that name none.
        clock: tells when records were read, if a source does not.
        metrics: counters.
        live: sources and feeds that are not waited for.

    Raises:
        ConfigError: the name holds a slash, which ends it in these keys.
    """

    def __init__(
        self,
        config: Kafka,
        name: str,
        sources: Mapping[str, Source],
        *,
        feeds: Mapping[str, AdvisoryFeed],
        unnamed: Callable[[], str],
        clock: Clock,
        metrics: Metrics,
        live: Feeds | None = None,
    ) -> None:
        if "/" in name:
            raise ConfigError(f"--name {name}: write it without a slash")
        self._config, self._name = config, name
        self._reading = Reading(sources, feeds, unnamed=unnamed, clock=clock, live=live)
        self._topics, self._metrics = Topics(config.prefix), metrics
        self._producer: Any = None
        self._cursors: dict[str, dict[str, Any]] = {}
        self._tenants: set[str] = set()
        # Under a source without a name: of which process the cursors are.
        self._own_key, self._own = f"{name}/", json.dumps(uuid4().hex).encode()
        self._began = False

    @property
    def finished(self) -> bool:
        """Whether every source is bounded and at its end."""
        return self._reading.finished

    @property
    def problem(self) -> str | None:
        """What is wrong with live sources, None if all work."""
        return self._reading.problem

    def step(self) -> bool:
        """Read one portion of everything and send it; whether it brought anything.

        Raises:
            RetriableError: nothing was sent; the next call tries the same again.
            FatalError: a person has to act.
        """
        if self._producer is None:
            self._open()
        harvest = self._reading.read(self._cursors.get, self._tenants)
        moved = {n: c for n, c in harvest.cursors.items() if c != self._cursors.get(n)}
        if harvest.messages or harvest.letters or moved:
            self._send(harvest, moved)
        self._reading.keep(harvest)
        self._count(harvest)
        return harvest.brought

    def _open(self) -> None:
        # Who was shut out looks first by whom: else the two would do it to each other for ever.
        if self._began and read_cursors(self._config).get(self._own_key) != self._own:
            raise FatalError(
                f"another collector named {self._name!r} has taken over; give each a name of its own"
            )
        # First the producer: it shuts out whoever still writes under this name.
        self._producer = producer(self._config, f"{self._config.prefix}-collect-{self._name}")
        try:
            kept = read_cursors(self._config)
            self._begin()
        except BaseException:
            self.close()  # the next call begins anew: without its cursors it would read all again
            raise
        self._tenants = set(json.loads(kept.get(self._name, b"[]")))
        mine = f"{self._name}/"
        self._cursors = {
            key.removeprefix(mine): json.loads(held)
            for key, held in kept.items()
            if key.startswith(mine) and key != self._own_key
        }

    def _begin(self) -> None:
        """Write down that it is this process that collects under the name."""
        if self._began:
            return
        try:
            with transaction(self._producer) as send:
                send(self._topics.cursors, key=self._own_key.encode(), value=self._own)
        except KafkaError as error:
            raise unreachable(self._config, error) from error
        self._began = True

    def _send(self, harvest: Harvest, moved: Mapping[str, dict[str, Any]]) -> None:
        """All of a harvest, in one transaction."""
        tenants = self._tenants | harvest.tenants
        try:
            with span("send") as work:
                work["messages"] = len(harvest.messages)
                with transaction(self._producer) as send:
                    for record in self._records(harvest, tenants, moved):
                        send(**record)
        except KafkaError as error:
            self.close()
            raise unreachable(self._config, error) from error
        self._cursors, self._tenants = self._cursors | dict(moved), tenants

    def _records(
        self, harvest: Harvest, tenants: set[str], moved: Mapping[str, dict[str, Any]]
    ) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = [
            {
                "topic": self._topics.events,
                "key": m.tenant.encode(),
                "value": m.body,
                "headers": m.headers(),
            }
            for m in harvest.messages
        ]
        records += [
            {
                "topic": self._topics.advisories,
                "key": a.advisory_id.encode(),
                "value": to_line(a).encode(),
            }
            for a in harvest.advisories
        ]
        records += [{"topic": self._topics.dead, **record_of(m)} for m in harvest.letters]
        # One record for each: the sources of many tenants have cursors of 350 kB each.
        kept: dict[str, Any] = {f"{self._name}/{name}": cursor for name, cursor in moved.items()}
        if tenants != self._tenants:
            kept[self._name] = sorted(tenants)
        records += [
            {
                "topic": self._topics.cursors,
                "key": key.encode(),
                "value": json.dumps(value).encode(),
            }
            for key, value in kept.items()
        ]
        return records

    def _count(self, harvest: Harvest) -> None:
        metrics = self._metrics
        metrics.commits.inc()
        metrics.tenants.set(len(self._tenants))
        for message in harvest.messages:
            metrics.messages.labels(message.kind.value).inc()
        for letter in harvest.letters:
            metrics.dead.labels(letter.reason).inc()

    def close(self) -> None:
        """Let go of the broker; the cursors are read again at the next step."""
        if self._producer is not None:
            self._producer.close(timeout=1)
        self._producer = None
