"""What every writer of a form shares: chunks, damage, compression, counting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from pipeline.model.clock import from_us
from pipeline.simulate.formats.container import Tally, write
from pipeline.simulate.formats.damage import damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipeline.simulate.rows import Rows
    from pipeline.simulate.world import World

CHUNK: Final = 16_384  # rows formatted at once: some 60 MB of text with full records
HUB_BATCH: Final = 40
GRAPH_PAGE: Final = 1000
BATCH_TWICE: Final = 0.006
HOUR_US: Final = 3_600_000_000


class Writer(Protocol):
    """Writes one delivered day."""

    written: int

    def day(self, rows: Rows) -> None:
        """Write ``rows``, ordered by delivery; a day is handed over once.

        What the form cannot hold is left out; ``written`` counts the rest.
        """
        ...


class Base:
    """What every writer needs: where to, how packed, what was written."""

    by_line = False

    def __init__(self, world: World, folder: Path, tally: Tally) -> None:
        self.world, self.folder, self.tally = world, folder, tally
        self.written = 0

    def texts(self, rows: Rows, render: Callable[[Rows], list[str]]) -> Iterator[list[str]]:
        """Format ``rows`` chunk by chunk, with a few records damaged."""
        self.written += int(rows.size)
        for first in range(0, rows.size, CHUNK):
            part = rows[first : first + CHUNK]
            out = render(part)
            if self.world.spec.dirty:
                out = damage(self.world.spec.seed, part, out, by_line=self.by_line)
            yield out

    def put(self, name: str, chunks: Any) -> None:
        """Write one file."""
        write(self.folder / name, self.world.spec.compression, chunks, self.tally)


def date_of(us: int) -> str:
    """Day of a moment in microseconds UTC."""
    return f"{from_us(us):%Y-%m-%d}"
