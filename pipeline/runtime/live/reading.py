"""Sources and feeds read into messages, the same for the embedded loop and for a collector.

Nothing here is durable: the caller hands the cursors in, makes a harvest durable with the
cursors it came with, and only then says so (:meth:`Reading.keep`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.runtime.live.messages import Kind, Message, event_messages, pack_advisories
from pipeline.runtime.live.rejects import letter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from pipeline.model.advisory import Advisory
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import AdvisoryFeed, Poll, Source
    from pipeline.model.dead_letter import DeadLetter
    from pipeline.runtime.live.feeds import Feeds

_MINUTE: Final = timedelta(minutes=1)


@dataclass(slots=True)
class Harvest:
    """What one round brought, not durable yet.

    Attributes:
        messages: in the order in which they are to be taken.
        cursors: by source or feed, where to read on after this.
        letters: records that could not be used.
        advisories: new versions, for whoever keeps them.
        finished: sources that are at their end.
        caught_up: whether no source had more to give at once.
    """

    messages: list[Message] = field(default_factory=list)
    cursors: dict[str, dict[str, Any]] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)
    advisories: list[Advisory] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    caught_up: bool = True

    @property
    def tenants(self) -> set[str]:
        """Tenants that a message is for."""
        return {m.tenant for m in self.messages}

    def advise(self, tenants: Sequence[str], advisories: Sequence[Advisory]) -> None:
        """Have tenants take in new versions of advisories."""
        if advisories:
            body = pack_advisories(advisories)
            self.messages += [Message(t, Kind.ADVISORIES, body=body) for t in tenants]

    @property
    def brought(self) -> bool:
        """Whether there is anything but the time."""
        return any(m.kind is not Kind.CLOCK for m in self.messages) or bool(self.letters)


class Reading:
    """Reads every source and feed once a round.

    Args:
        sources: by name, the name being the key of the cursor; these are waited for.
        feeds: of advisories, by name.
        unnamed: gives the tenant of records and advisories that name none.
        clock: tells when records were read, if their source does not.
        live: sources and feeds that are not waited for.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        feeds: Mapping[str, AdvisoryFeed],
        *,
        unnamed: Callable[[], str],
        clock: Clock,
        live: Feeds | None = None,
    ) -> None:
        self._sources, self._feeds, self._live = dict(sources), dict(feeds), live
        self._unnamed, self._clock = unnamed, clock
        self._ended: set[str] = set()
        self._told: dict[str, datetime] = {}
        self._heard: dict[str, set[str]] = {}

    @property
    def finished(self) -> bool:
        """Whether every source is bounded and at its end."""
        return not self._is_live and self._ended == set(self._sources)

    @property
    def problem(self) -> str | None:
        """What is wrong with live sources, None if all work."""
        return None if self._live is None else self._live.problem

    @property
    def _is_live(self) -> bool:
        return self._live is not None and self._live.any

    def read(
        self, cursor: Callable[[str], dict[str, Any] | None], tenants: Collection[str]
    ) -> Harvest:
        """Read the next portion of everything.

        Args:
            cursor: gives the place to read a source or feed on.
            tenants: those known so far.

        Raises:
            RetriableError: nothing was read; call again with the same cursors.
            FatalError: a person has to act.
        """
        harvest = Harvest()
        for name, source in self._sources.items():
            if name in self._ended:
                continue
            poll = source.poll(cursor(name))
            harvest.cursors[name] = dict(poll.cursor)
            harvest.letters += [letter(r, self._clock.now()) for r in poll.rejects]
            harvest.messages += self._messages(name, poll, harvest.tenants, tenants)
            harvest.caught_up &= poll.finished or not poll.batches
            if poll.finished:
                harvest.finished.add(name)
        known = sorted({*tenants, *harvest.tenants})
        for name, feed in self._feeds.items():
            self._ask(name, feed, cursor(name), harvest, known, tenants)
        if self._live is not None:
            self._live.read(harvest, cursor, tenants)
        if (
            self._sources
            and not self._is_live
            and self._ended | harvest.finished == set(self._sources)
        ):
            harvest.messages += [Message(t, Kind.FINISH) for t in known]
        return harvest

    def keep(self, harvest: Harvest) -> None:
        """Take notice that a harvest is durable."""
        self._ended |= harvest.finished
        if self._live is not None:
            self._live.keep()
        for message in harvest.messages:
            if message.read_at is not None:
                self._told[message.tenant] = message.read_at

    def _messages(
        self, source: str, poll: Poll, told: Collection[str], tenants: Collection[str]
    ) -> list[Message]:
        read_at = poll.read_at or self._clock.now()
        found = event_messages(poll.batches, self._unnamed(), read_at)
        heard = self._heard.setdefault(source, set())
        heard |= {m.tenant for m in found}
        if not poll.finished:
            # A replay tells the time of its own records: those of another source may be at
            # another day. Who reads the present tells everybody.
            live = poll.read_at is None and not found
            quiet = ({*tenants, *heard} if live else heard) - {m.tenant for m in found} - set(told)
            found += [
                Message(tenant, Kind.CLOCK, read_at)
                for tenant in sorted(quiet)
                if self._is_news(tenant, read_at, present=poll.read_at is None)
            ]
        return found

    def _is_news(self, tenant: str, now: datetime, *, present: bool) -> bool:
        """Whether a tenant should hear the time; a clock that was set back must not stop it.

        A replay's time is before another's for days, and no news for that.
        """
        told = self._told.get(tenant)
        return told is None or now - told >= _MINUTE or (present and now < told)

    def _ask(
        self,
        name: str,
        feed: AdvisoryFeed,
        cursor: dict[str, Any] | None,
        harvest: Harvest,
        known: list[str],
        tenants: Collection[str],
    ) -> None:
        """New versions of advisories for everybody; all of them for who has just come."""
        if not known:
            return
        found = feed.changed_since(cursor)
        harvest.cursors[name] = dict(found.cursor)
        if cursor is None:
            harvest.letters += [letter(r, self._clock.now()) for r in found.rejects]
        harvest.advisories += found.advisories
        fresh = [t for t in known if t not in tenants]
        harvest.advise([t for t in known if t in tenants], found.advisories)
        if fresh:
            harvest.advise(fresh, feed.changed_since(None).advisories)
