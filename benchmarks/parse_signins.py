"""Sign-ins to event batches against DuckDB's bare query over the same file, in one run.

    python benchmarks/parse_signins.py [--records N] [--rounds N] [--file PATH]

Ours does all of its work, by the compiled reader that a backfill of much input uses: every
column of the event batch, client typing, outcomes, hashed users. DuckDB reads only the fields its query needs and counts records and distinct users by
minute and error code; the counts of both are compared. Every measurement is a fresh process;
they are interleaved, and the medians are printed. Quote the ratios: absolute rates follow
the machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 3, 19, tzinfo=UTC)
QUERY = """
select date_trunc('minute', createdDateTime) as minute, status.errorCode as code,
       coalesce(homeTenantId, '') as tenant, appId, resourceId, clientAppUsed,
       deviceDetail.operatingSystem as system, isInteractive,
       count(*) as records, count(distinct userId) as users
from read_json('{path}', format='newline_delimited', columns={{
    createdDateTime: 'TIMESTAMP', userId: 'VARCHAR', appId: 'VARCHAR', resourceId: 'VARCHAR',
    clientAppUsed: 'VARCHAR', homeTenantId: 'VARCHAR', isInteractive: 'BOOLEAN',
    deviceDetail: 'STRUCT(operatingSystem VARCHAR)', status: 'STRUCT(errorCode INTEGER)'}})
group by all
"""
# What these apps are when they run on iOS.
CLIENTS = {
    "27922004-5251-4030-b22d-91ecd9a37ea4": "outlook_ios",
    "9199bf20-a13f-4107-85dc-02114787ef48": "owa",
    "f8d98a96-0999-43f5-8af3-69971c7bb423": "activesync",
    "5d661950-3475-41cd-a2c3-d671a3162bc1": "outlook_windows_new",
}
APPS = tuple(CLIENTS)


def record(rng: random.Random, number: int, users: list[str], tenant: str, *, slim: bool) -> bytes:
    """One sign-in: about 600 bytes slim, else about 4 KB as beta writes it."""

    def guid() -> str:
        return str(uuid.UUID(int=rng.getrandbits(128)))

    moment = START + timedelta(seconds=number * 0.05)
    data: dict[str, object] = {
        "id": guid(),
        "createdDateTime": moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "7Z",
        "userId": rng.choice(users),
        "appId": rng.choice(APPS),
        "clientAppUsed": "Mobile Apps and Desktop clients",
        "isInteractive": False,
        "ipAddress": f"203.0.113.{number % 250}",
        "resourceId": "00000002-0000-0ff1-ce00-000000000000",
        "status": {"errorCode": rng.choice([0] * 20 + [50126, 90033])},
        "deviceDetail": {"operatingSystem": "Ios", "browser": "Mobile Safari 16.6"},
        "location": {"countryOrRegion": "DE"},
        "autonomousSystemNumber": rng.choice([3320, 8881, 6805]),
    }
    if not slim:
        policies = [
            {
                "id": guid(),
                "displayName": f"CA{i:03d}: Require something for all users and all apps",
                "enforcedGrantControls": ["Mfa"],
                "enforcedSessionControls": [],
                "result": "notApplied",
                "conditionsSatisfied": 1,
                "conditionsNotSatisfied": 2,
            }
            for i in range(7)
        ]
        data |= {
            "userDisplayName": "Adele Vance",
            "userPrincipalName": f"user{number}@contoso.example",
            "appDisplayName": "Outlook Mobile",
            "userAgent": f"Mozilla/5.0 (iPhone; CPU iPhone OS {rng.randrange(14, 19)}_3 like Mac "
            "OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "correlationId": guid(),
            "conditionalAccessStatus": "success",
            "originalRequestId": guid(),
            "tokenIssuerType": "AzureAD",
            "processingTimeInMilliseconds": rng.randrange(30, 900),
            "resourceDisplayName": "Office 365 Exchange Online",
            "resourceTenantId": tenant,
            "homeTenantId": tenant,
            "userType": "member",
            "servicePrincipalId": "",
            "signInEventTypes": ["nonInteractiveUser"],
            "uniqueTokenIdentifier": "ZTE0OTk3YTQtZjg5Mi00YjBi",
            "sessionId": guid(),
            **{f"risk{k}": "none" for k in ("Detail", "LevelAggregated", "LevelDuringSignIn")},
            "appliedConditionalAccessPolicies": policies,
            "authenticationProcessingDetails": [
                {"key": "Legacy TLS (TLS 1.0, 1.1, 3DES)", "value": "False"},
                {"key": "Oauth Scope Info", "value": '["user_impersonation"]'},
            ]
            * 4,
            "networkLocationDetails": [],
            "authenticationDetails": [],
            "sessionLifetimePolicies": [],
        }
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def write(path: Path, count: int, *, slim: bool) -> None:
    rng = random.Random(1)  # noqa: S311 # repeatable noise, no secrets
    users = [str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(5000)]
    tenant = str(uuid.UUID(int=rng.getrandbits(128)))
    with path.open("wb") as out:
        for number in range(count):
            out.write(record(rng, number, users, tenant, slim=slim))


def parse(unit: object) -> int:
    """Read one unit in a worker and forget the events, as a spool would take them."""
    from connectors.normalise.settings import NormaliseSettings  # noqa: PLC0415 # workers only
    from connectors.sources.files import read_unit  # noqa: PLC0415 # workers only

    settings = NormaliseSettings(b"a key for measuring")
    parts = read_unit(unit, settings, scan=True)  # type: ignore[arg-type] # pickled
    return sum(part.batch.num_rows for part in parts)


def warm(_: int = 0) -> None:
    """Load what reading needs, compiled code too, as DuckDB is loaded before its clock starts."""
    from connectors.sources.files import plan  # noqa: PLC0415 # not in DuckDB's process

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "few.jsonl"
        write(path, 1000, slim=True)
        for unit in plan([str(path)]).units:
            parse(unit)
    time.sleep(0.05)  # so that every worker of a pool gets a turn


def ours(path: str, processes: int) -> float:
    from connectors.sources.files import plan  # noqa: PLC0415 # not in DuckDB's process

    if processes == 1:
        warm()
        started = time.perf_counter()
        total = sum(map(parse, plan([path]).units))
    else:
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            list(pool.map(warm, range(4 * processes)))  # started before the clock is
            started = time.perf_counter()
            total = sum(pool.map(parse, plan([path]).units))
    return total / (time.perf_counter() - started)


def theirs(path: str, threads: int) -> float:
    import duckdb  # noqa: PLC0415 # not in our process

    connection = duckdb.connect()
    connection.execute(f"set threads={threads}")
    started = time.perf_counter()
    rows = connection.execute(QUERY.format(path=path)).fetchall()
    return sum(row[-2] for row in rows) / (time.perf_counter() - started)


def same_answer(path: str) -> None:
    """Both count the same records and users by minute, code and client."""
    import duckdb  # noqa: PLC0415 # only here

    from connectors.normalise.settings import NormaliseSettings  # noqa: PLC0415 # only here
    from connectors.sources.files import plan, read_unit  # noqa: PLC0415 # only here

    counts: Counter[tuple[object, ...]] = Counter()
    users: dict[tuple[object, ...], set[object]] = {}
    settings = NormaliseSettings(b"a key for measuring")
    for unit in plan([path]).units:
        for part in read_unit(unit, settings, scan=True):
            batch = part.batch.select(["event_time", "error_code", "client", "user"])
            columns = (c.to_pylist() for c in batch.columns)
            for moment, code, client, user in zip(*columns, strict=True):
                key = (moment.replace(second=0, microsecond=0, tzinfo=None), code, client)
                counts[key] += 1
                users.setdefault(key, set()).add(user)
    mine = {k: (n, len(users[k])) for k, n in counts.items()}
    rows = duckdb.connect().execute(QUERY.format(path=path)).fetchall()
    if mine != {(row[0], row[1], CLIENTS[row[3]]): row[-2:] for row in rows}:
        raise SystemExit("the answers differ")
    print(f"same answer in {len(mine)} cells")


def measure(path: Path, rounds: int) -> None:
    rates: dict[str, list[float]] = {}
    names = ("ours 1", "duckdb 1", "ours 2", "duckdb 2")
    for _ in range(rounds):
        for name in names:
            who, cores = name.split()
            command = [sys.executable, __file__, "--one", who, cores, str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rates.setdefault(name, []).append(float(done.stdout))
    for name in names:
        middle = statistics.median(rates[name]) / 1000
        spread = f"{min(rates[name]) / 1000:.0f}-{max(rates[name]) / 1000:.0f}"
        print(f"  {name:<10}{middle:8.0f} k records/s   ({spread})")
    for cores in ("1", "2"):
        mine, peer = (statistics.median(rates[f"{w} {cores}"]) for w in ("ours", "duckdb"))
        print(f"  ours / duckdb on {cores}: {mine / peer:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--file", type=Path, help="measure this file instead of made ones")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        who, cores, path = arguments.one
        print((ours if who == "ours" else theirs)(path, int(cores)))
        return
    if arguments.file:
        measure(arguments.file, arguments.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        for slim in (False, True):
            path = Path(folder) / f"signins-{'slim' if slim else 'beta'}.jsonl"
            count = arguments.records * (4 if slim else 1)
            write(path, count, slim=slim)
            print(f"{path.name}: {count} records of {path.stat().st_size // count} bytes")
            same_answer(str(path))
            measure(path, arguments.rounds)
            path.unlink()


if __name__ == "__main__":
    main()
