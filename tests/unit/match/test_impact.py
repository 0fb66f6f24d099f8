from __future__ import annotations

from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from pipeline.match.impact import impact
from pipeline.match.ledger import LedgerKind, ledger
from pipeline.match.stage import advance
from pipeline.match.state import MatchState
from pipeline.model.advisory import Answer, Over
from pipeline.model.documents import to_json
from pipeline.model.incident import IncidentState
from pipeline.model.json_schema import schema_of
from pipeline.model.vocabulary import Client, Service
from tests.unit.match.making import T0, WHO, advisory, at, incident, spoken

C = Client
EXO = Service.EXCHANGE_ONLINE
WATCHED = {
    (EXO, C.OUTLOOK_IOS): (400, 0.04),
    (EXO, C.OUTLOOK_ANDROID): (200, 0.10),
    (EXO, C.OUTLOOK_MAC): (60, 0.25),
    (EXO, C.OWA): (500, 0.03),
    (EXO, C.IMAP4): (3, 1.0),
    (EXO, C.SYSTEM): (900, 0.01),
    (Service.TEAMS, C.TEAMS): (700, 0.02),
}


def test_affected_who_and_how_many() -> None:
    found = impact(advisory(), [incident()], WATCHED)
    assert (found.answer, found.over, found.affected_users) == (Answer.YES, Over.NO, 120)
    assert "at least 120" in found.statement
    assert {c.client for c in found.clients if c.answer is Answer.YES} == {
        C.OUTLOOK_IOS, C.OUTLOOK_ANDROID, C.OUTLOOK_MAC,
    }  # fmt: skip
    Draft202012Validator(schema_of(type(found), None)).validate(to_json(found))


def test_no_sign_says_what_would_have_been_seen() -> None:
    found = impact(advisory(), [], WATCHED)
    assert (found.answer, found.over) == (Answer.NO_SIGN, Over.NOT_AFFECTED)
    assert found.detectable_effect == 0.25  # of the weakest client
    assert "25%" in found.statement
    assert any("4%" in c.statement and "400 users" in c.statement for c in found.clients)


def test_too_few_users_or_no_log_is_cannot_tell() -> None:
    few = impact(advisory(posts=((2, "More info: IMAP4 fails."),)), [], WATCHED)
    assert (few.answer, few.clients[0].active_users) == (Answer.CANNOT_TELL, 3)
    unseen = impact(advisory(posts=((2, "More info: POP3 fails."),)), [], WATCHED)
    assert unseen.answer is Answer.CANNOT_TELL
    assert unseen.clients[0].detectable_effect is None
    mixed = impact(
        advisory(posts=((2, "More info: IMAP4 and Outlook on the web fail."),)), [], WATCHED
    )
    assert mixed.answer is Answer.CANNOT_TELL
    assert "IMAP4" in mixed.statement
    assert "no sign on Outlook on the web" in mixed.statement
    assert impact(advisory(), [], {}).answer is Answer.CANNOT_TELL


def test_an_advisory_without_clients_asks_for_all_of_its_service() -> None:
    found = impact(advisory(posts=((2, "Looking."),)), [], WATCHED)
    assert {c.client for c in found.clients} == {
        C.OUTLOOK_IOS, C.OUTLOOK_ANDROID, C.OUTLOOK_MAC, C.OWA, C.IMAP4,
    }  # fmt: skip
    assert found.answer is Answer.CANNOT_TELL


def test_kinds_of_trouble_that_leave_no_trace() -> None:
    found = impact(advisory(title="Valid email is flagged as spam"), [], WATCHED)
    assert found.answer is Answer.CANNOT_TELL
    assert "filtering" in found.statement


def test_a_withdrawn_advisory_affects_nobody() -> None:
    found = impact(advisory(status="falsePositive"), [incident()], WATCHED)
    assert found.answer is Answer.NO_SIGN
    assert "withdrew" in found.statement


@pytest.mark.parametrize(
    ("state", "resolved", "over"),
    [
        (IncidentState.OPEN, None, Over.NO),
        (IncidentState.RECOVERING, None, Over.RECOVERING),
        (IncidentState.RESOLVED, 400, Over.YES),
    ],
)
def test_is_it_over_for_us(state: IncidentState, resolved: float | None, over: Over) -> None:
    issue = advisory(posts=((66, WHO), (300, "Final status: The issue is resolved.")))
    ours = replace(incident(), state=state, resolved_at=None if resolved is None else at(resolved))
    found = impact(issue, [ours], WATCHED)
    assert found.over is over
    assert found.declared_restored_at == at(300)
    hit = next(c for c in found.clients if c.client is C.OUTLOOK_IOS)
    assert hit.over is over
    if resolved is not None:
        assert hit.over_at == at(resolved)
        assert "4 d 4 h before it was over for us" in hit.statement


def test_the_newest_revision_counts() -> None:
    over = replace(incident(resolved=5), revision=2)
    assert impact(advisory(posts=((2, WHO),)), [over, incident()], WATCHED).over is Over.YES


def test_an_attached_relisting_counts() -> None:
    first = advisory("EX900001", ((66, WHO), (70, "Final status: The issue is resolved.")))
    again = advisory("EX900002", ((380, f"{WHO}<br>Start time: {spoken(T0)}"),), start=380)
    _, out = advance(MatchState(), at(400), [incident()], [first, again])
    assert impact(again, out, WATCHED).answer is Answer.YES


def test_the_ledger_leaves_nothing_out() -> None:
    matched = incident("inc-1", resolved=100, published=101)
    late = incident("inc-late", onset=1000, raised=1010, clients=(C.OWA,))
    lonely = incident("inc-lonely", onset=0, raised=3, clients=(C.IMAP4,))
    issues = [
        advisory("EX900001", ((66, WHO),), start=60, modified=66),
        advisory("EX900001", ((66, WHO), (90, f"{WHO}<br>Start time: {spoken(at(1))}")), start=-2, modified=90),
        advisory("EX900002", ((1005, "More info: Outlook on the web fails."),)),
        advisory("EX900003", ((50, "Looking."),), title="Valid email is flagged as spam"),
        advisory("TM900004", ((55, "Looking."),), service="Microsoft Teams", title="Users can't sign in"),
    ]  # fmt: skip
    _, out = advance(MatchState(), at(1100), [matched, late, lonely], issues)
    rows = {(r.incident_id, r.advisory_id): r for r in ledger(out, issues)}
    assert {k: r.kind for k, r in rows.items()} == {
        ("inc-1", "EX900001"): LedgerKind.FIRST,
        ("inc-late", "EX900002"): LedgerKind.LATE,
        ("inc-lonely", None): LedgerKind.UNMATCHED_INCIDENT,
        (None, "EX900003"): LedgerKind.UNMATCHED_ADVISORY,
        (None, "TM900004"): LedgerKind.UNMATCHED_ADVISORY,
    }
    first = rows["inc-1", "EX900001"]
    assert (first.lead_seconds, first.raised_at) == (65 * 3600, at(1))
    assert (first.api_start_first, first.api_start_last) == (at(60), at(-2))
    assert (first.lead_start_api, first.lead_start_text) == (-2 * 3600, 3600)
    assert rows["inc-late", "EX900002"].lead_seconds == -5 * 3600
    assert not rows[None, "EX900003"].in_scope
    assert rows[None, "TM900004"].in_scope
    times = [min(t for t in (r.raised_at, r.first_published_at) if t) for r in ledger(out, issues)]
    assert times == sorted(times)


def test_the_ledger_counts_from_the_first_raising() -> None:
    ours = incident()
    moved = replace(ours, revision=2, raised_at=at(50), published_at=at(50))
    (row,) = ledger([moved, ours], [])
    assert row.raised_at == at(1)


def test_a_withdrawn_advisory_is_marked() -> None:
    (row,) = ledger([], [advisory(status="falsePositive")])
    assert row.kind is LedgerKind.WITHDRAWN
