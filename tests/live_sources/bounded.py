"""A live source for the checks of all sources: finished when a poll brings nothing more."""

from __future__ import annotations

from dataclasses import replace


class UntilQuiet:
    """Polls ``source``; nothing else is changed."""

    def __init__(self, source):
        self.source = source

    def poll(self, cursor):
        poll = self.source.poll(cursor)
        return replace(poll, finished=not poll.received)


class UntilAtRest:
    """Polls ``source``, which may bring nothing for a while: finished when its cursor stays."""

    def __init__(self, source):
        self.source = source

    def poll(self, cursor):
        poll = self.source.poll(cursor)
        return replace(poll, finished=poll.cursor == cursor)
