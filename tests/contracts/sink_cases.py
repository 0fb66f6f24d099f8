"""A sink under test: its receiver, the troubles of that, and a caller that hands documents over.

A case is easily added: a receiver that remembers what it took and can be put into trouble (see
:class:`Receiver`), and a :class:`SinkCase` that makes a sink towards it. A check that needs a
trouble which a destination cannot have, such as a refusal of a topic, is not run on its case.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.encoders.text import visible
from pipeline.model.errors import RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pipeline.model.contracts import Sink

    Key = tuple[str, int]
    Document = Mapping[str, Any]

# Troubles of a receiver.
DOWN: Final = "down"
"""It does not answer at all, and takes nothing."""
BUSY: Final = "busy"
"""It answers that it wants this later, and takes nothing."""
CUT: Final = "cut"
"""It takes what comes, and its answer is lost: nobody can know."""
DENIED: Final = "denied"
"""It does not know the credential, or may not be written to; a person has to act."""
REFUSE: Final = "refuse"
"""It can refuse one document for good."""
EVERYTHING: Final = frozenset({DOWN, BUSY, CUT, DENIED, REFUSE})

_MOST_ROUNDS: Final = 60


class Receiver(Protocol):
    """The other side of a sink."""

    def sink(self) -> Sink:
        """A new sink towards it, as after a restart."""
        ...

    def accepted(self) -> list[Key]:
        """Keys of what arrived, as it can recognise them, in order, repetitions included."""
        ...

    def text(self, key: Key) -> str:
        """The text (:attr:`SinkCase.document`) that arrived with this key, unescaped."""
        ...

    def fail(self, kind: str | None, after: int = 0) -> None:
        """Have this trouble from now on, ``after`` so many more requests; None = be well."""
        ...

    def refuse(self, document: Document) -> Document:
        """Have a document refused for good; gives it as it is to be handed over."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass, as the caller of sinks does between two calls."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass(frozen=True)
class SinkCase:
    """A destination.

    Attributes:
        make: a sink and its receiver, new and empty each time.
        document: (id, revision, text) to a document as this kind of sink takes it.
        can: troubles that the receiver can have.
        secrets: tokens, passwords and addresses that must show nowhere.
        shown: what the destination makes of text before it is cut.

    Let the sink send a few documents in a request only, so that trouble can come in between.
    """

    make: Callable[[], tuple[Sink, Receiver]]
    document: Callable[[str, int, str], Document]
    can: frozenset[str] = EVERYTHING
    secrets: tuple[str, ...] = ()
    shown: Callable[[str], str] = visible


def needs(*kinds: str) -> Callable[[Callable[[SinkCase], None]], Callable[[SinkCase], None]]:
    """Tell which troubles a check needs."""

    def mark(check: Callable[[SinkCase], None]) -> Callable[[SinkCase], None]:
        check.needs = frozenset(kinds)  # type: ignore[attr-defined] # functions have no such field
        return check

    return mark


@dataclass
class Played:
    """What came of handing documents over until all were settled."""

    accepted: list[Key] = field(default_factory=list)
    rejected: list[Key] = field(default_factory=list)
    problems: list[RetriableError] = field(default_factory=list)
    put_off: int = 0


@contextmanager
def ready(case: SinkCase) -> Iterator[tuple[Sink, Receiver]]:
    sink, receiver = case.make()
    try:
        yield sink, receiver
    finally:
        receiver.close()


def documents(case: SinkCase, ids: int = 4, revisions: int = 3) -> list[Document]:
    """Revisions of several ids, mixed as they come: all first ones, then all second ones."""
    names = [f"{'flag' if n % 2 else 'inc'}-{n}" for n in range(ids)]
    return [
        case.document(name, revision, f"{name} is worse, {revision}")
        for revision in range(1, revisions + 1)
        for name in names
    ]


def play(
    sink: Sink, receiver: Receiver, wanted: Sequence[Document], rounds: int = _MOST_ROUNDS
) -> Played:
    """Hand over in order, and again what is not settled, as the caller of sinks does."""
    played, left = Played(), list(wanted)
    for _ in range(rounds):
        if not left:
            break
        try:
            done = sink.deliver(left)
        except RetriableError as error:
            played.problems.append(error)
            receiver.wait(30.0 if error.retry_after is None else error.retry_after)
            continue
        played.accepted += done.accepted
        played.rejected += done.rejected
        settled = {*done.accepted, *done.rejected}
        left = [document for document in left if key_of(document) not in settled]
        if done.retry_after is not None:
            played.put_off += 1
            receiver.wait(done.retry_after)
    return played


def firsts(arrived: Sequence[Key]) -> list[Key]:
    """Each key where it arrived first."""
    return list(dict.fromkeys(arrived))


def in_order(arrived: Sequence[Key]) -> bool:
    """Whether no revision came before an earlier one of its id."""
    newest: dict[str, int] = {}
    for name, revision in firsts(arrived):
        if revision < newest.get(name, 0):
            return False
        newest[name] = revision
    return True


def keys(wanted: Sequence[Document]) -> list[Key]:
    return [key_of(document) for document in wanted]
