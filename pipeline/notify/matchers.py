"""Labels of an incident, and matchers over them.

A matcher is one term of text: ``severity=high,critical`` (one of these), ``client!=owa`` (none of
these), and for the severity also ``severity>=medium``. An incident of several clients, services or
tenants has several values of that label: ``=`` asks that one of them is listed, ``!=`` that none
is. All matchers of a list have to match; an empty list matches everything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pipeline.model.incident import IncidentState, Severity
from pipeline.model.notice import NoticeReason
from pipeline.model.vocabulary import Client, Service, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Labels: TypeAlias = "Mapping[str, tuple[str, ...]]"

RANK: Final[dict[str, int]] = {severity: rank for rank, severity in enumerate(Severity)}
# What a matcher may ask for; None = any value.
_KNOWN: Final[dict[str, frozenset[str] | None]] = {
    "severity": frozenset(Severity),
    "verdict": frozenset(Verdict),
    "client": frozenset(Client),
    "service": frozenset(Service),
    "tenant": None,
    "state": frozenset(IncidentState),
    "reason": frozenset(NoticeReason),
}
NAMES: Final = tuple(_KNOWN)
_TERM: Final = re.compile(r"\s*([a-z_]+)\s*(!=|>=|<=|=)\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One term over one label; ``operator`` is ``=`` or ``!=``."""

    label: str
    operator: str
    values: frozenset[str]

    def matches(self, labels: Labels) -> bool:
        """Whether labels satisfy it; a label that is missing has no value."""
        found = any(value in self.values for value in labels.get(self.label, ()))
        return found if self.operator == "=" else not found

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{','.join(sorted(self.values))}"


@cache
def parse(text: str) -> Matcher:
    """Read one term.

    Raises:
        ValueError: it is none, or asks for what no incident can have; says what is possible.

    >>> parse("severity>=high") == parse("severity=high,critical")
    True
    """
    term = _TERM.fullmatch(text)
    if term is None:
        raise ValueError(f"{text!r} is no matcher; write one such as severity>=high or client!=owa")
    label, operator, values = term[1], term[2], [v.strip() for v in term[3].split(",")]
    if label not in _KNOWN:
        raise ValueError(f"{text!r}: there is no label {label!r}; there are {', '.join(NAMES)}")
    known = _KNOWN[label]
    for value in values:
        if not value or (known is not None and value not in known):
            choice = "a name" if known is None else ", ".join(sorted(known))
            raise ValueError(f"{text!r}: {label} is one of: {choice}")
    if operator in {">=", "<="}:
        if label != "severity" or len(values) != 1:
            raise ValueError(f"{text!r}: {operator} is for one severity, as in severity>=high")
        bound = RANK[Severity(values[0])]
        wanted = [
            s for s in Severity if (RANK[s] >= bound if operator == ">=" else RANK[s] <= bound)
        ]
        return Matcher(label, "=", frozenset(wanted))
    return Matcher(label, operator, frozenset(values))


def parse_all(texts: Iterable[str]) -> tuple[Matcher, ...]:
    """Read the terms of a list.

    Raises:
        ValueError: as for :func:`parse`.
    """
    return tuple(parse(text) for text in texts)


def all_match(matchers: Iterable[Matcher], labels: Labels) -> bool:
    """Whether every matcher is satisfied."""
    return all(m.matches(labels) for m in matchers)


def labels_of(incident: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The labels of an incident (``outrider.incident/1``)."""
    return {
        "severity": (incident["severity"],),
        "verdict": (incident["verdict"],),
        "client": tuple(sorted(incident["clients"])),
        "service": tuple(sorted(incident["services"])),
        "tenant": tuple(sorted(incident["tenants"])),
        "state": (incident["state"],),
        "reason": (incident["reason"],),
    }
