"""The report of ``outrider check`` as plain text, for 80 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Final

from pipeline.notify.clean import clean
from pipeline.notify.words import plural
from pipeline.runtime.checking.finding import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.runtime.checking.finding import Finding

WIDTH: Final = 80
_WHAT: Final = 13
_MARKS: Final = {State.OK: "ok", State.WARN: "WARN", State.FAIL: "FAIL", State.SKIP: "skip"}


def finding_lines(finding: Finding) -> list[str]:
    """One finding: how it ended, what was found, and below it what to do."""
    head = f"  {_MARKS[finding.state]:4}  {clean(finding.what):{_WHAT}} "
    lines = _wrapped(clean(finding.told), head, " " * len(head))
    if finding.remedy:
        mark = " " * (len(head) - 3) + "-> "
        lines += _wrapped(clean(finding.remedy, 600), mark, " " * len(head))
    return lines


def checked_text(findings: Sequence[Finding]) -> str:
    """All findings by place, in the order in which the places were first looked at."""
    places: dict[str, list[Finding]] = {}
    for finding in findings:
        places.setdefault(finding.where, []).append(finding)
    parts = [
        "\n".join([clean(where), *(line for f in found for line in finding_lines(f))])
        for where, found in places.items()
    ]
    return "\n\n".join([*parts, _closing(findings)])


def _closing(findings: Iterable[Finding]) -> str:
    counted = Counter(f.state for f in findings)
    told = [plural(counted[State.FAIL], "failure"), plural(counted[State.WARN], "warning")]
    told.append(f"{counted[State.OK]} ok")
    if counted[State.SKIP]:
        told.append(f"{counted[State.SKIP]} not tried")
    return ", ".join(told) + "."


def _wrapped(text: str, head: str, indent: str) -> list[str]:
    # An address or a command is copied whole: it may stand out over the edge.
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]
