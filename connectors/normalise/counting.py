"""What the events of a table were: by source, and what no table of the project knew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from connectors.normalise.outcomes import codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from connectors.normalise.clients import Profile
    from connectors.normalise.columns import Context
    from connectors.normalise.tally import Tally


class _Kinds(Protocol):
    profiles: list[Profile]
    contexts: list[Context]


def count_rows(
    tally: Tally, kinds: _Kinds, profile: NDArray[np.int64], context: NDArray[np.int64]
) -> None:
    """Add a table's events to the tally.

    Args:
        tally: what is added to.
        kinds: what the numbers stand for.
        profile: int64, shape (rows,): number of the profile of each row.
        context: int64, shape (rows,): number of its context.
    """
    per_context = np.bincount(context, minlength=len(kinds.contexts))
    known = codes()
    for number in np.flatnonzero(per_context).tolist():
        kind, count = kinds.contexts[number], int(per_context[number])
        tally.records[kind.source] += count
        if kind.error_code is not None and kind.error_code not in known:
            tally.unknown_codes[kind.error_code] += count
    _count_unmatched(tally, kinds.profiles, kinds.contexts, profile, context)


def _count_unmatched(
    tally: Tally,
    profiles: Sequence[Profile],
    contexts: Sequence[Context],
    profile: NDArray[np.int64],
    context: NDArray[np.int64],
) -> None:
    strange = np.array([p.unmatched is not None for p in profiles], bool)
    chosen = np.flatnonzero(strange[profile])
    if not len(chosen):
        return
    pairs = profile[chosen] * len(contexts) + context[chosen]
    found, counts = np.unique(pairs, return_counts=True)
    for pair, count in zip(found.tolist(), counts.tolist(), strict=True):
        number, place = divmod(pair, len(contexts))
        text = profiles[number].unmatched or ""
        tally.unmatched_clients[contexts[place].source, text] += count
    tally.prune()
