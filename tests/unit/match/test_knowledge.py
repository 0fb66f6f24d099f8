"""Looking back never sees what was published later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.advisory import Advisory, Symptom
from pipeline.model.knowledge import as_of, known_at, moments
from pipeline.model.vocabulary import Client
from tests.unit.match.making import T0, WHO, advisory, at, spoken

TEXTS = [
    WHO,
    "More info: IMAP4 users are affected, but other connection methods were not impacted.",
    "More info: Users may fail through any connection method.",
    "Current status: We're looking into it.",
    f"Final status: The issue is resolved.Start time: {spoken(T0)}",
    f"Start time: {spoken(T0 - timedelta(days=9))}",
    "Scope of impact: Users in Germany.",
    "Final status: This was a false alarm.",
    "More info: It continues EX900009.",
]
POSTS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(TEXTS)),
    min_size=1,
    max_size=6,
    unique_by=lambda p: p[0],
).map(lambda ps: tuple(sorted((float(h), t) for h, t in ps)))


def test_nothing_is_known_before_the_first_post() -> None:
    issue = advisory(posts=((10, WHO), (20, WHO)))
    assert as_of(issue, at(9.99)) is None
    known = as_of(issue, at(10))
    assert known is not None
    assert len(known.posts) == 1


def test_from_its_own_time_of_modification_it_is_itself() -> None:
    issue = advisory(posts=((10, WHO), (20, WHO)), start=1, modified=30)
    assert as_of(issue, at(30)) == issue
    before = as_of(issue, at(29.9))
    assert before is not None
    assert before.start_at is None
    assert len(before.posts) == 2


def test_clients_named_later_are_not_known_yet() -> None:
    issue = advisory(posts=((10, "We're looking into it."), (20, WHO)), modified=50)
    first, second = as_of(issue, at(15)), as_of(issue, at(25))
    assert first is not None
    assert second is not None
    assert first.clients == ()
    assert Client.OUTLOOK_IOS in second.clients
    assert first.symptom is second.symptom is Symptom.ACCESS


def test_title_impact_and_status_are_those_of_the_posts() -> None:
    issue = advisory(
        posts=((10, "User impact: Some users."), (20, "Final status: The issue is resolved.")),
        status="postIncidentReviewPublished",
        modified=90,
    )
    issue = replace(issue, title="Told with hindsight", impact_description="All of it")
    open_, closed = as_of(issue, at(15)), as_of(issue, at(25))
    assert open_ is not None
    assert closed is not None
    assert "hindsight" not in open_.title
    assert open_.impact_description == "Some users."
    assert (open_.status, closed.status) == ("serviceDegradation", "serviceRestored")
    assert (open_.restored_at, closed.restored_at) == (None, at(20))


@given(posts=POSTS, cut=st.integers(0, 41), data=st.data())
def test_the_future_changes_nothing(
    posts: tuple[tuple[float, str], ...], cut: int, data: st.DataObject
) -> None:
    past = tuple(p for p in posts if p[0] <= cut)
    future = tuple((cut + 1.0 + h, t) for h, t in data.draw(POSTS))
    one = advisory(posts=posts, start=-3, modified=200, status="serviceRestored")
    two = advisory(
        posts=past + future, title="Another title", impact="IMAP4", modified=300,
        status="falsePositive", start=-99, end=7,
    )  # fmt: skip
    two = replace(two, posts=tuple(_titled(two, one)))
    assert as_of(one, at(cut)) == as_of(two, at(cut))


def _titled(two: Advisory, one: Advisory) -> list:  # type: ignore[type-arg] # posts
    same = {p.created_at: p for p in one.posts}
    return [same.get(p.created_at, p) for p in two.posts]


@given(posts=POSTS, cuts=st.lists(st.integers(0, 41), min_size=2, max_size=2))
def test_what_was_public_stays_public(
    posts: tuple[tuple[float, str], ...], cuts: list[int]
) -> None:
    issue = advisory(posts=posts, modified=60)
    early, late = (as_of(issue, at(c)) for c in sorted(cuts))
    if early is not None:
        assert late is not None
        assert late.posts[: len(early.posts)] == early.posts
        assert late.first_published_at == early.first_published_at


def test_a_start_that_was_rewritten_is_known_as_it_was() -> None:
    first = advisory(posts=((10, WHO),), start=8, modified=10)
    second = advisory(posts=((10, WHO), (40, WHO)), start=-100, modified=40)
    versions = (second, first)
    known = [known_at(versions, at(h)) for h in (10, 39, 40)]
    assert [k.start_at for k in known if k] == [at(8), at(8), at(-100)]


def test_posts_of_a_later_version_are_known_when_they_were_published() -> None:
    first = advisory(posts=((10, "Looking."),), modified=10, start=9)
    second = advisory(posts=((10, "Looking."), (20, WHO), (40, WHO)), modified=40)
    known = known_at((first, second), at(25))
    assert known is not None
    assert Client.OUTLOOK_IOS in known.clients
    assert known.start_at == at(9)
    assert [p.created_at for p in known.posts] == [at(10), at(20)]


def test_an_edited_post_is_read_as_it_stood() -> None:
    first = advisory(posts=((10, "Looking."),), modified=10)
    second = advisory(posts=((10, WHO),), modified=40)
    known = [known_at((first, second), at(h)) for h in (20, 40)]
    assert [bool(k.clients) for k in known if k] == [False, True]


def test_a_later_edit_does_not_move_the_restoration() -> None:
    first = advisory(posts=((10, "Looking."),), modified=30, status="serviceRestored")
    second = advisory(posts=((10, "Looking."),), modified=60, status="postIncidentReviewPublished")
    known = known_at((first, second), at(70))
    assert known is not None
    assert known.restored_at == at(30)


def test_an_advisory_without_any_time_is_never_known() -> None:
    issue = replace(advisory(posts=()), last_modified_at=None, start_at=at(0))
    assert moments(issue) == ()
    assert known_at((issue,), at(10_000)) is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_order_of_versions_does_not_matter(order: tuple[int, int]) -> None:
    versions = (advisory(modified=70, start=3), advisory(modified=80, start=-3))
    shuffled = tuple(versions[i] for i in order)
    assert known_at(shuffled, at(100)) == versions[1]
