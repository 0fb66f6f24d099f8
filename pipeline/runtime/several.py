"""Several loops in one process, each on a thread of its own: a slow one costs itself time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pipeline.runtime.health import Health

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOOK_SECONDS: Final = 0.5


@dataclass(slots=True)
class Healths(Health):
    """What several loops say of themselves, together; ``each`` has those of the loops by name."""

    each: dict[str, Health] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether all loops still turn."""
        return all(h.alive for h in self.each.values())

    def look(self) -> None:
        """Take over what the loops say by now."""
        loops = self.each.items()
        self.ready = all(h.ready for _, h in loops)
        self.problem = "; ".join(f"{n}: {h.problem}" for n, h in loops if h.problem) or None
        self.remark = "; ".join(f"{n}: {h.remark}" for n, h in loops if h.remark) or None


def turn_all(
    loops: Mapping[str, Callable[[Health], None]],
    *,
    stopped: threading.Event,
    healths: Healths,
) -> None:
    """Turn loops until somebody stops them; the first that fails for good stops them all.

    Args:
        loops: by name; each is called once with the health to tell, and ends when ``stopped``
            is set.
        stopped: set when all are to end after their step; set here if one of them fails.
        healths: what others see of all of them.

    Raises:
        Exception: what a loop raised, once all have ended.
    """
    failed: list[BaseException] = []

    def run(name: str, loop: Callable[[Health], None]) -> None:
        try:
            loop(healths.each[name])
        except BaseException as error:  # noqa: BLE001 # raised again below, on the caller's thread
            failed.append(error)
            stopped.set()

    healths.each.update((name, Health()) for name in loops)
    threads = [
        threading.Thread(target=run, args=(name, loop), name=name) for name, loop in loops.items()
    ]
    for thread in threads:
        thread.start()
    while any(t.is_alive() for t in threads) and not stopped.wait(_LOOK_SECONDS):
        healths.look()
    for thread in threads:
        thread.join()
    healths.look()
    if failed:
        raise failed[0]
