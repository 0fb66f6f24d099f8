"""Documents on their way in requests: encoded once, packed within limits, settled part by part.

What a request may hold is the receiver's limit. The first trouble ends a portion: what was
settled before it is told at once, and the trouble itself when the rest is handed in again.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from connectors.sinks.encoders.encoder import key_of
from pipeline.model.contracts import Delivery
from pipeline.model.errors import ConfigError, FatalError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Key: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One document in the receiver's form.

    Attributes:
        key: (id, revision).
        body: what goes over the wire.
    """

    key: Key
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request.

    Attributes:
        accepted: keys that the receiver has.
        rejected: keys that it refuses for good.
        again: requests to make now, in this order, before those that follow.
        trouble: ends the portion.
    """

    accepted: Sequence[Key] = ()
    rejected: Sequence[Key] = ()
    again: Sequence[Sequence[Parcel]] = ()
    trouble: RetriableError | FatalError | None = None


def packed(
    documents: Sequence[Mapping[str, Any]], encode: Callable[[Mapping[str, Any]], bytes]
) -> tuple[list[Parcel], list[Key]]:
    """Each document once, in order; and the keys of those that the form has no words for.

    Args:
        documents: as they are handed over.
        encode: one document to bytes; KeyError, TypeError or ValueError for what it cannot say:
            a newer program wrote it.
    """
    parcels, unsaid = [], []
    for key, document in {key_of(d): d for d in documents}.items():
        try:
            parcels.append(Parcel(key, encode(document)))
        except (KeyError, TypeError, ValueError):
            unsaid.append(key)
    return parcels, unsaid


def parts(
    parcels: Iterable[Parcel], most_bytes: int, *, around: int = 0, apart: bool = False
) -> Iterator[list[Parcel]]:
    """Parcels in requests, the order within an id kept.

    Args:
        parcels: in order.
        most_bytes: of the bodies in one request; a parcel that is larger goes alone.
        around: bytes that each parcel costs besides its body.
        apart: no two parcels of one id in one request, for a receiver that may take one of them
            and not the other.
    """
    left = list(parcels)
    while left:
        part, later, size, put_off = list[Parcel](), list[Parcel](), 0, set[str]()
        for at, parcel in enumerate(left):
            if apart and parcel.key[0] in put_off:
                later.append(parcel)
                continue
            size += len(parcel.body) + around
            if part and size > most_bytes:
                later += left[at:]
                break
            part.append(parcel)
            if apart:
                put_off.add(parcel.key[0])
        left = later
        yield part


def halves(part: Sequence[Parcel]) -> Outcome:
    """A request that is too large, or holds what cannot be read: in halves; a single one is out."""
    if len(part) == 1:
        return Outcome(rejected=[part[0].key])
    middle = len(part) // 2
    return Outcome(again=[part[:middle], part[middle:]])


@contextmanager
def a_person_has_to_act() -> Iterator[None]:
    """A secret that cannot be read any more stops a destination, not the program.

    Raises:
        FatalError: in place of ConfigError.
    """
    try:
        yield
    except ConfigError as error:
        raise FatalError(str(error)) from error


def deliver(
    requests: Iterable[Sequence[Parcel]],
    send: Callable[[Sequence[Parcel]], Outcome],
    rejected: Sequence[Key] = (),
) -> Delivery:
    """Make the requests in order until all are settled or one is in trouble.

    Args:
        requests: parcels of each.
        send: makes one; what it raises is its trouble.
        rejected: keys that are settled without a request.

    Raises:
        RetriableError: nothing could be settled; the same documents come again.
        FatalError: nothing could be settled, and a person has to act.
    """
    accepted, refused = list[Key](), list(rejected)
    queue = deque(requests)
    while queue:
        try:
            with a_person_has_to_act():
                outcome = send(queue.popleft())
        except (RetriableError, FatalError) as error:
            outcome = Outcome(trouble=error)
        accepted += outcome.accepted
        refused += outcome.rejected
        queue.extendleft(reversed(outcome.again))
        if outcome.trouble is not None:
            if not accepted and not refused:
                raise outcome.trouble
            # Told first is what need not come again; the trouble is met again right after.
            wait = getattr(outcome.trouble, "retry_after", None)
            return Delivery(accepted, refused, retry_after=0.0 if wait is None else wait)
    return Delivery(accepted, refused)
