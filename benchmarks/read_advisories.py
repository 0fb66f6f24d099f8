"""How well the clients of advisories are read from their text, against hand-made labels.

    python benchmarks/read_advisories.py PATH/advisories.jsonl

Each line: ``id``, ``service``, ``title``, ``impact_text``, perhaps ``more_info``,
``root_cause_short`` and ``label_client_types`` (absent = the text names no client).
``smtp_auth`` and Teams or Copilot clients follow from the service.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from connectors.advisories.issue import read_issue


def as_issue(row: dict[str, Any]) -> dict[str, Any]:
    content = f"More info: {row['more_info']}" if "more_info" in row else ""
    posts = [
        {"createdDateTime": "2026-01-01T00:00:00Z", "postType": "regular",
         "description": {"contentType": "html", "content": content}}
    ]  # fmt: skip
    return {
        "id": "EX1" if row["id"].startswith("UNNUMBERED") else row["id"],
        "title": row["title"],
        "service": row["service"],
        "status": row.get("status", ""),
        "classification": row.get("classification", ""),
        "impactDescription": row["impact_text"],
        "posts": posts,
    }


def main(path: str) -> int:
    right = wrong = missing = extra = 0
    print(f"{'id':<22}{'':<7}{'labelled':<52}{'read':<52}symptom  services")
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        want = set(row.get("label_client_types", ()))
        advisory = read_issue(as_issue(row))
        got = {str(c) for c in advisory.clients}
        right += want == got
        wrong += want != got
        missing += len(want - got)
        extra += len(got - want)
        print(
            f"{row['id']:<22}{'right' if want == got else 'WRONG':<7}"
            f"{','.join(sorted(want)) or '-':<52}{','.join(sorted(got)) or '-':<52}"
            f"{advisory.symptom}  {','.join(advisory.services) or 'suite'}"
        )
    print(f"\nright {right} of {right + wrong}; clients missed {missing}, clients too many {extra}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
