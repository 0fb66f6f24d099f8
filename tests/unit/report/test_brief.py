from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pipeline.model.incident import IncidentState
from pipeline.model.vocabulary import Verdict
from pipeline.notify.brief import NO_ADVISORY, brief, split_evidence
from pipeline.report.text import incident_text, table

if TYPE_CHECKING:
    from types import ModuleType


def test_every_question_has_its_answer(sample: ModuleType) -> None:
    facts = brief(sample.incident(), time_zone="Europe/Berlin")
    assert facts.who == "341 users of Exchange Online, 6\u202f872 user-hours lost"
    assert facts.clients == "Outlook for iOS, Outlook for Android and new Outlook for Mac"
    assert facts.since.startswith("Thu 19 Mar 2026 07:41 UTC (08:41 CET); over Sat 21 Mar")
    assert facts.works.startswith("Outlook on the web (99.3 % succeed, 188 of the affected")
    assert facts.fault == "Microsoft's (96 % sure)"
    assert facts.advisory == "EX1256020; we knew 3 h 13 min before its first post"
    assert "country DE: 61 % of the affected, usually 58 %" in facts.where


def test_being_late_is_told_as_plainly(sample: ModuleType) -> None:
    match = replace(sample.incident().advisory, lead_seconds=-600.0)
    assert "10 min after its first post" in brief(sample.incident(advisory=match)).advisory


def test_no_advisory_yet(sample: ModuleType) -> None:
    assert brief(sample.incident(advisory=None)).advisory == NO_ADVISORY
    attack = sample.incident(advisory=None, verdict=Verdict.ATTACK)
    assert brief(attack).advisory == "none matches"


@pytest.mark.parametrize(
    ("state", "says"),
    [(IncidentState.OPEN, "still going on"), (IncidentState.RECOVERING, "recovering")],
)
def test_what_is_not_over_is_not_called_over(
    sample: ModuleType, state: IncidentState, says: str
) -> None:
    assert brief(sample.incident(state=state, resolved_at=None)).since.endswith(says)


def test_little_known_is_said(sample: ModuleType) -> None:
    facts = brief(sample.incident(scope=(), healthy_clients=(), affected_users=0, clients=()))
    assert facts.where.startswith("everywhere")
    assert facts.works == facts.clients == "not known"
    assert facts.who.startswith("users unknown")
    gap = sample.incident(scope=(), verdict=Verdict.TELEMETRY_GAP)
    assert brief(gap).where == "not known"


def test_evidence_is_on_the_right_side(sample: ModuleType) -> None:
    supporting, opposing = split_evidence(sample.incident())
    assert [e.weight for e in supporting] == [3.1, 2.2, -2.0, -1.7]
    assert [e.weight for e in opposing] == [-0.6, 0.3]


def test_one_fact_is_told_once_where_it_weighs_most(sample: ModuleType) -> None:
    first = sample.incident().evidence[0]
    twin = replace(first, verdict=Verdict.ATTACK, weight=1.0)
    supporting, opposing = split_evidence(sample.incident(evidence=(twin, first)))
    assert supporting == [first]
    assert opposing == []


def test_the_text_fits_and_holds_all(sample: ModuleType) -> None:
    text = incident_text(sample.incident(), width=80)
    assert max(map(len, text.splitlines())) <= 80
    for word in (
        "[HIGH, resolved]",
        "Whose fault",
        "+ 3 clients fell",
        "- not one failure",
        "inc-33c",
    ):
        assert word in text


def test_hostile_text_moves_no_cursor(sample: ModuleType) -> None:
    text = incident_text(sample.incident(headline="a\x1b[2Jb\r\n\u202ec" + "x" * 70_000))
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\u202e" not in text
    assert len(text) < 5000


def test_a_table_is_aligned() -> None:
    assert table(("A", "B"), [["long", "x"], ["s", "y"]]) == "A     B\nlong  x\ns     y"
