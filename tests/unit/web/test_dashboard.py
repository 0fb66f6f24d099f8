"""Pages without a browser: their headers, their parameters, and what strangers make up."""

from __future__ import annotations

import re

import pytest

from pipeline.runtime.config_routes import Notify
from pipeline.runtime.notify_settings import notify_settings
from pipeline.web.dashboard import Look
from pipeline.web.rendering import POLICY
from tests.unit.web.serving import site

PAGES = [
    "/",
    "/incidents",
    "/advisories",
    "/ledger",
    "/sources",
    "/destinations",
    "/search",
    "/help",
]
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    with site(tmp_path_factory.mktemp("pages")) as held:
        yield held


@pytest.mark.parametrize("target", [*PAGES, "/incidents/inc-0001"])
def test_every_page_says_what_a_browser_may_do(still, target):
    answer = still.ask(target, **HTML)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "Cookie" in answer.headers["Vary"]
    text = answer.body.decode()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert re.findall(r'(?:src|href)="(https?:|//)', text) == []


def test_files_are_named_by_their_content_and_kept_for_ever(still):
    text = still.ask("/help", **HTML).body.decode()
    paths = re.findall(r'"(/static/[^"]+)"', text)
    assert len(paths) == 3
    for path in paths:
        answer = still.ask(path)
        assert answer.status == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for made_up in ("/static/outrider.css", "/static/..%2fapp.py", "/static/%00"):
        assert still.ask(made_up).status == 404


@pytest.mark.parametrize(
    "target",
    [
        "/incidents?state=closed",
        "/incidents?severity=HIGH",
        "/incidents?client=%3Cscript%3E",
        "/incidents?before=x",
        "/incidents?before=1",
        "/incidents?before=99999999999999999999~a",
        "/incidents?tenant=" + "t" * 300,
        "/incidents?text=a&text=b",
        "/advisories?answer=maybe",
        "/ledger?kind=best",
    ],
)
def test_a_parameter_that_is_wrong_is_told_as_a_page(still, target):
    answer = still.ask(target, **HTML)
    assert answer.status == 400
    assert "text/html" in answer.headers["Content-Type"]
    assert b"<script>" not in answer.body


@pytest.mark.parametrize(
    "target", ["/incidents/none", "/advisories/none", "/nowhere", "/incidents/"]
)
def test_what_is_not_there_is_told_as_a_page_or_a_document(still, target):
    assert "text/html" in still.ask(target, **HTML).headers["Content-Type"]
    answer = still.ask(target)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_a_list_goes_on_without_a_gap_or_a_repetition(tmp_path):
    with site(tmp_path, count=120) as held:
        target, seen = "/incidents", []
        while target:
            text = held.ask(target, **HTML).body.decode()
            seen += re.findall(r'data-incident="([^"]+)"', text)
            found = re.search(r'<a href="([^"]+)" rel="next">', text)
            target = found[1].replace("&amp;", "&") if found else ""
        assert len(seen) == len(set(seen)) == 120
        assert seen == sorted(seen, reverse=True)


def test_filters_narrow_the_list(still):
    def ids(query):
        text = still.ask(f"/incidents?{query}", **HTML).body.decode()
        return set(re.findall(r'data-incident="([^"]+)"', text))

    everything = ids("")
    assert len(everything) == 12
    # The fields of a form that nobody filled in are no filter.
    assert ids("state=&severity=&verdict=&client=&text=") == everything
    assert ids("state=open") | ids("state=resolved") == everything
    assert ids("state=open") & ids("state=resolved") == set()
    assert ids("severity=high") == everything
    assert ids("severity=low") == set()
    assert ids("verdict=attack") == {"inc-0000", "inc-0004", "inc-0008"}
    assert ids("client=owa&tenant=other-tenant") == {"inc-0000"}


def test_an_etag_is_of_one_page_and_one_state(still):
    first = still.ask("/incidents", **HTML)
    tag = first.headers["ETag"]
    other = still.ask("/incidents?state=open", if_none_match=tag, **HTML)
    assert other.status == 200
    assert other.headers["ETag"] != tag
    still.health.problem = "the disk is full"
    try:
        assert still.ask("/incidents", if_none_match=tag, **HTML).status == 200
    finally:
        still.health.problem = None


def test_the_page_of_an_incident_says_why_each_destination_is_told_or_not(tmp_path):
    told = '{"routes": {"pages": {"sinks": ["slack.team"], "match": ["severity>=low"]}}}'
    settings = notify_settings(Notify.model_validate_json(told), ["slack.team"])
    with site(tmp_path, look=Look(notify=settings)) as held:
        text = held.ask("/incidents/inc-0001", **HTML).body.decode()
    assert "Why, and what comes next" in text
    assert "<b>slack.team</b> (told)" in text


def test_where_others_decide_what_people_are_told_nothing_is_said_of_it(still):
    assert b"Why, and what comes next" not in still.ask("/incidents/inc-0001", **HTML).body
