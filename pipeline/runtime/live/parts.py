"""The state of a tenant in its two parts, and what one judgement adds to what was told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from detectors.issued import IssuedFlags
from pipeline.correlate.issued import IssuedIncidents
from pipeline.correlate.stopped import StoppedFeeds
from pipeline.match.state import MatchState
from pipeline.model.feed import FeedState
from pipeline.runtime.judging import Judging

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.model.advisory import Advisory
    from pipeline.model.feed import FeedNotice
    from pipeline.model.flag import Flag
    from pipeline.model.incident import Incident
    from pipeline.model.vocabulary import Source
    from pipeline.runtime.judging import Judged
    from pipeline.runtime.live.pieces import Piece


@dataclass(slots=True)
class Truth:
    """Revisions in order, as the stages gave them."""

    flags: list[Flag] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)

    def add(self, judged: Judged) -> None:
        """Append what a block gave."""
        self.flags += judged.flags
        self.incidents += judged.incidents


@dataclass(slots=True)
class GroundPart:
    """What the records alone decide.

    Attributes:
        ground: judged up to ``closed_to``, the start of a UTC day.
        closed_to: None until the first day is closed.
        truth: what the ground gave and may still be compared with.
        tail: records since, of one tenant.
        clock: newest moment any record speaks of.
        advisories: those not handed to the matching yet.
        too_old, too_new: records that no day could take any more, or yet.
        name: of the tenant, once a feed of it has told how it does.
        feeds: the newest notice of each feed.
    """

    ground: Judging = field(default_factory=Judging)
    closed_to: datetime | None = None
    truth: Truth = field(default_factory=Truth)
    tail: list[Piece] = field(default_factory=list)
    clock: datetime | None = None
    advisories: list[Advisory] = field(default_factory=list)
    too_old: int = 0
    too_new: int = 0
    name: str = ""
    feeds: dict[str, FeedNotice] = field(default_factory=dict)

    def reached(self) -> dict[Source, datetime]:
        """Of sources whose feed is behind or fails, how far it came."""
        reached: dict[Source, datetime] = {}
        for notice in self.feeds.values():
            if notice.state is not FeedState.WORKING:
                for source in notice.sources:
                    reached[source] = min(notice.complete_to, reached.get(source, notice.at))
        return reached


@dataclass(slots=True)
class IssuedPart:
    """What has been told, and by when.

    ``judged_to`` is the clock of the last judgement.
    """

    flags: IssuedFlags = field(default_factory=IssuedFlags)
    incidents: IssuedIncidents = field(default_factory=IssuedIncidents)
    matched: MatchState = field(default_factory=MatchState)
    judged_to: datetime | None = None
    stopped: StoppedFeeds = field(default_factory=StoppedFeeds)


@dataclass(frozen=True, slots=True)
class Issue:
    """What one judgement adds: revisions to tell, in order."""

    flags: tuple[Flag, ...] = ()
    incidents: tuple[Incident, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.flags or self.incidents)
