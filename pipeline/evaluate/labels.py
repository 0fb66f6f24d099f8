"""Reading what is true (``labels.json``) and what was said (``incidents.ndjson``)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.clock import parse_rfc3339
from pipeline.model.documents import from_json
from pipeline.model.errors import ConfigError
from pipeline.model.incident import Incident
from pipeline.model.vocabulary import Client, Service

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LABELS_VERSION: Final = "outrider.labels/1"
OUTAGE: Final = "service_outage"
KINDS: Final = (
    OUTAGE,
    "tenant_change",
    "attack",
    "local_network",
    "telemetry_gap",
    "benign",
)


@dataclass(frozen=True, slots=True)
class Label:
    """One thing that truly happened.

    ``clients``: the finest, () = all. ``effect``: share of the accesses disturbed, 0..1.
    ``sources``: by log (``entra``, ``exchange_audit``), the clients as that log can name
    them; a log that cannot show the trouble has none.
    """

    label_id: str
    name: str
    kind: str
    start: datetime
    end: datetime
    clients: frozenset[Client]
    services: frozenset[Service]
    signin_failures: bool
    advisory_ids: frozenset[str]
    effect: float
    sources: Mapping[str, frozenset[Client]]


@dataclass(frozen=True, slots=True)
class Labels:
    """All labels of one tenant over ``[start, end)``."""

    tenant: str
    start: datetime
    end: datetime
    labels: tuple[Label, ...]

    @property
    def weeks(self) -> float:
        """Length of the labelled time, in weeks."""
        return (self.end - self.start).total_seconds() / (7 * 86_400)


def read_labels(path: str | Path) -> Labels:
    """Read a labels file.

    Raises:
        ConfigError: unreadable, no JSON, or a field is missing or wrong; names file and field.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name a readable labels.json") from error
    except ValueError as error:
        raise ConfigError(f"{path}: no JSON ({error}); write it with outrider simulate") from error
    return parse_labels(data, str(path))


def parse_labels(data: Any, where: str = "labels") -> Labels:
    """Check and convert a decoded ``outrider.labels/1`` document.

    Raises:
        ConfigError: a field is missing or wrong; the message begins with ``where``.
    """
    if not isinstance(data, dict) or data.get("schema") != LABELS_VERSION:
        raise ConfigError(f"{where}: schema: want {LABELS_VERSION!r}")
    reader = _Reader(data, where)
    items = reader.list("labels")
    start, end = reader.time("from"), reader.time("to")
    if end <= start:
        raise ConfigError(f"{where}: to: want a time after 'from'")
    labels = tuple(_label(item, f"{where}: labels[{n}]") for n, item in enumerate(items))
    ids = [label.label_id for label in labels]
    doubled = sorted({i for i in ids if ids.count(i) > 1})
    if doubled:
        raise ConfigError(f"{where}: label_id {doubled[0]!r} comes twice; make it unique")
    return Labels(reader.text("tenant"), start, end, labels)


def read_incidents(path: str | Path) -> tuple[Incident, ...]:
    """Read every revision of an ``incidents.ndjson``.

    Raises:
        ConfigError: unreadable, or a line is no incident; names file and line.
    """
    found = []
    try:
        with Path(path).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    found.append(_incident(line, f"{path}, line {number}"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read; name an incidents.ndjson in UTF-8") from error
    return tuple(found)


def _incident(line: str, where: str) -> Incident:
    try:
        data = json.loads(line)
        if not isinstance(data, dict) or data.get("schema") != Incident.SCHEMA:
            raise ConfigError(f"{where}: schema: want {Incident.SCHEMA!r}")
        return from_json(Incident, data)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: no incident ({error}); write it with outrider") from error


class _Reader:
    """Fields of one object, each with its place in the messages."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise ConfigError(f"{where}: want an object")
        self._data = data
        self._where = where

    def _get(self, name: str, kind: type | tuple[type, ...], words: str) -> Any:
        if name not in self._data:
            raise ConfigError(f"{self._where}: {name} is missing")
        value = self._data[name]
        # JSON's true is an int to Python, and never a number here.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"{self._where}: {name}: want {words}")
        return value

    def text(self, name: str) -> str:
        return str(self._get(name, str, "a text"))

    def flag(self, name: str) -> bool:
        return bool(self._get(name, bool, "true or false"))

    def number(self, name: str) -> float:
        return float(self._get(name, (int, float), "a number"))

    def list(self, name: str) -> list[Any]:
        return list(self._get(name, list, "a list"))

    def time(self, name: str) -> datetime:
        try:
            return parse_rfc3339(self.text(name))
        except ValueError as error:
            raise ConfigError(f"{self._where}: {name}: want a time in RFC 3339") from error

    def clients(self, name: str) -> frozenset[Client]:
        return _clients(self.list(name), f"{self._where}: {name}")

    def names(self, name: str) -> frozenset[str]:
        return frozenset(str(item) for item in self.list(name))


def _clients(items: list[Any], where: str) -> frozenset[Client]:
    try:
        return frozenset(Client(item) for item in items)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}; use the names of the client vocabulary") from error


def _label(item: Any, where: str) -> Label:
    reader = _Reader(item, where)
    kind = reader.text("kind")
    if kind not in KINDS:
        raise ConfigError(f"{where}: kind: want one of {', '.join(KINDS)}")
    start, end = reader.time("start"), reader.time("end")
    if end <= start:
        raise ConfigError(f"{where}: end: want a time after 'start'")
    try:
        services = frozenset(Service(s) for s in reader.list("services"))
    except ValueError as error:
        raise ConfigError(f"{where}: services: {error}") from error
    sources = item.get("sources", {})
    if not isinstance(sources, dict) or not all(isinstance(v, list) for v in sources.values()):
        raise ConfigError(f"{where}: sources: want lists of clients by source")
    return Label(
        label_id=reader.text("label_id"),
        name=reader.text("name"),
        kind=kind,
        start=start,
        end=end,
        clients=reader.clients("clients"),
        services=services,
        signin_failures=reader.flag("signin_failures"),
        advisory_ids=reader.names("advisory_ids"),
        effect=reader.number("effect"),
        sources={k: _clients(v, f"{where}: sources.{k}") for k, v in sources.items()},
    )
