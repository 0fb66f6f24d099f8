"""The loop that every run turns: step, wait where the world is in the way, stop when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.model.errors import RetriableError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from pipeline.runtime.health import Health
    from pipeline.runtime.metrics import Metrics

_AGAIN_SECONDS: Final = 1.0


def turn(
    step: Callable[[], bool],
    *,
    begin: Callable[[], object] = lambda: None,
    remark: Callable[[], str | None] = lambda: None,
    done: Callable[[], bool],
    idle_seconds: float,
    stopped: threading.Event,
    health: Health,
    metrics: Metrics,
    log: FilteringBoundLogger,
) -> int:
    """Turn a loop until it is done or somebody stops it.

    Args:
        step: one turn; whether it brought anything.
        begin: what has to succeed once before the first turn.
        remark: what works not as it should while the rest goes on, asked after each turn.
        done: whether there will be nothing more.
        idle_seconds: pause after a turn that brought nothing.
        stopped: set when the role is to end after its step.
        health: what the loop says of itself.
        metrics: counters.
        log: one line for each trouble.

    Returns:
        Turns that brought something.

    Raises:
        FatalError: a person has to act.
    """
    busy_turns, begun = 0, False
    while not stopped.is_set():
        over = False
        try:
            if not begun:
                begin()
                begun = True
            busy = step()
            busy_turns += busy
            if health.problem is not None:
                log.info("step", outcome="goes on")
            health.ready, health.problem, health.remark = True, None, remark()
            pause = 0.0 if busy else idle_seconds
            over = done()
        except RetriableError as error:
            metrics.failures.labels(type(error).__name__).inc()
            log.warning("step", outcome="put off", error=str(error))
            health.problem = str(error)
            pause = _AGAIN_SECONDS if error.retry_after is None else error.retry_after
        health.turn()
        if over or (pause and stopped.wait(pause)):
            break
    return busy_turns
