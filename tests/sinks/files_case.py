"""Files in a folder, as the receiver of a sink: full, locked, cut off, away."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from unittest import mock

from connectors.sinks import ndjson
from connectors.sinks.encoders.ecs import ECS
from connectors.sinks.encoders.plain import JSON
from connectors.sinks.encoders.text import visible
from connectors.sinks.ndjson import NdjsonSink
from tests.contracts.sink_cases import BUSY, CUT, DENIED, DOWN, EVERYTHING, REFUSE, SinkCase
from tests.sinks.records import record

CAN = EVERYTHING - {REFUSE}  # plain JSON has words for everything
ECS_CAN = EVERYTHING
KINDS = ("incidents", "flags")


class Folder:
    """A request is a file that is brought to the disk: incidents first, as the checks mix them."""

    def __init__(self, path, form):
        self.path, self.form = path, form
        self.away = path.with_name("away")
        self.held = []
        self.patched = None

    def sink(self):
        return NdjsonSink(self.path, self.form)

    def lines(self):
        for kind in KINDS:
            file = self.path / f"{kind}{self.form.suffix}"
            if file.exists():
                yield from file.read_text("utf-8").split("\n")[:-1]

    def accepted(self):
        return [self.form.key(line) for line in self.lines()]

    def text(self, key):
        (line,) = [line for line in self.lines() if self.form.key(line) == key]
        document = json.loads(line)
        return document.get("outrider", {}).get("incident", document)["headline"]

    def fail(self, kind, after=0):
        self.close()
        if kind == BUSY:
            self.hold(KINDS[after:])
        elif kind == DENIED:
            self.path.mkdir(exist_ok=True)
            self.path.rename(self.away)
            self.path.write_text("a file where the folder should be")
        elif kind in {DOWN, CUT}:
            self.fill(after, kind)

    def hold(self, kinds):
        """As another process that appends."""
        self.path.mkdir(exist_ok=True)
        for kind in kinds:
            for suffix in {JSON.suffix, self.form.suffix}:
                self.held.append((self.path / f"{kind}{suffix}").open("a"))
                fcntl.flock(self.held[-1], fcntl.LOCK_EX)

    def fill(self, after, kind):
        """Have the disk full, or the process killed within the last line."""
        left, sync = after, os.fsync
        whole = {f.stat().st_ino: f.stat().st_size for f in self.path.glob("*")}

        def fails(number):
            nonlocal left
            left -= 1
            told = os.fstat(number)
            if left >= 0:
                whole[told.st_ino] = told.st_size
                return sync(number)
            if kind == CUT and told.st_size - 9 > whole.get(told.st_ino, 0):
                os.truncate(number, told.st_size - 9)
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patched = mock.patch.object(ndjson.os, "fsync", fails)
        self.patched.start()

    def refuse(self, document):
        """A document of a newer program: the form has no words for it."""
        return {k: v for k, v in document.items() if k.endswith("_id") or k == "revision"}

    def wait(self, seconds):
        assert 0 < seconds < 60

    def close(self):
        while self.held:
            self.held.pop().close()
        if self.patched is not None:
            self.patched.stop()
            self.patched = None
        if self.away.exists():
            self.path.unlink()
            self.away.rename(self.path)


def made(tmp_path, form, shown):
    numbers = iter(range(1000))

    def make():
        folder = Folder(tmp_path / str(next(numbers)) / "out", form)
        folder.path.parent.mkdir()
        return folder.sink(), folder

    return SinkCase(make=make, document=record, shown=shown)


def case(tmp_path):
    return made(tmp_path, JSON, lambda text: text)


def ecs_case(tmp_path):
    return made(tmp_path, ECS, visible)
