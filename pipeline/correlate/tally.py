"""What an incident did to its users, hour by hour, in a form that adds up."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntFlag
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.correlate.history import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Hit(IntFlag):
    """How a user was affected."""

    SERVICE = 1
    TENANT = 2
    CREDENTIAL = 4
    MISSING = 8
    PRESSING = 16
    ABSENT = 32  # missing, and not seen in any other client either


FAMILY_HITS: Final = dict(zip(FAMILIES, (Hit.SERVICE, Hit.TENANT, Hit.CREDENTIAL), strict=True))
FAILING: Final = Hit.SERVICE | Hit.TENANT | Hit.CREDENTIAL

SIGNIN_SPACE: Final = 0
AUDIT_SPACE: Final = 1

AFFECTED: Final = np.dtype(
    [
        ("space", "u1"),  # sign-ins and mailboxes may carry different ids for one person
        ("user", "u8"),
        ("country", "i4"),
        ("network", "i4"),
        ("client_version", "i4"),
        ("code", "i4"),
        ("hit", "u1"),
    ]
)
CODE_USER: Final = np.dtype([("code", "i4"), ("user", "u8")])

Affected: TypeAlias = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over the incident's flagged hours; every number is in user-hours unless said.

    Attributes:
        rows: one row of AFFECTED per (space, user); the attributes are of the first hour.
        code_users: distinct (code, user) of failures, array of CODE_USER.
        code_usual: by code, what the same hours usually hold.
        failing, failing_usual: by family in the order of FAMILIES.
        active: users with any attempt in the sign-in cells.
        expected, observed: active users in the cells that dropped (expected is scaled by
            how many people are at work, as the other clients tell).
        missing, missing_present, missing_sibling: of the users missed, how many there were,
            how many used another client, how many a client of the same product line.
        pressing, pressing_usual: users with many attempts in the sign-in cells.
        credential, foreign: failures of credentials, and those of them from a network from
            which that user never succeeded.
        all_expected, all_observed: users of any client, of the better of the two id spaces.
        other_expected, other_observed: users of clients that are not in the incident.
        signin_expected, signin_observed: users who sign in, by any client.
        system_expected, system_observed: server-side records of the feeds that dropped.
        seen, told: hours of the member feeds, and the sum of their completeness.
        lost_minutes: user-minutes lost.
    """

    rows: Affected = field(default_factory=lambda: np.empty(0, AFFECTED))
    code_users: Affected = field(default_factory=lambda: np.empty(0, CODE_USER))
    code_usual: dict[int, float] = field(default_factory=dict)
    failing: tuple[float, ...] = (0.0, 0.0, 0.0)
    failing_usual: tuple[float, ...] = (0.0, 0.0, 0.0)
    active: float = 0.0
    expected: float = 0.0
    observed: float = 0.0
    missing: float = 0.0
    missing_present: float = 0.0
    missing_sibling: float = 0.0
    pressing: float = 0.0
    pressing_usual: float = 0.0
    credential: float = 0.0
    foreign: float = 0.0
    all_expected: float = 0.0
    all_observed: float = 0.0
    other_expected: float = 0.0
    other_observed: float = 0.0
    signin_expected: float = 0.0
    signin_observed: float = 0.0
    system_expected: float = 0.0
    system_observed: float = 0.0
    seen: float = 0.0
    told: float = 0.0
    lost_minutes: float = 0.0


NUMBERS: Final = tuple(f.name for f in fields(Tally) if f.type == "float")


def total(tallies: Sequence[Tally]) -> Tally:
    """Add tallies up, in order of time; users count once."""
    if len(tallies) == 1:
        return tallies[0]
    usual: dict[int, float] = {}
    for tally in tallies:
        for code, value in tally.code_usual.items():
            usual[code] = usual.get(code, 0.0) + value
    return Tally(
        rows=merge_rows([t.rows for t in tallies]),
        code_users=np.unique(
            np.concatenate([np.empty(0, CODE_USER)] + [t.code_users for t in tallies])
        ),
        code_usual=usual,
        failing=_columns(t.failing for t in tallies),
        failing_usual=_columns(t.failing_usual for t in tallies),
        **{name: sum(float(getattr(t, name)) for t in tallies) for name in NUMBERS},
    )


def _columns(values: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    sums = [0.0] * len(FAMILIES)
    for value in values:
        sums = [a + b for a, b in zip(sums, value, strict=True)]
    return tuple(sums)


def merge_rows(parts: Sequence[Affected]) -> Affected:
    """One row per (space, user): the first attributes that are known, all kinds of hit.

    A user who was seen elsewhere in any hour is not absent.
    """
    rows = np.concatenate([np.empty(0, AFFECTED), *parts])
    if not len(rows):
        return rows
    order = np.lexsort((np.arange(len(rows)), rows["user"], rows["space"]))
    rows = rows[order]
    fresh = np.ones(len(rows), bool)
    fresh[1:] = (rows["user"][1:] != rows["user"][:-1]) | (rows["space"][1:] != rows["space"][:-1])
    starts = np.flatnonzero(fresh)
    merged = rows[starts].copy()
    hits = np.bitwise_or.reduceat(rows["hit"], starts)
    absent = np.bitwise_and.reduceat(rows["hit"] | ~np.uint8(Hit.ABSENT), starts)
    merged["hit"] = hits & absent
    group = np.cumsum(fresh) - 1
    for attribute in ("country", "network", "client_version", "code"):
        known = np.flatnonzero(rows[attribute] >= 0)[::-1]
        first = np.full(len(merged), -1, np.int32)
        first[group[known]] = rows[attribute][known]  # written backwards: the first one stays
        merged[attribute] = first
    return merged
