"""The phrases of advisories, from ``advisory_vocabulary.csv`` beside this file.

Columns: phrase; role; clients (``client`` or ``client:weight``, separated by ``|``);
services; protocol; regions; only_service (the phrase counts in advisories of that service
only); source (the advisories it was read in, or why it is believed). Roles:

* client, protocol: name clients. service: names a service. suite: names none on purpose.
* all, some, others: "any connection method", "some ...", "other connection methods".
* access, feature, mail_flow, filtering, admin: kinds of trouble.
* region: where. ignore: takes its words away from shorter phrases.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from pipeline.model.errors import ConfigError
from pipeline.model.vocabulary import Client, Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROLES: Final = frozenset(
    {
        "client", "protocol", "service", "suite", "all", "some", "others",
        "access", "feature", "mail_flow", "filtering", "admin", "region", "ignore",
    }
)  # fmt: skip
_TABLE: Final = "advisory_vocabulary.csv"


@dataclass(frozen=True, slots=True)
class Phrase:
    """One row of the table."""

    text: str
    role: str
    clients: Mapping[Client, float]
    services: tuple[Service, ...]
    protocol: str
    regions: tuple[str, ...]
    only_service: str
    source: str


class Vocabulary:
    """All phrases as one pattern, the longest first."""

    def __init__(self, phrases: tuple[Phrase, ...]) -> None:
        self.phrases = phrases
        self._by_text: dict[str, list[Phrase]] = {}
        for phrase in phrases:
            self._by_text.setdefault(_fold(phrase.text), []).append(phrase)
        texts = sorted(self._by_text, key=lambda t: (-len(t), t))
        body = "|".join(re.escape(t).replace(r"\ ", r"\s+") for t in texts)
        self._pattern = re.compile(rf"(?<![\w.])(?:{body})(?!\w)", re.IGNORECASE)

    def find(self, text: str, service: str = "") -> Iterator[Phrase]:
        """Give the phrases of ``text`` from left to right, the longest at each place.

        ``service`` is that of the advisory; rows for another service's advisories are
        passed over, but still take their words.
        """
        for match in self._pattern.finditer(text):
            for phrase in self._by_text[_fold(match.group())]:
                if phrase.only_service in {"", service}:
                    yield phrase


def _fold(text: str) -> str:
    return re.sub(r"\s+", " ", text).casefold()


@cache
def vocabulary() -> Vocabulary:
    """Return the table shipped with the package, read once.

    Raises:
        ConfigError: a row is outside the closed sets; names the row.
    """
    text = resources.files("connectors.advisories").joinpath(_TABLE).read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return Vocabulary(tuple(_phrase(n, row) for n, row in enumerate(rows, start=2)))


def _phrase(number: int, row: Mapping[str, str]) -> Phrase:
    if row["role"] not in ROLES:
        raise ConfigError(f"{_TABLE}, line {number}: role {row['role']!r} is unknown")
    try:
        return Phrase(
            text=row["phrase"],
            role=row["role"],
            clients=dict(_weighted(c) for c in _split(row["clients"])),
            services=tuple(Service(s) for s in _split(row["services"])),
            protocol=row["protocol"],
            regions=tuple(_split(row["regions"])),
            only_service=row["only_service"],
            source=row["source"],
        )
    except ValueError as error:
        raise ConfigError(f"{_TABLE}, line {number}: {error}; correct the row") from error


def _split(cell: str) -> list[str]:
    return [part for part in cell.split("|") if part]


def _weighted(cell: str) -> tuple[Client, float]:
    name, _, weight = cell.partition(":")
    return Client(name), float(weight or 1.0)
