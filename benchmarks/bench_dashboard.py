"""How long each page of the dashboard takes with a full quarter behind it; the bar is 300 ms.

    python benchmarks/bench_dashboard.py [--incidents 10000] [--days 90] [--rounds 15]

A ledger of 10,000 incidents, 60 cells with 90 days of hours and 400 advisories is built in a
temporary folder and served on loopback; each page is asked for over HTTP, without an ETag, so
that nothing is saved. The peer is the JSON interface on the same ledger: the same rows without
the page around them. Exit code 1 if the 95th percentile of any page is above the bar.
"""

from __future__ import annotations

import argparse
import http.client
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from tests.unit.web import large_ledger
from tests.web.place import put_flags, serve_ledger

BAR_MS = 300.0
PEERS = {
    "/": "/api/v1/now",
    "/incidents": "/api/v1/incidents",
    "/advisories": "/api/v1/advisories",
    "/ledger": "/api/v1/ledger",
    "/sources": "/api/v1/sources",
    "/search?q=outlook": "/api/v1/search?q=outlook",
}


def addresses(count: int) -> list[str]:
    """Every page, and the dearest questions of the lists."""
    last, matched = f"inc-{count - 1:012x}", f"inc-{count // 2 // 25 * 25:012x}"
    return [
        "/",
        "/incidents",
        "/incidents?state=resolved&client=owa",
        "/incidents?severity=critical",
        "/incidents?text=outlook",
        f"/incidents/{last}",
        f"/incidents/{matched}",
        "/advisories",
        f"/advisories/{large_ledger.advisory_id(390)}",
        "/ledger",
        "/sources",
        "/destinations",
        "/search?q=outlook",
        "/help",
    ]


def ask(port: int, target: str, rounds: int) -> tuple[list[float], int]:
    """Milliseconds of each round, and the bytes of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    taken = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        connection.request("GET", target, headers={"Accept": "text/html"})
        answer = connection.getresponse()
        body = answer.read()
        taken.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            raise SystemExit(f"{target}: {answer.status}: {body[:300]!r}")
    connection.close()
    return taken[1:], len(body)  # the first one opens the ledger and reads the template


def main() -> None:
    """Build, serve, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--incidents", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    slow = []
    with tempfile.TemporaryDirectory(prefix="outrider-bench-") as folder:
        path = Path(folder) / "ledger.sqlite"
        began = time.perf_counter()
        ledger = large_ledger.build(path, incidents=given.incidents, days=given.days)
        put_flags(ledger)
        ledger.close()
        size = path.stat().st_size / 1e6
        print(f"built in {time.perf_counter() - began:.1f} s, {size:.0f} MB\n")
        print(f"{'page':44} {'kB':>6} {'median':>8} {'p95 ms':>8} {'as JSON':>8}")
        with serve_ledger(path) as place:
            for target in addresses(given.incidents):
                taken, length = ask(place.port, target, given.rounds)
                p95 = quantiles(taken, n=20)[-1]
                peer = PEERS.get(target)
                told = f"{median(ask(place.port, peer, given.rounds)[0]):8.1f}" if peer else ""
                print(
                    f"{target:44} {length / 1000:6.0f} {median(taken):8.1f} {p95:8.1f} {told}",
                    flush=True,
                )
                if p95 > BAR_MS:
                    slow.append(target)
    if slow:
        raise SystemExit(f"\nabove {BAR_MS:.0f} ms: {', '.join(slow)}")
    print(f"\nevery page under {BAR_MS:.0f} ms")


if __name__ == "__main__":
    main()
