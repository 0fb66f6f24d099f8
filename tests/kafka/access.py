"""The access rules that the page on security tells of, as the tests give them to roles."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "kafka-security.md"
_ROW = re.compile(
    r"^\| `(\w+)` \| ([a-z ]+?)(, prefixed)? \| `([\w.-]+)` \| ([\w, ]+) \|$", re.MULTILINE
)


def rules(role, prefix):
    """(resource, pattern, name, operation) of a role, for topics of another prefix."""
    found = [
        (
            kind.upper().replace(" ", "_"),
            "PREFIXED" if prefixed else "LITERAL",
            name.replace("outrider", prefix, 1),
            re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper(),
        )
        for whose, kind, prefixed, name, operations in _ROW.findall(PAGE.read_text("utf-8"))
        if whose == role
        for operation in operations.split(", ")
    ]
    assert found, f"{PAGE.name} has no rules for {role}"
    return found
