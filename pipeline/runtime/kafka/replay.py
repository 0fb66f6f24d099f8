"""Trying dead letters of the topic again, each once.

A message goes to the events once more, with its own headers, and a document to its topic for
the one destination that refused it. The same transaction writes behind the letter that it was
replayed. So whoever is killed in the middle has replayed a letter or not, and the letters know:
the same call does the rest. Of two that replay at a time the second shuts the first one out,
and looks at the letters after that.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from pipeline.model.dead_letter import DOCUMENT, MESSAGES
from pipeline.model.errors import RetriableError
from pipeline.runtime.dead_letters import (
    Outcome,
    Prospect,
    Tried,
    choose,
    document_of,
    prospect,
    prospect_of_body,
    prospect_of_messages,
)
from pipeline.runtime.kafka.client import Topics, producer, unreachable
from pipeline.runtime.kafka.letters import (
    messages_meant,
    read_letters,
    replay_mark,
    topic_of,
    whole_letters,
)
from pipeline.runtime.kafka.states import closed_to
from pipeline.runtime.kafka.told import SINK
from pipeline.runtime.kafka.transaction import transaction
from pipeline.runtime.live.messages import Message, UnreadableMessageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pipeline.model.clock import Clock
    from pipeline.model.dead_letter import DeadLetter
    from pipeline.runtime.config import Kafka
    from pipeline.runtime.dead_letters import Wish

# Says in a message which letter it was before.
REPLAY_OF: Final = "replay_of"
# Together well within the time that a transaction may take.
_BATCH_BYTES: Final = 16 * 2**20
_BATCH_LETTERS: Final = 200


class _Ready(NamedTuple):
    """A letter to be sent: the records that it becomes, and what to say of it."""

    letter: DeadLetter
    records: list[dict[str, Any]]
    text: str

    @property
    def size(self) -> int:
        return sum(len(r["value"] or b"") for r in self.records)


def replay(config: Kafka, wish: Wish, clock: Clock) -> Iterator[Tried]:
    """Try letters again; gives what came of each as soon as that is certain.

    Args:
        config: of the broker.
        wish: which letters.
        clock: dates the replay.

    Raises:
        ConfigError: a letter that is named is not there.
        RetriableError: the broker does not answer; what was not told was not done.
    """
    writer = _Writer(config, clock)
    try:
        # Only now: whoever replayed before this process can commit nothing any more.
        chosen = choose(read_letters(config), wish)
        first = [(letter, prospect(letter, wish)) for letter in chosen]
        yield from (_tried(d, p.outcome, p.text) for d, p in first if p.outcome is not None)
        worth = [d for d, p in first if p.outcome is None]
        closed = closed_to(config, {d.tenant for d in worth if d.tenant is not None})
        batch: list[_Ready] = []
        for letter in whole_letters(config, worth):
            ready = _ready(config, letter, closed.get(letter.tenant or ""), force=wish.force)
            if isinstance(ready, Tried):
                yield ready
                continue
            batch.append(ready)
            if len(batch) >= _BATCH_LETTERS or sum(r.size for r in batch) >= _BATCH_BYTES:
                yield from writer.send(batch)
                batch = []
        yield from writer.send(batch)
    finally:
        writer.close()


def _ready(
    config: Kafka, letter: DeadLetter, closed: datetime | None, *, force: bool
) -> _Ready | Tried:
    """What a letter becomes, or why it is not worth trying."""
    topics = Topics(config.prefix)
    found: Prospect
    if letter.kind == MESSAGES:
        meant = messages_meant(config, letter)
        records = [_message(config, letter, r.key, r.headers, r.value) for r in meant]
        found = Prospect(Outcome.GONE, "its messages have left the topic; read the logs again")
        if meant:
            try:
                messages = [Message.of_record(r.key, r.headers, r.value) for r in meant]
                found = prospect_of_messages(messages, closed, force=force)
            except UnreadableMessageError as error:
                found = Prospect(None if force else Outcome.UNREADABLE, str(error))
    else:
        key = (letter.tenant or "").encode()
        records = [_message(config, letter, key, letter.headers, letter.body)]
        found = prospect_of_body(letter, closed, force=force)
        if letter.kind == DOCUMENT and found.outcome is None:
            topic = topics.flags if document_of(letter).kind == "flag" else topics.incidents
            to = [(SINK, (letter.sink or "").encode()), (REPLAY_OF, letter.letter_id.encode())]
            records = [records[0] | {"topic": topic, "headers": to}]
    if found.outcome is not None:
        return _tried(letter, found.outcome, found.text)
    return _Ready(letter, records, found.text)


def _message(config: Kafka, letter: DeadLetter, key: bytes, headers: Any, value: Any) -> Any:
    """A message as it was, to the partition that its key has today."""
    kept = [(name, v) for name, v in headers if name != REPLAY_OF]
    return {
        "topic": topic_of(letter, Topics(config.prefix)),
        "key": key or None,
        "value": value,
        "headers": [*kept, (REPLAY_OF, letter.letter_id.encode())],
    }


def _tried(letter: DeadLetter, outcome: Outcome, text: str) -> Tried:
    return Tried(letter.letter_id, letter.reason, outcome, text)


class _Writer:
    """The producer of whoever replays; there is one at a time."""

    def __init__(self, config: Kafka, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._dead = Topics(config.prefix).dead
        self._producer: Any = producer(config, f"{config.prefix}-dead-replay")

    def send(self, batch: list[_Ready]) -> list[Tried]:
        """Send letters in one transaction with the word that they are."""
        if not batch:
            return []
        try:
            with transaction(self._producer) as send:
                for ready in batch:
                    for record in ready.records:
                        send(**record)
                    mark = replay_mark(ready.letter, self._clock.now())
                    send(self._dead, **mark, partition=ready.letter.partition)
        except (ProducerFencedError, InvalidProducerEpochError) as error:
            raise RetriableError(
                "another 'outrider dead replay' has taken over; look at what it did with "
                "'outrider dead list --kafka'"
            ) from error
        except KafkaError as error:
            raise unreachable(self._config, error) from error
        return [_tried(r.letter, Outcome.SENT, r.text) for r in batch]

    def close(self) -> None:
        with suppress(KafkaError):  # what was not committed is ended by the broker
            self._producer.close(timeout=1)
