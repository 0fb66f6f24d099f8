"""Telling people from Kafka: follow the topics into a ledger of one's own, and decide there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.runtime.kafka.follow import Follower
from pipeline.runtime.notifying import Notifier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from structlog.typing import FilteringBoundLogger

    from pipeline.ledger.followed import FollowedLedger
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Sink
    from pipeline.notify.settings import NotifySettings
    from pipeline.runtime.config import Config
    from pipeline.runtime.metrics import Metrics

# They share one lag, whatever their names are: one follower decides for all of them.
PEOPLE: Final = "people"


class Notices:
    """The one worker that decides what people are told; used by one thread.

    Nothing is decided before it has been at the end of the topics once: what was told long ago
    is no news.

    Args:
        config: of the run.
        ledger: to follow into; who was told what is kept there.
        sinks: destinations of people, by name.
        settings: of the notify stage.
        pool: of threads on which destinations are asked.
        clock, metrics, log: as for :class:`Follower` and :class:`Notifier`.
    """

    def __init__(
        self,
        config: Config,
        ledger: FollowedLedger,
        sinks: Mapping[str, Sink],
        settings: NotifySettings,
        *,
        pool: Executor,
        clock: Clock,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        kept = config.ledger.keep_days
        self._follower = Follower(
            config.kafka,
            ledger,
            clock=clock,
            metrics=metrics,
            log=log,
            keep_days=kept,
            sink=PEOPLE,
        )
        self._notifier = Notifier(
            ledger,
            sinks,
            settings,
            pool=pool,
            clock=clock,
            metrics=metrics,
            log=log,
            keep_days=kept,
        )

    @property
    def problem(self) -> str | None:
        """What is wrong with destinations, None if all take notices."""
        return self._notifier.problem

    def step(self) -> bool:
        """One turn; whether it brought anything.

        Raises:
            RetriableError: broker or disk do not answer; the next call does the same again.
        """
        brought = self._follower.step()
        if self._follower.caught_up:
            self._notifier.step()
        return brought

    def close(self) -> None:
        """Hand over what is under way, and let go of the broker."""
        self._notifier.last()
        self._follower.close()
