"""One outage under several ids: which advisories continue which.

EX1256020 was declared restored on 2026-04-01 and came back as EX1268771, whose first
post is of the next day and whose text starts on 2026-03-17.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline.match.score import client_overlap
from pipeline.match.times import clocks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.model.advisory import Advisory

_SAME_CLIENTS: Final = 0.9
# "Starts in the past": a first post comes hours after the start it names (EX1331830: the
# same morning); a continued outage starts days before.
_PAST: Final = timedelta(hours=24)
_AFTER_RESTORATION: Final = timedelta(days=14)


def continues(later: Advisory, earlier: Advisory) -> bool:
    """Whether ``later`` speaks of the outage of ``earlier`` again.

    It does if it was published after it, shares its services, symptom and clients, and
    either names it (or is named by it), or dates its own start at least a day back into
    the time of ``earlier``. Both are to be as known at one moment.
    """
    if later.advisory_id == earlier.advisory_id or later.is_false_positive:
        return False
    if later.first_published_at is None or earlier.first_published_at is None:
        return False
    if later.first_published_at <= earlier.first_published_at:
        return False
    linked = earlier.advisory_id in later.refers_to or later.advisory_id in earlier.refers_to
    return _same_fingerprint(later, earlier) if not linked else _related(later, earlier)


def _related(later: Advisory, earlier: Advisory) -> bool:
    return not (later.services and earlier.services) or bool(
        set(later.services) & set(earlier.services)
    )


def _same_fingerprint(later: Advisory, earlier: Advisory) -> bool:
    if not later.clients or later.symptom is not earlier.symptom:
        return False
    if later.services != earlier.services:
        return False
    both = (
        client_overlap(later.clients, earlier.client_weights),
        client_overlap(earlier.clients, later.client_weights),
    )
    if min(both) < _SAME_CLIENTS:
        return False
    new, old = clocks(later), clocks(earlier)
    published = later.first_published_at
    if new is None or old is None or published is None:
        return False
    return published - new.start >= _PAST and new.start <= old.end + _AFTER_RESTORATION


def later_ids(first: Advisory, known: Iterable[Advisory]) -> tuple[str, ...]:
    """Ids that continue ``first``, directly or through one another, by time of publication."""
    ordered = sorted(
        (a for a in known if a.first_published_at is not None),
        key=lambda a: (a.first_published_at, a.advisory_id),
    )
    chain = [first]
    for advisory in ordered:
        if any(continues(advisory, link) for link in chain):
            chain.append(advisory)
    return tuple(a.advisory_id for a in chain[1:])
