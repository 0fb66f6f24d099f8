"""Acknowledgements and silences as records of the desk topic; the newest of each key counts.

Keys are ``ack/INCIDENT`` and ``silence/ID``, values the documents (``outrider.ack/1``,
``outrider.silence/1``). Whoever is on call writes them from any machine; the roles that decide or
show what people are told follow the topic into their ledgers.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kafka.errors import KafkaError

from pipeline.model.documents import from_json, to_line
from pipeline.model.ids import content_id
from pipeline.model.notice import Ack, Silence
from pipeline.notify.matchers import parse_all
from pipeline.runtime.kafka.client import Topics, producer, unreachable
from pipeline.runtime.kafka.stored import committed_records
from pipeline.runtime.kafka.transaction import transaction
from pipeline.runtime.live.messages import ODD, UnreadableMessageError

if TYPE_CHECKING:
    from pipeline.ledger.desk import Desk
    from pipeline.runtime.config import Kafka

_KINDS: Final[dict[str, type[Ack | Silence]]] = {"ack": Ack, "silence": Silence}


class Answers:
    """What people answered, read from records."""

    def __init__(self) -> None:
        self.acks: list[Ack] = []
        self.silences: list[Silence] = []

    def add(self, record: Any) -> None:
        """Take one record of the topic.

        Raises:
            UnreadableMessageError: it is none of ours.
        """
        found = _read(record)
        if isinstance(found, Ack):
            self.acks.append(found)
        else:
            self.silences.append(found)

    def keep(self, ledger: Desk) -> None:
        """Put all of it into a ledger, within its transaction."""
        for ack in self.acks:
            ledger.put_ack(ack)
        for silence in self.silences:
            ledger.put_silence(silence)


def _read(record: Any) -> Ack | Silence:
    try:
        kind, _, name = record.key.decode().partition("/")
        found = from_json(_KINDS[kind], json.loads(record.value))
        parse_all(found.matchers if isinstance(found, Silence) else ())
        to_line(found).encode()  # half of a surrogate pair can be written nowhere
    except ODD as error:
        raise UnreadableMessageError(
            f"no acknowledgement or silence ({type(error).__name__})"
        ) from error
    if name != (found.incident_id if isinstance(found, Ack) else found.silence_id):
        raise UnreadableMessageError("an acknowledgement or silence under the key of another")
    return found


def send_answer(config: Kafka, answer: Ack | Silence) -> None:
    """Write an acknowledgement or a silence for whoever follows.

    Raises:
        RetriableError: the broker does not answer; it was not written.
    """
    name = answer.incident_id if isinstance(answer, Ack) else answer.silence_id
    key = f"{'ack' if isinstance(answer, Ack) else 'silence'}/{name}"
    # A name of its own for each: two people may write at a time.
    own = content_id("desk", to_line(answer))
    writer = producer(config, f"{config.prefix}-desk-{own}")
    try:
        with transaction(writer) as send:
            send(Topics(config.prefix).desk, key=key.encode(), value=to_line(answer).encode())
    except KafkaError as error:
        raise unreachable(config, error) from error
    finally:
        with suppress(KafkaError):  # what was not committed is ended by the broker
            writer.close(timeout=1)


def read_answers(config: Kafka) -> Answers:
    """The newest acknowledgements and silences of the topic; what is none of ours is left out.

    Raises:
        RetriableError: the broker does not answer.
    """
    newest: dict[bytes, Any] = {}
    for record in committed_records(config, Topics(config.prefix).desk, None):
        newest[record.key or b""] = record
    found = Answers()
    for record in newest.values():
        with suppress(UnreadableMessageError):
            found.add(record)
    return found
