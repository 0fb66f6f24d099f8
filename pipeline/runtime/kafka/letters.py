"""Dead letters as records of the dead topic, and what was tried again of them.

The value of a letter is the body that could not be used, bit for bit, or nothing. The header
``letter`` is the letter without it, as ``outrider.dead/1``; a header ``was.NAME`` is the header
NAME of the message it was. A letter has the partition of its message, and is called by its
partition and offset.

That a letter was tried again is a record of its own behind it, in the same partition: the header
``replayed`` names the letter. Nothing in the topic is ever changed or deleted but by its age.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.clock import EPOCH, from_us, parse_rfc3339, rfc3339, to_us
from pipeline.model.dead_letter import (
    MESSAGES,
    RECORD,
    UNREADABLE_MESSAGE,
    DeadLetter,
    DeadLetterDocument,
    LetterState,
)
from pipeline.model.documents import from_json, to_line
from pipeline.model.errors import StateError
from pipeline.runtime.kafka.client import Topics
from pipeline.runtime.kafka.stored import committed_records
from pipeline.runtime.kafka.topics import partitions_of
from pipeline.runtime.live.messages import ODD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from pipeline.runtime.config import Kafka

LETTER: Final = "letter"
REPLAYED: Final = "replayed"
_WAS: Final = "was."
_FIRST: Final = "first_offset"
_LAST: Final = "last_offset"
# A topic takes 8 MiB as they come packed; a message may be many times as large once unpacked.
_LARGEST: Final = 4 * 2**20
# The reason of a record that is no letter of ours.
UNKNOWN_LETTER: Final = "unknown_letter"


def unreadable(record: Any, error: Exception, at: datetime) -> DeadLetter:
    """The letter about a record that no reading can help; a large one stays where it is."""
    headers = tuple((str(name), bytes(value or b"")) for name, value in record.headers)
    body = record.value or b""
    kind = dict(headers).get("kind", b"unknown").decode(errors="replace")
    if len(body) + sum(len(name) + len(value) for name, value in headers) > _LARGEST:
        kind, headers = MESSAGES, stretch(record.offset, record.offset)
    return DeadLetter(
        0,
        to_us(at),
        (record.key or b"").decode(errors="replace") or None,
        UNREADABLE_MESSAGE,
        str(error),
        f"{record.topic} partition {record.partition} offset {record.offset}",
        kind,
        None if kind == MESSAGES else body,
        headers=headers,
    )


def record_of(letter: DeadLetter) -> dict[str, Any]:
    """Key, value and headers of a letter, as the producer takes them."""
    told = to_line(letter.document()).encode()
    return {
        "key": None if letter.tenant is None else letter.tenant.encode(),
        # Of a record only the place is kept; without a key the topic needs some value.
        "value": letter.body or b"",
        "headers": [(LETTER, told), *((_WAS + name, value) for name, value in letter.headers)],
    }


def stretch(first: int, last: int) -> tuple[tuple[str, bytes], ...]:
    """Headers of a letter about a tenant's messages from one offset to another, both included."""
    return ((_FIRST, str(first).encode()), (_LAST, str(last).encode()))


def replay_mark(letter: DeadLetter, at: datetime) -> dict[str, Any]:
    """Key, value and headers of the word that a letter was tried again."""
    told = {"letter_id": letter.letter_id, "at": rfc3339(at)}
    headers = [(REPLAYED, json.dumps(told).encode())]
    return {"key": (letter.tenant or "").encode(), "value": None, "headers": headers}


def letter_of(record: Any) -> DeadLetter:
    """The letter that a record of the dead topic is; one that is none of ours says so itself."""
    headers = tuple(
        (name.removeprefix(_WAS), v) for name, v in record.headers if name.startswith(_WAS)
    )
    try:
        told = _told(dict(record.headers)[LETTER])
    except ODD as error:
        told = DeadLetterDocument(
            "",
            _written(record.timestamp),
            UNKNOWN_LETTER,
            f"no dead letter of outrider ({type(error).__name__})",
            f"{record.topic} partition {record.partition} offset {record.offset}",
            RECORD,
            LetterState.WAITING,
            body_bytes=len(record.value or b""),
        )
    return DeadLetter(
        record.offset,
        to_us(told.at),
        told.tenant,
        told.reason,
        told.detail,
        told.place,
        told.kind,
        None if told.body_bytes is None else record.value,
        told.sink,
        headers,
        partition=record.partition,
    )


def _told(header: bytes) -> DeadLetterDocument:
    """The document of a letter, if a ledger and a list can hold all of its words."""
    told = from_json(DeadLetterDocument, json.loads(header))
    names = [name for name in (told.tenant, told.sink) if name is not None]
    for word in (told.reason, told.detail, told.place, told.kind, *names):
        word.encode()  # half of a surrogate pair can be written nowhere
    to_us(told.at)
    return told


def _written(milliseconds: int) -> datetime:
    """When a record was written; whoever wrote it may have said anything."""
    try:
        return from_us(milliseconds * 1000)
    except OverflowError:
        return EPOCH


def mark_of(record: Any) -> tuple[str, int] | None:
    """Which letter was tried again, and when (microseconds since 1970), as a record says.

    None if it says nothing of the kind, or nothing that can be read: then it is a letter.
    """
    try:
        told = json.loads(dict(record.headers)[REPLAYED])
        told["letter_id"].encode()
        return told["letter_id"], to_us(parse_rfc3339(told["at"]))
    except ODD:
        return None


def read_letters(config: Kafka) -> list[DeadLetter]:
    """All letters in the order of their burial, without bodies and headers.

    Raises:
        RetriableError: the broker does not answer.
        ConfigError: the topic is not there.
    """
    topic = Topics(config.prefix).dead
    letters: dict[str, DeadLetter] = {}
    replayed: dict[str, int] = {}
    for record in committed_records(config, topic, range(partitions_of(config, topic))):
        mark = mark_of(record)
        if mark is None:
            found = letter_of(record)
            size = None if found.body is None else len(found.body)
            # A topic may hold gigabytes of bodies.
            letters[found.letter_id] = replace(found, body=None, headers=(), size=size)
        else:
            replayed[mark[0]] = mark[1]
    return sorted(
        (replace(d, replayed_at=replayed.get(i)) for i, d in letters.items()),
        key=lambda d: (d.at, d.partition or 0, d.seq),
    )


def whole_letters(config: Kafka, letters: Sequence[DeadLetter]) -> Iterator[DeadLetter]:
    """The same letters with bodies and headers, one by one, by partition and offset.

    Raises:
        RetriableError: the broker does not answer.
    """
    topic = Topics(config.prefix).dead
    wanted: dict[int, dict[int, DeadLetter]] = {}
    for letter in letters:
        wanted.setdefault(letter.partition or 0, {})[letter.seq] = letter
    for partition, by_offset in sorted(wanted.items()):
        for record in between(config, topic, partition, min(by_offset), max(by_offset)):
            if record.offset in by_offset:
                known = by_offset[record.offset]
                yield replace(letter_of(record), replayed_at=known.replayed_at)


def messages_meant(config: Kafka, letter: DeadLetter) -> list[Any]:
    """The records of the events that a letter about several is about; those there still are.

    Raises:
        RetriableError: the broker does not answer.
        StateError: the letter does not say which ones.
    """
    headers = dict(letter.headers)
    try:
        first, last = int(headers[_FIRST]), int(headers[_LAST])
    except (KeyError, ValueError) as error:
        raise StateError(f"dead letter {letter.letter_id} names no offsets of messages") from error
    topic, tenant = topic_of(letter, Topics(config.prefix)), (letter.tenant or "").encode()
    found = between(config, topic, letter.partition or 0, first, last)
    return [record for record in found if (record.key or b"") == tenant]


def topic_of(letter: DeadLetter, topics: Topics) -> str:
    """The topic of a message; flags and incidents that could not be read have theirs."""
    for topic in (topics.flags, topics.incidents):
        if letter.place.startswith(f"{topic} partition"):
            return topic
    return topics.events


def between(config: Kafka, topic: str, partition: int, first: int, last: int) -> Iterator[Any]:
    """The committed records of a partition from one offset to another, both included.

    Raises:
        RetriableError: the broker does not answer.
    """
    for record in committed_records(config, topic, [partition], {partition: first}):
        if record.offset > last:
            return
        yield record
        if record.offset == last:
            return
