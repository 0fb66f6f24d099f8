"""What to do with what a destination answers: one table for all, ``rules.csv`` beside this file.

A row stands for a status (``429``, or a class such as ``4xx``) and, where a destination has codes
of its own, one of those. A code tells more than a status: where the destination's rows know it,
it decides. What no row of the destination knows is looked up under ``http``.

``docs/outputs.md`` shows the table.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Final, Literal, TypeAlias, cast, get_args

from pipeline.model.errors import AuthError, FatalError, RetriableError, ThrottledError

Then: TypeAlias = Literal["accepted", "retry", "split", "reject", "fatal"]
"""What comes next.

accepted: the destination has what was sent. retry: the same again later. split: it is too large
or holds a document that cannot be read; send it in parts, and what is refused alone is rejected.
reject: these documents are refused for good, others go on. fatal: a person has to act.
"""
EVERYBODY: Final = "http"
"""The destination whose rows count for all that have none of their own for an answer."""
NOT_JSON: Final = "no JSON"
"""Stands as the code of a 400 whose sender is a proxy, and not the destination."""
# Statuses of HTTP and replies of SMTP that speak of a credential.
_CREDENTIAL: Final = frozenset({"401", "403", "407", "530", "534", "535", "538"})
_RETRY_SECONDS: Final = 30.0
_TOO_OFTEN: Final = "429"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row.

    Attributes:
        destination: type of the destination, as in the configuration, or :data:`EVERYBODY`.
        status: of HTTP, reply of SMTP, or a class of them: ``429``, ``5xx``.
        code: the destination's own, empty if the status alone decides.
        then: what comes next.
        meaning: in words.
        remedy: what a person does about it; empty unless ``then`` is fatal.
    """

    destination: str
    status: str
    code: str
    then: Then
    meaning: str
    remedy: str

    def trouble(
        self, what: str, told: str, wait: float | None = None
    ) -> RetriableError | FatalError:
        """The error to raise: one that a person has to mend where ``then`` is fatal.

        Args:
            what: was sent to, for messages: ``"Splunk"``.
            told: what it answered: ``"HTTP 503, code 9"``.
            wait: seconds that it asks for; None = 30.
        """
        if self.then == "fatal":
            kind = AuthError if self.status in _CREDENTIAL else FatalError
            return kind(f"{what}: {self.meaning} ({told}); {self.remedy}")
        sort = ThrottledError if self.status == _TOO_OFTEN else RetriableError
        seconds = _RETRY_SECONDS if wait is None else wait
        return sort(f"{what}: {self.meaning} ({told})", retry_after=seconds)


@cache
def rules() -> tuple[Rule, ...]:
    """All rows, in file order."""
    text = files(__package__).joinpath("rules.csv").read_text(encoding="utf-8")
    made = []
    for row in csv.DictReader(io.StringIO(text, newline="")):
        then = row.pop("then")
        if then not in get_args(Then):
            raise ValueError(f"rules.csv: {row['destination']} {row['status']}: no such {then!r}")
        made.append(Rule(**row, then=cast("Then", then)))
    return tuple(made)


@cache
def rule_for(destination: str, status: int, code: str = "") -> Rule:
    """The row for an answer; what nobody knows is tried again.

    Args:
        destination: type of the destination, as in the configuration.
        status: of HTTP, or reply of SMTP.
        code: the destination's own, if it gave one.

    >>> rule_for("splunk", 503, "9").then, rule_for("splunk", 429).then
    ('retry', 'retry')
    >>> rule_for("elastic item", 409).then
    'accepted'
    """
    exact, general = str(status), f"{status // 100}xx"
    for name in (destination, EVERYBODY):
        rows = [rule for rule in rules() if rule.destination == name]
        coded = [rule for rule in rows if code and rule.code == code]
        plain = [rule for rule in rows if not rule.code]
        for rule in (
            *(rule for rule in coded if rule.status == exact),
            *coded,
            *(rule for rule in plain if rule.status == exact),
            *(rule for rule in plain if rule.status == general),
        ):
            return rule
    return Rule(destination, exact, code, "retry", "an answer that nobody knows", "")


def code_or_none(status: int, code: str) -> str:
    """The code to look up: :data:`NOT_JSON` for a 400 without one.

    The documents are not to blame for it, and must not be rejected.
    """
    return NOT_JSON if not code and status == HTTPStatus.BAD_REQUEST else code


def rows_for_reading(destination: str) -> list[str]:
    """The rows of a destination as lines of a Markdown table: status, code, then, meaning."""
    lines = []
    for rule in rules():
        if rule.destination == destination:
            words = f"{rule.meaning}: {rule.remedy}" if rule.remedy else rule.meaning
            lines.append(f"| {rule.status} | {rule.code} | {rule.then} | {words} |")
    return lines
