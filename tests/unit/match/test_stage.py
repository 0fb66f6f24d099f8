from __future__ import annotations

import json
import pickle
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.match.stage import TRACK, advance, drain
from pipeline.match.state import MatchState
from pipeline.model.errors import StateError
from pipeline.model.incident import Incident, IncidentState, RevisionReason
from pipeline.model.vocabulary import Client, Verdict
from tests.unit.match.making import T0, WHO, advisory, at, incident, spoken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.model.advisory import Advisory

R = RevisionReason
END = at(24 * 60)
VAGUE = "Current status: We're looking into it."
RESTORED = "Final status: The issue is resolved."


def run(
    incidents: Sequence[Incident], advisories: Sequence[Advisory], cuts: Sequence[float] = ()
) -> tuple[Incident, ...]:
    """All advisories at first; incidents as their time comes; state written down at each cut."""
    state, out = MatchState(), []
    left = sorted(incidents, key=lambda i: i.published_at)
    for n, until in enumerate([*(at(c) for c in sorted(cuts)), END]):
        due = [i for i in left if i.published_at <= until]
        left = left[len(due) :]
        state, given_out = advance(state, until, due, advisories if n == 0 else ())
        out += given_out
        state = MatchState.restore(json.loads(json.dumps(state.snapshot())))
    return tuple(out)


def told(out: Sequence[Incident]) -> list[tuple[float, R, str | None]]:
    return [
        (
            (i.published_at - T0).total_seconds() / 3600,
            i.reason,
            i.advisory.advisory_id if i.advisory else None,
        )
        for i in out
    ]


def story() -> tuple[list[Incident], list[Advisory]]:
    """Found at once, listed on the third day, declared restored too early, listed again."""
    first = incident(raised=1)
    wider = replace(first, reason=R.SPREAD, published_at=at(5))
    over = replace(
        first,
        reason=R.RESOLVED,
        state=IncidentState.RESOLVED,
        resolved_at=at(600),
        published_at=at(612),
    )
    old = advisory("EX900001", ((66, VAGUE), (70, WHO), (300, RESTORED)), modified=300)
    again = advisory("EX900002", ((380, f"{WHO}<br>Start time: {spoken(at(-2))}"),), start=380)
    return [first, wider, over], [again, old]


def test_the_story_is_told_in_order_with_a_reason_each() -> None:
    out = run(*story())
    assert told(out) == [
        (1, R.OPENED, None),
        (5, R.SPREAD, None),
        (66, R.MATCHED, "EX900001"),
        (300, R.ADVISORY_CHANGED, "EX900001"),
        (380, R.ADVISORY_CHANGED, "EX900001"),
        (612, R.RESOLVED, "EX900001"),
    ]
    assert [i.revision for i in out] == [1, 2, 3, 4, 5, 6]
    relisted = out[4].advisory
    assert relisted is not None
    assert relisted.relisted_as == ("EX900002",)
    assert [m.advisory_id for m in out[4].other_advisories] == ["EX900002"]
    assert any("not over for us" in r for r in out[3].advisory.reasons)  # type: ignore[union-attr] # None would fail
    assert out[2].advisory is not None
    assert out[2].advisory.lead_seconds == 65 * 3600


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.floats(0, 700), max_size=8))
def test_stream_and_backfill_agree(cuts: list[float]) -> None:
    assert run(*story(), cuts) == run(*story())


MOMENTS = st.integers(0, 500).map(float)


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Incident], list[Advisory]]:
    incidents = []
    for n in range(draw(st.integers(1, 3))):
        clients = draw(st.sampled_from([(Client.OUTLOOK_IOS,), (Client.IMAP4,), (Client.OWA,)]))
        onset = draw(MOMENTS)
        first = incident(f"inc-{n}", onset=onset, raised=onset + 1, clients=clients)
        incidents.append(first)
        if draw(st.booleans()):
            end = onset + draw(st.integers(2, 300))
            incidents.append(
                replace(first, reason=R.RESOLVED, state=IncidentState.RESOLVED,
                        resolved_at=at(end), published_at=at(end + 12))
            )  # fmt: skip
    texts = [VAGUE, WHO, RESTORED, "More info: IMAP4 fails.", "Final status: A false alarm."]
    advisories = []
    for n in range(draw(st.integers(0, 3))):
        hours = sorted(draw(st.lists(MOMENTS, min_size=1, max_size=4, unique=True)))
        posts = tuple((h, draw(st.sampled_from(texts))) for h in hours)
        modified = hours[-1] + draw(st.integers(0, 9))
        advisories.append(advisory(f"EX90000{n}", posts, modified=modified))
    return incidents, advisories


@settings(max_examples=60, deadline=None)
@given(story=stories(), cuts=st.lists(st.floats(0, 900), max_size=4))
def test_any_story_is_told_the_same_however_it_is_cut(
    story: tuple[list[Incident], list[Advisory]], cuts: list[float]
) -> None:
    out = run(*story)
    assert run(*story, cuts) == out
    times = [i.published_at for i in out]
    assert times == sorted(times)
    numbers: dict[str, list[int]] = defaultdict(list)
    for i in out:
        numbers[i.incident_id].append(i.revision)
    assert all(n == list(range(1, len(n) + 1)) for n in numbers.values())
    for i in out:
        if i.advisory is not None:
            (issue,) = [a for a in story[1] if a.advisory_id == i.advisory.advisory_id]
            assert issue.first_published_at is not None
            assert issue.first_published_at <= i.published_at  # nothing is known in advance


@settings(max_examples=30, deadline=None)
@given(story=stories())
def test_an_unrelated_advisory_changes_nothing(
    story: tuple[list[Incident], list[Advisory]],
) -> None:
    incidents, advisories = story
    teams = advisory("TM900009", ((3, "More info: Chats."), (400, RESTORED)), service="Microsoft Teams",
                     title="Users can't sign in to Microsoft Teams")  # fmt: skip
    assert run(incidents, [*advisories, teams]) == run(incidents, advisories)


def test_an_incident_after_the_advisory_carries_it_from_the_start() -> None:
    out = run([incident(raised=80)], [advisory()])
    assert told(out) == [(80, R.OPENED, "EX900001")]
    assert out[0].advisory is not None
    assert out[0].advisory.lead_seconds == -14 * 3600


def test_a_withdrawal_takes_the_match_back() -> None:
    issue = advisory(posts=((66, WHO), (90, "Final status: This was a false alarm.")))
    assert told(run([incident()], [issue]))[1:] == [
        (66, R.MATCHED, "EX900001"),
        (90, R.ADVISORY_CHANGED, None),
    ]
    never = advisory(status="falsePositive")
    assert told(run([incident()], [never])) == [(1, R.OPENED, None)]


def test_a_status_of_a_later_version_counts_from_then_on() -> None:
    first = advisory(modified=66)
    second = advisory(modified=99, status="falsePositive")
    assert told(run([incident()], [second, first]))[1:] == [
        (66, R.MATCHED, "EX900001"),
        (99, R.ADVISORY_CHANGED, None),
    ]


def test_a_start_that_is_dated_back_is_told() -> None:
    issue = advisory(posts=((66, WHO), (80, f"Start time: {spoken(T0)}")))
    out = run([incident()], [issue])
    assert told(out)[1:] == [(66, R.MATCHED, "EX900001"), (80, R.ADVISORY_CHANGED, "EX900001")]
    assert [i.advisory.start_used for i in out[1:] if i.advisory] == ["first_post", "text"]


def test_a_post_that_says_nothing_new_is_no_revision() -> None:
    issue = advisory(posts=((66, WHO), (67, VAGUE), (68, WHO)))
    assert len(run([incident()], [issue])) == 2


def test_a_slightly_better_advisory_does_not_replace_the_first() -> None:
    one = advisory("EX900002", ((30, WHO),))
    two = advisory("EX900001", ((29, "More info: The Outlook mobile apps."), (40, WHO)))
    assert told(run([incident()], [two, one])) == [
        (1, R.OPENED, None),
        (29, R.MATCHED, "EX900001"),
        (30, R.MATCHED, "EX900002"),
    ]


def test_the_first_listing_leads_whenever_the_incident_comes() -> None:
    _, advisories = story()
    out = run([incident(raised=390)], advisories)
    assert out[0].advisory is not None
    assert (out[0].advisory.advisory_id, out[0].advisory.relisted_as) == ("EX900001", ("EX900002",))


def test_a_revision_handed_in_twice_is_given_out_once() -> None:
    state, first = advance(MatchState(), at(2), [incident()])
    _, second = advance(state, at(3), [incident()])
    assert (len(first), len(second)) == (1, 0)


def test_a_revision_of_the_future_waits_and_is_drained() -> None:
    state, out = advance(MatchState(), at(0), [incident(raised=5)], [advisory()])
    assert out == ()
    assert told(drain(state)[1]) == [(5, R.OPENED, None)]
    assert [r for _, r, _ in told(drain(state, at(100))[1])] == [R.OPENED, R.MATCHED]
    assert drain(MatchState()) == (MatchState(), ())


def test_an_advisory_fetched_late_takes_effect_at_the_clock() -> None:
    state, _ = advance(MatchState(), at(100), [incident()])
    state, out = advance(state, at(110), [], [advisory()])
    assert told(out) == [(100, R.MATCHED, "EX900001")]
    assert advance(state, at(111), [], [advisory()])[1] == ()


def test_an_incident_handed_in_late_is_judged_by_what_was_known_then() -> None:
    state, _ = advance(MatchState(), at(100), [], [advisory()])
    _, out = advance(state, at(101), [incident()])
    assert told(out) == [(1, R.OPENED, None), (100, R.MATCHED, "EX900001")]


def test_after_two_weeks_an_incident_is_let_go_and_its_numbers_go_on() -> None:
    over = incident(resolved=10, published=12)
    issue = advisory(
        posts=((10 + TRACK / timedelta(hours=1) + 1, f"{WHO}<br>Start time: {spoken(T0)}"),)
    )
    state, out = advance(MatchState(), at(500), [over], [issue])
    assert [i.reason for i in out] == [R.RESOLVED]
    assert not state.tracked
    assert len(state.history) == 1
    again = replace(
        over, reason=R.REOPENED, state=IncidentState.OPEN, resolved_at=None, published_at=at(501)
    )
    assert [i.revision for i in advance(state, at(502), [again])[1]] == [2]


def test_state_stays_bounded_over_a_year() -> None:
    state = MatchState()
    for week in range(52):
        hours = week * 168.0
        issue = advisory(f"EX8{week:05}", ((hours + 3, WHO), (hours + 6, RESTORED)))
        ours = incident(f"inc-{week}", onset=hours, raised=hours + 1, resolved=hours + 5)
        state, _ = advance(state, at(hours + 168), [ours], [issue])
    assert len(state.tracked) <= 3
    assert len(state.history) <= 9
    assert len(state.versions) <= 14
    assert not state.agenda


def test_the_state_can_be_pickled_and_written_down() -> None:
    incidents, advisories = story()
    state, _ = advance(MatchState(), at(100), incidents, advisories)
    copy = MatchState.restore(json.loads(json.dumps(state.snapshot())))
    assert copy == state
    assert pickle.loads(pickle.dumps(state)) == state  # noqa: S301 # our own bytes
    assert state.pending


@pytest.mark.parametrize("damage", [{"schema": "other/1"}, {"tracked": [{}]}, {"clock": "noon"}])
def test_a_damaged_snapshot_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(StateError, match="match state"):
        MatchState.restore({**MatchState().snapshot(), **damage})


def test_recurrences_are_known_by_their_fingerprint() -> None:
    first = incident("inc-1", resolved=10, published=12)
    kinds = {
        "inc-same": incident("inc-same", onset=200, raised=201),
        "inc-other-client": incident(
            "inc-other-client", onset=200, raised=201, clients=(Client.IMAP4,)
        ),
        "inc-other-verdict": incident(
            "inc-other-verdict", onset=200, raised=201, verdict=Verdict.ATTACK
        ),
        "inc-other-tenant": incident(
            "inc-other-tenant", onset=200, raised=201, tenants=("fabrikam",)
        ),
        "inc-before": incident("inc-before", onset=5, raised=201),
        "inc-too-late": incident("inc-too-late", onset=10 + 24 * 30 + 1, raised=24 * 32),
    }
    for name, later in kinds.items():
        out = run([first, later], [])
        assert out[-1].recurrence_of == (("inc-1",) if name == "inc-same" else ()), name


def test_nothing_is_changed_in_the_state_handed_in() -> None:
    incidents, advisories = story()
    state, _ = advance(MatchState(), at(70), incidents[:2], advisories)
    before = json.dumps(state.snapshot())
    advance(state, END, incidents[2:], [advisory("EX900007")])
    assert json.dumps(state.snapshot()) == before


def test_a_retracted_incident_has_no_advisory_and_is_forgotten_in_time() -> None:
    first = incident(published=70)
    back = replace(first, state=IncidentState.RETRACTED, reason=R.CORRECTED, published_at=at(72))
    posts = [advisory(posts=((66.0, WHO), (80.0, WHO)))]
    assert told(run([first, back], posts)) == [
        (70, R.OPENED, "EX900001"),
        (72, R.CORRECTED, None),
    ]
    state, _ = advance(MatchState(), at(72), [first, back])
    assert len(state.tracked) == 1
    state, _ = advance(state, at(73) + TRACK, ())
    assert not state.tracked
    assert not state.history
