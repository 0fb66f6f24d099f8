"""Documents for tests of record sinks: whole flags and incidents, told apart by their names."""

from __future__ import annotations

import json
from functools import cache

from tests.unit.connectors import encoded


def record(name, revision, text="Outlook for iOS: fewer users than usual"):
    """An incident whose headline is ``text``, or a flag if its name begins so."""
    if name.startswith("flag"):
        return json.loads(usual("flag")) | {
            "flag_id": name,
            "revision": revision,
            "detector": text[:40],
        }
    return json.loads(usual("incident")) | {
        "incident_id": name,
        "revision": revision,
        "headline": text,
    }


@cache
def usual(kind):
    return json.dumps(getattr(encoded, kind)())
