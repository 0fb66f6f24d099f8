"""Documents as records of their topics: what is in a record, and whom it is for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline.runtime.live.messages import ODD, UnreadableMessageError

if TYPE_CHECKING:
    from pipeline.runtime.kafka.client import Topics

_ID: Final = {"flag": "flag_id", "incident": "incident_id"}
# Names the one destination that a record is for; a record without it is for all of them.
SINK: Final = "sink"


class Told(NamedTuple):
    """A revision as it lies in a topic; ``text`` is its JSON."""

    topic: str
    partition: int
    offset: int
    kind: str
    id: str
    revision: int
    tenant: str
    text: str
    document: dict[str, Any]

    @property
    def place(self) -> str:
        """Where it lies, in words."""
        return f"{self.topic} partition {self.partition} offset {self.offset}"


def kinds(topics: Topics) -> dict[str, str]:
    """Topics of documents, and the kind of each."""
    return {topics.flags: "flag", topics.incidents: "incident"}


def told(record: Any, kind: str) -> Told:
    """The document that a record holds.

    Raises:
        UnreadableMessageError: it holds none of this kind.
    """
    try:
        text = record.value.decode()
        document = json.loads(text, parse_constant=_refuse)
        name, revision = document[_ID[kind]], document["revision"]
        tenant = record.key.decode()
        name.encode()  # half of a surrogate pair can be written nowhere
    except ODD as error:
        raise UnreadableMessageError(f"no {kind} in JSON ({type(error).__name__})") from error
    if not (isinstance(name, str) and type(revision) is int and 0 < revision < 2**31):
        raise UnreadableMessageError(f"a {kind} without a name or a revision")
    return Told(
        record.topic, record.partition, record.offset, kind, name, revision, tenant, text, document
    )


def _refuse(number: str) -> None:
    raise ValueError(f"{number} is no number in JSON")


def meant_for(record: Any, sink: str) -> bool:
    """Whether a destination gets a record."""
    wanted = [value for name, value in record.headers if name == SINK]
    return not wanted or sink.encode() in wanted
