"""What an advisory said by a given moment: readings put together, and looking back.

An export made today holds today's title, status and start beside posts of weeks ago.
Judging by it what was known weeks ago would earn lead times by hindsight, so everything
here is rebuilt from the posts of the time and from versions that had been published.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pipeline.model.advisory import Advisory, Symptom
from pipeline.model.vocabulary import Client, Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from pipeline.model.advisory import Post, Reading

# Below one half a client is a possible meaning of the wording and not named by it.
NAMED_WEIGHT: Final = 0.5

USER_CLIENTS: Final = frozenset(Client) - {Client.SYSTEM, Client.OTHER, Client.OUTLOOK_MAC}

# Services that are reached through one client of their own.
OWN_CLIENT: Final[dict[Service, Client]] = {
    Service.TEAMS: Client.TEAMS,
    Service.COPILOT: Client.COPILOT,
    Service.OFFICE_WEB: Client.OFFICE_WEB,
}

RESTORED_STATUSES: Final = frozenset(
    {"servicerestored", "postincidentreviewpublished", "resolved", "resolvedexternal"}
)


def is_restored_status(status: str) -> bool:
    """Whether a ``status`` declares the impact over, in whatever case it is written.

    >>> is_restored_status("ServiceRestored"), is_restored_status("serviceDegradation")
    (True, False)
    """
    return status.casefold() in RESTORED_STATUSES


def assemble(advisory: Advisory) -> Advisory:
    """Fill everything that is read from text, from ``stated``, the posts and the status."""
    readings = [advisory.stated, *(p.reading for p in advisory.posts)]
    weights = _weights(r.clients for r in readings)
    if not weights and not _all_clients(readings):
        weights = _weights(r.cause_clients for r in readings)
    services = _union([advisory.service_hint, *(r.services for r in readings)])
    # Teams beside Exchange, and no client named, does not say that Teams alone is affected.
    if weights or all(s in OWN_CLIENT for s in services):
        weights |= {OWN_CLIENT[s]: 1.0 for s in services if s in OWN_CLIENT}
    named = tuple(sorted(c for c, w in weights.items() if w >= NAMED_WEIGHT))
    first = min((p.created_at for p in advisory.posts), default=None)
    starts = [r.start_at for r in readings if r.start_at is not None]
    return replace(
        advisory,
        services=tuple(sorted(services)),
        clients=named,
        client_weights=dict(sorted(weights.items())),
        all_clients=_all_clients(readings),
        excluded_clients=_excluded(readings, weights),
        protocols=tuple(sorted(_union(r.protocols for r in readings))),
        regions=tuple(sorted(_union(r.regions for r in readings))),
        symptom=_symptom(readings),
        is_false_positive=advisory.status.casefold() == "falsepositive"
        or (bool(advisory.posts) and advisory.posts[-1].reading.false_alarm),
        text_start_at=min(starts, default=None),
        first_published_at=first,
        restored_at=_restored_at(advisory),
        refers_to=tuple(sorted(_union(r.refers_to for r in readings) - {advisory.advisory_id})),
    )


def moments(advisory: Advisory) -> tuple[datetime, ...]:
    """The moments at which this version or one of its posts became public, in order."""
    times = {p.created_at for p in advisory.posts}
    if advisory.last_modified_at is not None:
        times.add(advisory.last_modified_at)
    return tuple(sorted(times))


def as_of(advisory: Advisory, moment: datetime) -> Advisory | None:
    """The advisory as it stood at ``moment``, from this one version; None before its first post.

    From the version's own time of modification on it is the version itself. Before, the
    title and the impact are those of the posts, the status is derived from them
    (``serviceDegradation``, ``serviceRestored`` or ``falsePositive``) and the API's start
    and end are unknown. Only id, service, feature, origin and classification are taken
    from the version: they are set when an advisory is created.
    """
    return known_at((advisory,), moment)


def known_at(versions: Sequence[Advisory], moment: datetime) -> Advisory | None:
    """The advisory as it stood at ``moment``, from all its versions in any order.

    The newest version published by then gives the API's fields; versions published later
    give only their posts up to ``moment``.
    """
    ordered = sorted(versions, key=_version_time)
    published = [v for v in ordered if _published_by(v, moment)]
    posts = _posts_up_to(ordered, published[-1] if published else None, moment)
    if published:
        base = published[-1]
        known = base if posts == base.posts else assemble(replace(base, posts=posts))
        return _with_first_restoration(known, published)
    return _from_posts(ordered[0], posts) if posts else None


def _with_first_restoration(known: Advisory, published: Sequence[Advisory]) -> Advisory:
    """A later edit does not move the moment at which a status declared the restoration."""
    declared = [v.restored_at for v in published if v.restored_at is not None]
    if known.restored_at is None or not declared or min(declared) >= known.restored_at:
        return known
    return replace(known, restored_at=min(declared))


def _version_time(version: Advisory) -> tuple[bool, datetime | None]:
    if version.last_modified_at is not None:
        return (True, version.last_modified_at)
    last = max((p.created_at for p in version.posts), default=None)
    return (last is not None, last)


def _published_by(version: Advisory, moment: datetime) -> bool:
    last = _version_time(version)[1]
    return last is not None and last <= moment


def _posts_up_to(
    ordered: Sequence[Advisory], base: Advisory | None, moment: datetime
) -> tuple[Post, ...]:
    """Posts public by then: the base version's own text where it holds the post."""
    found: dict[datetime, list[Post]] = {}
    if base is not None:
        for post in base.posts:
            found.setdefault(post.created_at, []).append(post)
    since = _version_time(base)[1] if base is not None else None
    # The earliest later version is nearest to what could be read then: posts are edited.
    for version in ordered:
        fresh: dict[datetime, list[Post]] = {}
        for post in version.posts:
            late = since is None or post.created_at > since
            if late and post.created_at <= moment and post.created_at not in found:
                fresh.setdefault(post.created_at, []).append(post)
        found.update(fresh)
    return tuple(p for t in sorted(found) for p in found[t])


def _from_posts(version: Advisory, posts: tuple[Post, ...]) -> Advisory:
    last = posts[-1].reading
    restored = any(p.reading.restored for p in posts)
    status = "serviceRestored" if restored else "serviceDegradation"
    if last.false_alarm:
        status = "falsePositive"
    empty = type(version.stated)()
    bare = replace(
        version,
        title=next((p.reading.title for p in reversed(posts) if p.reading.title), ""),
        impact_description=next(
            (p.reading.impact for p in reversed(posts) if p.reading.impact), ""
        ),
        status=status,
        is_resolved=restored,
        posts=posts,
        stated=empty,
        start_at=None,
        end_at=None,
        last_modified_at=posts[-1].created_at,
        first_seen_at=None,
    )
    return assemble(bare)


def _weights(parts: Iterable[dict[Client, float]]) -> dict[Client, float]:
    weights: dict[Client, float] = {}
    for part in parts:
        for client, weight in part.items():
            weights[client] = max(weight, weights.get(client, 0.0))
    return weights


def _union(parts: Iterable[Iterable[str]]) -> set:  # type: ignore[type-arg] # str or an enum of str
    return {item for part in parts for item in part}


def _all_clients(readings: Sequence[Reading]) -> bool:
    """A later text that says "others were not impacted" takes an earlier "any method" back."""
    everything = False
    for reading in readings:
        if reading.all_clients:
            everything = True
        elif reading.others_excluded:
            everything = False
    return everything


def _excluded(readings: Sequence[Reading], weights: dict[Client, float]) -> tuple[Client, ...]:
    excluded = {c for r in readings for c in r.excluded_clients}
    if weights and any(r.others_excluded for r in readings) and not _all_clients(readings):
        excluded |= USER_CLIENTS
    # Affected wins: "Outlook desktop users can use Outlook on the web" clears nobody.
    return tuple(sorted(c for c in excluded if c not in weights))


def _symptom(readings: Sequence[Reading]) -> Symptom:
    """The title and impact of the version speak first, then the newest post that tells."""
    for reading in (readings[0], *reversed(readings[1:])):
        if reading.symptom is not Symptom.UNKNOWN:
            return reading.symptom
    return Symptom.UNKNOWN


def _restored_at(advisory: Advisory) -> datetime | None:
    declared = [p.created_at for p in advisory.posts if p.reading.restored]
    if declared:
        return min(declared)
    if is_restored_status(advisory.status):
        return advisory.last_modified_at
    return None
