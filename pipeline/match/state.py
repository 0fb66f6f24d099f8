"""What the match stage remembers between two calls, and how it is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 # read back at run time by documents.from_json
from typing import TYPE_CHECKING, Any, Final

from pipeline.match.recurrence import Past
from pipeline.model.advisory import Advisory
from pipeline.model.clock import parse_rfc3339, rfc3339
from pipeline.model.documents import from_json, to_json
from pipeline.model.errors import StateError
from pipeline.model.incident import AdvisoryMatch, Incident
from pipeline.model.knowledge import known_at

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE_VERSION: Final = "outrider.match-state/1"


@dataclass(frozen=True, slots=True)
class Tracked:
    """One incident that an advisory may still be published for.

    Attributes:
        upstream: the last revision handed in, as it was.
        published: the last revision given out, numbered and matched.
        matches: every match of at least the threshold, ordered by advisory id.
        signature: what about the match was told; a change is worth a revision.
    """

    upstream: Incident
    published: Incident
    matches: tuple[AdvisoryMatch, ...]
    signature: str


@dataclass(frozen=True, slots=True)
class MatchState:
    """Everything between two calls of ``advance``; immutable, picklable, JSON by ``snapshot``.

    Attributes:
        clock: the moment up to which everything has been taken in; null = nothing yet.
        versions: by advisory id, all its versions.
        agenda: (moment, advisory id) of what is still to become public, in order.
        pending: revisions handed in early, in order of publication.
        tracked: by incident id. history: incidents that are no longer tracked.
        known: by advisory id, as known at ``clock``; rebuilt from ``versions``.
    """

    clock: datetime | None = None
    versions: Mapping[str, tuple[Advisory, ...]] = field(default_factory=dict)
    agenda: tuple[tuple[datetime, str], ...] = ()
    pending: tuple[Incident, ...] = ()
    tracked: Mapping[str, Tracked] = field(default_factory=dict)
    history: tuple[Past, ...] = ()
    known: Mapping[str, Advisory] = field(default_factory=dict)

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain JSON values."""
        return {
            "schema": STATE_VERSION,
            "clock": None if self.clock is None else rfc3339(self.clock),
            "versions": [to_json(v) for id_ in sorted(self.versions) for v in self.versions[id_]],
            "agenda": [[rfc3339(moment), id_] for moment, id_ in self.agenda],
            "pending": to_json(self.pending),
            "tracked": [to_json(self.tracked[id_]) for id_ in self.tracked],
            "history": to_json(self.history),
        }

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> MatchState:
        """Take over what :meth:`snapshot` gave.

        Raises:
            StateError: the snapshot is of another version or damaged.
        """
        if data.get("schema") != STATE_VERSION:
            raise StateError(
                f"match state: want {STATE_VERSION}; remove the stored state to start afresh"
            )
        try:
            return _read(data)
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(
                f"match state is damaged ({type(error).__name__}); remove it to start afresh"
            ) from error


def _read(data: Mapping[str, Any]) -> MatchState:
    clock = None if data["clock"] is None else parse_rfc3339(data["clock"])
    versions: dict[str, tuple[Advisory, ...]] = {}
    for item in data["versions"]:
        version = from_json(Advisory, item)
        versions[version.advisory_id] = (*versions.get(version.advisory_id, ()), version)
    tracked = [from_json(Tracked, item) for item in data["tracked"]]
    known = {}
    for id_, group in versions.items():
        advisory = None if clock is None else known_at(group, clock)
        if advisory is not None:
            known[id_] = advisory
    return MatchState(
        clock=clock,
        versions=versions,
        agenda=tuple((parse_rfc3339(moment), id_) for moment, id_ in data["agenda"]),
        pending=tuple(from_json(Incident, item) for item in data["pending"]),
        tracked={t.upstream.incident_id: t for t in tracked},
        history=tuple(from_json(Past, item) for item in data["history"]),
        known=known,
    )
