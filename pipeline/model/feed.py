"""What a reader of live logs says of itself: whether it works, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta  # noqa: TC003 # read back at run time by from_json
from enum import StrEnum
from typing import ClassVar

from pipeline.model.vocabulary import Source  # noqa: TC001 # read back at run time


class FeedState(StrEnum):
    """How a feed does."""

    WORKING = "working"  # everything up to now was asked for
    BEHIND = "behind"  # it works, and has more to read than it should
    FAILING = "failing"  # it brings nothing
    SILENT = "silent"  # it works, and nothing comes that should


@dataclass(frozen=True, slots=True)
class FeedNotice:
    """The state of one feed of one tenant.

    Attributes:
        feed: its name, such as ``graph_signins``.
        sources: the logs that it brings; empty for one of advisories.
        state: how it does.
        at: when that was so.
        complete_to: nothing that it could have told before this moment is still to come.
        since: when it was last otherwise.
        alarm_seconds: so long behind, and somebody has to know.
        problem: what is wrong and what to do, one sentence; empty if it works.
    """

    SCHEMA: ClassVar[str] = "outrider.feed/1"

    feed: str
    sources: tuple[Source, ...]
    state: FeedState
    at: datetime
    complete_to: datetime
    since: datetime
    alarm_seconds: int
    problem: str = ""

    @property
    def late(self) -> timedelta:
        """How far it is behind."""
        return self.at - self.complete_to
