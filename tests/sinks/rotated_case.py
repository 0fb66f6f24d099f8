"""Files that are begun anew, as the receiver of a sink: full, locked, cut off, away."""

from __future__ import annotations

import fcntl
import gzip

from connectors.sinks.encoders.ecs import ECS
from connectors.sinks.encoders.text import visible
from connectors.sinks.files import FilesSink
from connectors.sinks.rotating import Rotation
from tests.contracts.sink_checks import EVERYTHING, SinkCase
from tests.sinks.files_case import KINDS, Folder
from tests.sinks.records import record

CAN = EVERYTHING
# Three incidents of the tests in a file.
ROTATION = Rotation(octets=12_000, keep=1000, compress=True)


class RotatedFolder(Folder):
    """As the folder without rotation, with full files beside the growing ones."""

    def sink(self):
        return FilesSink(self.path, self.form, ROTATION)

    def lines(self):
        for kind in KINDS:
            full = self.path.glob(f"{kind}-*{self.form.suffix}*")
            for path in [*sorted(full), self.path / f"{kind}{self.form.suffix}"]:
                if path.exists() and not path.name.endswith(".part"):
                    data = path.read_bytes()
                    data = gzip.decompress(data) if path.suffix == ".gz" else data
                    yield from data.decode().split("\n")[:-1]

    def hold(self, kinds):
        """As another process that appends."""
        self.path.mkdir(exist_ok=True)
        for kind in kinds:
            self.held.append((self.path / f".{kind}{self.form.suffix}.lock").open("a"))
            fcntl.flock(self.held[-1], fcntl.LOCK_EX)


def case(tmp_path):
    numbers = iter(range(1000))

    def make():
        folder = RotatedFolder(tmp_path / str(next(numbers)) / "out", ECS)
        folder.path.parent.mkdir()
        return folder.sink(), folder

    return SinkCase(make=make, document=record, shown=visible)
