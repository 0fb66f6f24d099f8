"""Show how every record below a path is understood: events, ignored kinds, rejects.

    python benchmarks/parse_samples.py PATH...

For each file one line of counts, then what was left out and why. With ``--expected CSV`` the
events are compared with a table of values read from the same records by hand (columns file,
record, createdDateTime, errorCode, country).
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

from connectors.normalise.settings import NormaliseSettings
from connectors.normalise.tally import Tally
from connectors.normalise.times import parse_time
from connectors.sources.files import plan, read_unit

SETTINGS = NormaliseSettings(b"a key for looking at samples")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--expected", type=Path)
    arguments = parser.parse_args()
    layout = plan(arguments.paths)
    total = Tally()
    events: dict[str, list[dict[str, object]]] = {}
    print(f"{'records':>8}{'events':>8}{'ignored':>8}{'rejects':>8}  file")
    refused = []
    for unit in layout.units:
        rows: list[dict[str, object]] = []
        counts: Counter[str] = Counter()
        for part in read_unit(unit, SETTINGS):
            total.merge(part.tally)
            rows += part.batch.to_pylist()
            refused += part.rejects
            counts.update(received=part.received, ignored=part.ignored, rejects=len(part.rejects))
        events[unit.path] = rows
        figures = (counts["received"], len(rows), counts["ignored"], counts["rejects"])
        print("".join(f"{n:>8}" for n in figures), "", unit.path)
    for path in layout.advisory_paths:
        print(f"{'advisory':>32}  {path}")
    for reject in (*layout.rejects, *refused):
        print(f"reject: {reject.path} line {reject.line} record {reject.record}: {reject.detail}")
    for name, count in (*total.records.most_common(), *total.ignored.most_common()):
        print(f"{count:>8} {name}")
    clients = Counter(str(row["client"]) for rows in events.values() for row in rows)
    print("clients:", dict(clients.most_common()))
    print("unmatched clients:", total.unmatched_clients.most_common(20))
    print("unknown codes:", dict(total.unknown_codes))
    return _compare(events, arguments.expected) if arguments.expected else 0


def _compare(events: dict[str, list[dict[str, object]]], table: Path) -> int:
    """Whether each expected event time stands in its file, with code and country."""
    wrong = agreed = skipped = 0
    for row in csv.DictReader(table.open(newline="")):
        moment = parse_time(row["createdDateTime"]) if row["createdDateTime"] else None
        found = [
            event
            for path, rows in events.items()
            if path.endswith(row["file"])
            for event in rows
            if moment is not None and event["event_time"].timestamp() * 1e6 // 1 == moment  # type: ignore[attr-defined] # a datetime
        ]
        if not found:
            skipped += 1
            continue
        code = int(row["errorCode"]) if row["errorCode"] else None
        good = any(
            (code is None or event["error_code"] == code)
            and (event["country"] or "") == row["country"]
            for event in found
        )
        agreed += good
        wrong += not good
        if not good:
            print("differs:", row["file"], row["record"], row["errorCode"], row["country"])
    print(f"expected values: {agreed} agree, {wrong} differ, {skipped} gave no event")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
