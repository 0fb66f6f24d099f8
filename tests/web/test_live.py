"""An open page follows the ledger by itself, says when it cannot, and disturbs nobody."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from pipeline.model.documents import to_json
from tests.unit.report import sample_folder
from tests.unit.web import large_ledger
from tests.web.chromium import watched
from tests.web.place import serve_ledger

POLL = 0.2


def new_incident(number, **changes):
    made = to_json(sample_folder.incident())
    stamp = f"{large_ledger.NOW:%Y-%m-%dT%H:%M:%SZ}"
    made |= {
        "incident_id": f"inc-new-{number}",
        "revision": 1,
        "state": "open",
        "severity": "critical",
        "headline": f"Something new, number {number}",
        "onset_at": stamp,
        "raised_at": stamp,
        "published_at": stamp,
        **changes,
    }
    made.pop("resolved_at", None)
    return (made["incident_id"], made["revision"], made["tenants"][0], json.dumps(made))


def add(ledger, *rows):
    with ledger.transaction():
        ledger.add_documents("incident", list(rows))


@pytest.fixture
def ledger(tmp_path):
    held = large_ledger.small(tmp_path / "ledger.sqlite")
    yield held
    held.close()


@pytest.mark.parametrize("target", ["/", "/incidents"])
def test_a_new_incident_shows_without_a_reload(browser, ledger, target):
    with serve_ledger(ledger.path, poll=POLL) as place, watched(browser) as held:
        page = held.context.new_page()
        page.goto(place.root + target)
        page.evaluate("window.kept = true")
        assert page.locator("#live").inner_text().startswith("Live")
        add(ledger, new_incident(1))
        page.locator('[data-incident="inc-new-1"]').wait_for()
        assert page.evaluate("window.kept")
        # Who does not see it hears it.
        assert page.locator("#announce").inner_text() == "New: Something new, number 1"
        if target == "/":
            assert "critical" in page.locator("h1").inner_text()


def test_an_open_incident_follows_its_revisions_and_keeps_what_is_open(browser, ledger):
    add(ledger, new_incident(1))
    with serve_ledger(ledger.path, poll=POLL) as place, watched(browser) as held:
        page = held.context.new_page()
        page.goto(place.root + "/incidents/inc-new-1")
        summary = page.get_by_text("revision by revision")
        summary.click()
        summary.focus()
        add(ledger, new_incident(1, revision=2, headline="It has spread", reason="spread"))
        page.locator("h1", has_text="It has spread").wait_for()
        page.locator("#told td", has_text="spread").first.wait_for()
        assert page.locator("#told details").evaluate("d => d.open")
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_somebody_who_writes_is_not_disturbed(browser, ledger):
    from pipeline.runtime.config_serve import Serve

    add(ledger, new_incident(1))
    serve = Serve(write=True)
    with serve_ledger(ledger.path, poll=POLL, serve=serve) as place, watched(browser) as held:
        page = held.context.new_page()
        page.goto(place.root + "/incidents/inc-new-1")
        page.get_by_label("Note").fill("I am on i")
        add(ledger, new_incident(1, revision=2, headline="It has spread", reason="spread"))
        page.locator("h1", has_text="It has spread").wait_for()
        page.keyboard.type("t")
        assert page.get_by_label("Note").input_value() == "I am on it"


def test_nothing_new_costs_nothing(browser, ledger):
    with serve_ledger(ledger.path, poll=POLL) as place, watched(browser) as held:
        page = held.context.new_page()
        statuses = []
        page.on("response", lambda r: statuses.append(r.status))
        page.goto(place.root + "/")
        for _ in range(3):
            page.wait_for_event("response", lambda r: r.status == 304)
        assert statuses.count(200) <= 5  # the page, its three files, and the page once more


def test_a_restart_of_the_server_is_survived_and_told(browser, ledger):
    with watched(browser) as held:
        page = held.context.new_page()
        with serve_ledger(ledger.path, poll=POLL) as place:
            page.goto(place.root + "/")
            page.evaluate("window.kept = true")
        trouble = page.locator("#trouble")
        trouble.wait_for()
        assert "What you see is old" in trouble.inner_text()
        assert page.locator("#live").inner_text().startswith("Not live since")
        add(ledger, new_incident(7))
        with serve_ledger(ledger.path, poll=POLL, port=place.port):
            page.locator('[data-incident="inc-new-7"]').wait_for()
            assert not trouble.is_visible()
            assert page.evaluate("window.kept")


def test_a_page_in_the_background_asks_nothing_until_it_is_looked_at(browser, ledger):
    with serve_ledger(ledger.path, poll=POLL) as place, watched(browser) as held:
        page = held.context.new_page()
        page.add_init_script(
            "Object.defineProperty(document, 'hidden', {get: () => window.away ?? false})"
        )
        page.goto(place.root + "/")
        page.wait_for_timeout(500)
        page.evaluate("window.away = true")
        page.wait_for_timeout(300)
        asked = []
        page.on("request", lambda r: asked.append(r.url))
        page.wait_for_timeout(700)
        assert asked == []
        add(ledger, new_incident(3))
        page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
        page.locator('[data-incident="inc-new-3"]').wait_for()
        place.clock.at += timedelta(minutes=1)
