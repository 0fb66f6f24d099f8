"""What is read live beside a run, for as long as it takes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pipeline.runtime.live.feeds import Feeds
from pipeline.runtime.live.pool import DaemonPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from structlog.typing import FilteringBoundLogger

    from connectors.normalise.settings import NormaliseSettings
    from pipeline.model.clock import Clock
    from pipeline.runtime.config import Config
    from pipeline.runtime.metrics import Metrics

# A reader waits for the network nearly all of its time.
_THREADS: Final = 8


@contextmanager
def live_feeds(
    config: Config,
    settings: NormaliseSettings,
    *,
    unnamed: Callable[[], str],
    clock: Clock,
    metrics: Metrics,
    log: FilteringBoundLogger,
) -> Iterator[Feeds]:
    """Everything that is read live, with threads of their own while the block runs.

    Raises:
        ConfigError: something is switched on that cannot be.
    """
    sources, advisories = [], []
    if config.collect.enabled:
        # The clients of every service: 0.3 s that a run of files alone does not need.
        from pipeline.runtime.live.wiring import Wiring  # noqa: PLC0415

        wiring = Wiring(config, settings, clock)
        sources, advisories = wiring.sources(), wiring.advisories()
    pool = DaemonPool(_THREADS, "feed")
    try:
        yield Feeds(
            sources,
            advisories,
            unnamed=unnamed,
            clock=clock,
            metrics=metrics,
            log=log,
            pool=pool,
        )
    finally:
        pool.shutdown()  # of a request under way nothing is kept
