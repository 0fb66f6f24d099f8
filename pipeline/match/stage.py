"""The stage: incident revisions and advisory posts in time order, final revisions out.

Whatever was published by a moment and nothing later decides what is said at that moment,
so a backfill in one call and a stream in a thousand give the same revisions.
"""

from __future__ import annotations

import heapq
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline.match.recurrence import past_of, recurrence_of
from pipeline.match.relist import later_ids
from pipeline.match.score import score
from pipeline.match.state import MatchState, Tracked
from pipeline.model.incident import IncidentState, RevisionReason
from pipeline.model.knowledge import known_at, moments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pipeline.match.recurrence import Past
    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import AdvisoryMatch, Incident

TRACK: Final = timedelta(days=14)
"""How long after its resolution an incident is still matched: EX1331830 was acknowledged the
same day, the slowest relisting known (EX1268771) came 12 days after EX1256020."""

_HISTORY: Final = timedelta(days=60)  # recurrence looks back 30 days from an onset
_ADVISORIES: Final = timedelta(days=90)  # an advisory without a word for 30 days is stale
_INCUMBENT: Final = 0.05  # a match is replaced only by a clearly better one: no flapping
_GROUP: Final = 10  # advisories shown beside one incident


def advance(
    state: MatchState,
    until: datetime,
    incidents: Sequence[Incident],
    advisories: Sequence[Advisory] = (),
) -> tuple[MatchState, tuple[Incident, ...]]:
    """Take everything in that was published up to ``until``; pure.

    Args:
        state: of the last call; ``MatchState()`` at first.
        until: the moment up to which ``incidents`` is complete; never goes back.
        incidents: new revisions. Those published after ``until`` are kept for later calls.
        advisories: new versions, all their posts included; posts of the future wait.

    Returns:
        The new state, and the final revisions in order of publication: each incoming one
        with its matches, and one more (``matched``, ``advisory_changed``) wherever a post
        or a version made a match appear, change, be declared restored, move to another id
        or go. ``revision`` counts 1, 2, 3 by incident in this order. A revision handed in
        twice in a row is given out once. Advisories that come in after they were
        published take effect at the clock.
    """
    run = _Run(state)
    run.ingest(advisories)
    pending = sorted([*state.pending, *incidents], key=lambda i: i.published_at)
    due = [i for i in pending if i.published_at <= until]
    for incident in due:
        run.publish_up_to(incident.published_at)
        run.take(incident)
    run.publish_up_to(until)
    return run.finish(until, tuple(pending[len(due) :])), tuple(run.out)


def drain(
    state: MatchState, until: datetime | None = None
) -> tuple[MatchState, tuple[Incident, ...]]:
    """At the end of a bounded run: give out the revisions that were handed in early.

    Args:
        state: after the last ``advance``.
        until: how far posts are still followed; by default up to the last such revision,
            so that nothing published after the data decides about the data.
    """
    last = [i.published_at for i in state.pending]
    if state.clock is not None:
        last.append(state.clock)
    if until is not None:
        last.append(until)
    return advance(state, max(last), ()) if last else (state, ())


class _Run:
    """One call's working copy of the state."""

    def __init__(self, state: MatchState) -> None:
        self._clock = state.clock
        self._versions = dict(state.versions)
        self._agenda = list(state.agenda)
        self._tracked = dict(state.tracked)
        self._history = list(state.history)
        self._known = dict(state.known)
        self.out: list[Incident] = []

    def ingest(self, advisories: Sequence[Advisory]) -> None:
        entries: set[tuple[datetime, str]] = set()
        for version in advisories:
            id_ = version.advisory_id
            held = self._versions.get(id_, ())
            if version in held:
                continue
            self._versions[id_] = (*held, version)
            for moment in moments(version):
                at = moment if self._clock is None else max(moment, self._clock)
                entries.add((at, id_))
        # A sorted list is a heap, and stays one by pushing.
        for entry in sorted(entries - set(self._agenda)):
            heapq.heappush(self._agenda, entry)

    def publish_up_to(self, moment: datetime) -> None:
        while self._agenda and self._agenda[0][0] <= moment:
            at, id_ = heapq.heappop(self._agenda)
            advisory = known_at(self._versions[id_], at)
            if advisory is not None and advisory != self._known.get(id_):
                self._known[id_] = advisory
                self._announce(advisory, at)

    def _announce(self, advisory: Advisory, at: datetime) -> None:
        for _, tracked in sorted(self._tracked.items()):
            if _expired(tracked, at):
                continue
            now = replace(tracked.upstream, published_at=at)
            held = {m.advisory_id: m for m in tracked.matches}
            before = held.pop(advisory.advisory_id, None)
            match = score(now, advisory)
            if match is not None:
                held[advisory.advisory_id] = match
            if not held and before is None:
                continue
            self._republish(tracked, held, at)

    def _republish(self, tracked: Tracked, held: dict[str, AdvisoryMatch], at: datetime) -> None:
        old = tracked.published.advisory
        incumbent = old.advisory_id if old is not None else ""
        best, others = self._choose(held, incumbent)
        signature = self._signature(best, others)
        matches = tuple(held[k] for k in sorted(held))
        published = tracked.published
        if signature != tracked.signature:
            appeared = best is not None and best.advisory_id != incumbent
            published = replace(
                published,
                revision=published.revision + 1,
                reason=RevisionReason.MATCHED if appeared else RevisionReason.ADVISORY_CHANGED,
                published_at=at,
                advisory=best,
                other_advisories=others,
            )
            self.out.append(published)
        self._tracked[published.incident_id] = Tracked(
            tracked.upstream, published, matches, signature
        )

    def take(self, incident: Incident) -> None:
        id_ = incident.incident_id
        tracked = self._tracked.get(id_)
        if tracked is not None and tracked.upstream == incident:
            return
        at = incident.published_at
        late = self._clock is not None and at < self._clock
        known = self._known_then(at) if late else self._known
        held = {
            m.advisory_id: m
            for m in (score(incident, known[k]) for k in sorted(known))
            if m is not None
        }
        incumbent = ""
        if tracked is not None and not _expired(tracked, at) and tracked.published.advisory:
            incumbent = tracked.published.advisory.advisory_id
        best, others = self._choose(held, incumbent, known)
        published = replace(
            incident,
            revision=self._last_revision(id_) + 1,
            advisory=best,
            other_advisories=others,
            recurrence_of=recurrence_of(incident, self._resolved()),
        )
        self.out.append(published)
        matches = tuple(held[k] for k in sorted(held))
        entry = Tracked(incident, published, matches, self._signature(best, others, known))
        self._tracked[id_] = entry
        if late and self._clock is not None:
            # What was published between that moment and the clock is made up for.
            now = replace(incident, published_at=self._clock)
            scored = (score(now, self._known[k]) for k in sorted(self._known))
            self._republish(entry, {m.advisory_id: m for m in scored if m}, self._clock)

    def _known_then(self, at: datetime) -> dict[str, Advisory]:
        then = ((k, known_at(v, at)) for k, v in self._versions.items())
        return {k: a for k, a in then if a is not None}

    def _choose(
        self,
        held: dict[str, AdvisoryMatch],
        incumbent: str,
        known: dict[str, Advisory] | None = None,
    ) -> tuple[AdvisoryMatch | None, tuple[AdvisoryMatch, ...]]:
        """The best match with what continues it, and the others by score."""
        if not held:
            return None, ()
        known = self._known if known is None else known
        ranked = sorted(held.values(), key=lambda m: (-m.score, m.advisory_id))
        later = {k: later_ids(known[k], known.values()) for k in held}
        # What continues another match stands behind it: the first listing is whose lead counts.
        behind = {id_ for ids in later.values() for id_ in ids}
        leading = [m for m in ranked if m.advisory_id not in behind] or ranked
        best = leading[0]
        for match in leading:
            if match.advisory_id == incumbent and match.score + _INCUMBENT >= best.score:
                best = match
        others = tuple(m for m in ranked if m.advisory_id != best.advisory_id)
        return replace(best, relisted_as=later[best.advisory_id]), others[: _GROUP - 1]

    def _signature(
        self,
        best: AdvisoryMatch | None,
        others: tuple[AdvisoryMatch, ...],
        known: dict[str, Advisory] | None = None,
    ) -> str:
        if best is None:
            return ""
        restored = (self._known if known is None else known)[best.advisory_id].restored_at
        return json.dumps(
            [
                best.advisory_id,
                best.start_used,
                best.lead_seconds_start,
                best.relisted_as,
                None if restored is None else restored.isoformat(),
                sorted(m.advisory_id for m in others),
            ]
        )

    def _last_revision(self, incident_id: str) -> int:
        tracked = self._tracked.get(incident_id)
        if tracked is not None:
            return tracked.published.revision
        return max((p.revision for p in self._history if p.incident_id == incident_id), default=0)

    def _resolved(self) -> list[Past]:
        current = (t.published for t in self._tracked.values())
        return [
            *self._history,
            *(past_of(i, i.resolved_at) for i in current if i.resolved_at is not None),
        ]

    def finish(self, until: datetime, pending: tuple[Incident, ...]) -> MatchState:
        """Drop what can no longer matter and close the books at ``until``."""
        clock = until if self._clock is None else max(until, self._clock)
        for id_, tracked in list(self._tracked.items()):
            if not _expired(tracked, clock):
                continue
            ended = tracked.upstream.resolved_at
            if ended is not None:
                self._history.append(past_of(tracked.published, ended))
            del self._tracked[id_]
        history = tuple(
            p
            for p in self._history
            if clock - p.resolved_at <= _HISTORY and p.incident_id not in self._tracked
        )
        needed = {m.advisory_id for t in self._tracked.values() for m in t.matches}
        awaited = {id_ for _, id_ in self._agenda}
        for id_, versions in list(self._versions.items()):
            last = max((m for v in versions for m in moments(v)), default=None)
            stale = last is None or clock - last > _ADVISORIES
            if stale and id_ not in needed and id_ not in awaited:
                del self._versions[id_]
                self._known.pop(id_, None)
        return MatchState(
            clock=clock,
            versions=self._versions,
            agenda=tuple(sorted(self._agenda)),
            pending=pending,
            tracked=self._tracked,
            history=history,
            known=self._known,
        )


def _expired(tracked: Tracked, at: datetime) -> bool:
    last = tracked.upstream
    retracted = last.state is IncidentState.RETRACTED
    ended = last.published_at if retracted else last.resolved_at
    return ended is not None and at - ended > TRACK
