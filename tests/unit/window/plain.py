"""The counting of a stretch of records, row by row, as the documentation words it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

from pipeline.model.clock import to_us
from pipeline.model.event import EventFlag
from pipeline.model.vocabulary import OUTCOME_FAMILIES, Client, Outcome, OutcomeFamily, Source
from pipeline.window.arrival import LATE_AFTER
from pipeline.window.columns import NO_CODE, OUTCOMES
from pipeline.window.users import NO_ATTEMPT, PRESSING_MINUTES

WORD = 2**64


def _salt(text):
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _identity(row):
    code = NO_CODE if row["error_code"] is None else row["error_code"]
    high, low = (int.from_bytes(row["event_id"][a : a + 8], "big") for a in (0, 8))
    mixed = low ^ _salt("s" + row["source"]) ^ _salt("t" + row["tenant"])
    return mixed ^ (code * 0x9E3779B97F4A7C15 % WORD), high


def _us(moment):
    return -1 if moment is None else to_us(moment)


def fresh(rows, seen):
    """The rows to count, in canonical order; ``seen`` is the set of identities known."""
    best = {}
    for at, row in enumerate(rows):
        rank = (
            _us(row["event_time"]),
            -_us(row["received_time"]),
            OUTCOMES.index(row["outcome"]),
            row["weight"],
            row["user"] or 0,
            at,
        )
        key = _identity(row)
        if key not in seen:
            best[key] = min(best.get(key, (rank, row)), (rank, row), key=lambda pair: pair[0])
    seen |= set(best)
    return [best[k][1] for k in sorted(best, key=lambda k: (best[k][0][0], k))]


def _cell(row):
    return row["tenant"], row["source"], row["service"], row["client"]


def _attempts_of_people(rows):
    return [
        r
        for r in rows
        if r["user"] is not None
        and Outcome(r["outcome"]) not in NO_ATTEMPT
        and r["client"] != Client.SYSTEM
    ]


def event_counts(rows):
    """Counts of records by (column, cell, minute since 1970); zeros left out."""
    out = Counter()
    for row in rows:
        where = _cell(row), _us(row["event_time"]) // 60_000_000
        out[f"outcome_{row['outcome']}", *where] += 1
        out["attempts", *where] += Outcome(row["outcome"]) not in NO_ATTEMPT
        if row["outcome"] == Outcome.SUCCESS:
            out["weight", *where] += min(row["weight"], 16)
        delay = _us(row["received_time"]) - _us(row["event_time"])
        told = row["received_time"] is not None
        out["late", *where] += told and delay > LATE_AFTER[Source(row["source"])] * 1e6
    return +out


def user_counts(rows):
    """Counts of users by (column, cell, minute since 1970); zeros left out."""
    hours = defaultdict(lambda: defaultdict(list))
    for row in _attempts_of_people(rows):
        if not row["flags"] & EventFlag.GUEST:
            minute = _us(row["event_time"]) // 60_000_000
            own_hour = (minute + row["user"] % 60) // 60
            hours[_cell(row), row["user"], own_hour][minute].append(Outcome(row["outcome"]))
    out = Counter()
    for (cell, _, _), minutes in hours.items():
        failed, ok = set(), False
        for tries, minute in enumerate(sorted(minutes)):
            met = minutes[minute]
            families = {OUTCOME_FAMILIES[o] for o in met if o in OUTCOME_FAMILIES}
            out["users", cell, minute] += 1
            out["failing_users", cell, minute] += bool(families)
            out["newly_active", cell, minute] += Outcome.SUCCESS in met and not ok
            out["eligible_pressing", cell, minute] += tries < PRESSING_MINUTES
            out["newly_pressing", cell, minute] += tries + 1 == PRESSING_MINUTES
            for family in OutcomeFamily:
                out[f"eligible_{family}", cell, minute] += family not in failed
                out[f"newly_failing_{family}", cell, minute] += family in families - failed
            failed |= families
            ok |= Outcome.SUCCESS in met
    return +out


def code_counts(rows):
    """Users who newly meet a failure code, by (cell, code, minute since 1970)."""
    met, out = set(), Counter()
    for row in _attempts_of_people(rows):
        if Outcome(row["outcome"]) in OUTCOME_FAMILIES and row["error_code"] is not None:
            minute = _us(row["event_time"]) // 60_000_000
            who = _cell(row), row["error_code"], row["user"], (minute + row["user"] % 60) // 60
            if who not in met:
                met.add(who)
                out[_cell(row), row["error_code"], minute] += 1
    return out


def user_hours(rows, cells):
    """Rows of USER_HOUR_SCHEMA as dicts, in order; ``cells`` are (tenant, ..., client)."""
    groups = defaultdict(list)
    for row in _attempts_of_people(rows):
        hour = _us(row["event_time"]) // 3_600_000_000
        groups[hour, cells.index(_cell(row)), row["user"]].append(row)
    out = []
    for hour, at, user in sorted(groups):
        mine = groups[hour, at, user]
        family = [OUTCOME_FAMILIES.get(Outcome(r["outcome"])) for r in mine]
        codes = Counter(
            r["error_code"]
            for r, f in zip(mine, family, strict=True)
            if f is not None and r["error_code"] is not None
        )
        first = mine[0]["event_time"].replace(minute=0, second=0, microsecond=0)
        out.append(
            {
                "hour": first,
                **dict(zip(("tenant", "source", "service", "client"), cells[at], strict=True)),
                "user": user,
                **{k: mine[-1][k] for k in ("country", "network", "client_version")},
                "attempts": len(mine),
                "ok": sum(r["outcome"] == Outcome.SUCCESS for r in mine),
                **{f"failed_{f}": family.count(f) for f in OutcomeFamily},
                "code": min(codes, key=lambda c: (-codes[c], c), default=None),
            }
        )
    return out
