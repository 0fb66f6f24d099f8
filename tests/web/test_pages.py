"""Every page in a real browser: without a barrier, in light and dark, on a desk and on a phone."""

from __future__ import annotations

import pytest

from tests.unit.web import large_ledger
from tests.web.chromium import barriers, sideways, watched

INCIDENT = f"/incidents/inc-{11:012x}"
MATCHED = f"/incidents/inc-{0:012x}"
ADVISORY = f"/advisories/{large_ledger.advisory_id(0)}"
PAGES = [
    "/",
    "/incidents",
    "/incidents?state=open&severity=low&text=fewer",
    INCIDENT,
    MATCHED,
    "/advisories",
    ADVISORY,
    "/ledger",
    "/sources",
    "/destinations",
    "/search?q=outlook",
    "/help",
    "/nowhere",
]
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


@pytest.mark.parametrize("target", PAGES)
def test_no_page_has_a_barrier_or_reaches_out(browser, place, target):
    with watched(browser, viewport=DESK, color_scheme="light") as held:
        page = held.context.new_page()
        page.goto(place.root + target)
        assert page.title().endswith(" - Outrider")
        assert page.locator("h1").count() == 1
        found = {"desk": barriers(page), "desk is wide": sideways(page)}
        page.emulate_media(color_scheme="dark")
        # Colours alone are others in the dark.
        found["dark"] = barriers(page, ["color-contrast"])
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(PHONE)
        found |= {"phone": barriers(page, ["-color-contrast"]), "phone is wide": sideways(page)}
        assert not any(found.values()), found


def test_a_barrier_would_be_found(browser, place):
    with watched(browser) as held:
        page = held.context.new_page()
        page.goto(place.root + "/help")
        page.evaluate("document.querySelector('main').innerHTML += '<a href=/><i></i></a><input>'")
        page.evaluate("document.querySelectorAll('main p').forEach(p => p.style.color = '#bbb')")
        told = {rule for rule, _, _ in barriers(page)}
        assert {"link-name", "label", "color-contrast"} <= told
        page.evaluate("document.querySelector('main').style.minWidth = '3000px'")
        assert sideways(page) > 0


def test_a_request_to_elsewhere_would_be_found(browser, place):
    with watched(browser) as held:
        page = held.context.new_page()
        page.goto(place.root + "/help")
        page.evaluate("fetch('https://outside.example/').catch(() => 0)")
        # The policy stops both before they leave: what it stops is told on the console.
        page.evaluate("document.body.setAttribute('onclick', 'fetch(1)')")
        page.wait_for_timeout(100)
        assert any("outside.example" in t for t in held.troubles)
        assert any("inline event handler" in t for t in held.troubles)
        held.troubles.clear()


def test_everything_is_there_without_a_script(browser, place):
    with watched(browser, java_script_enabled=False) as held:
        page = held.context.new_page()
        page.goto(place.root + "/")
        page.get_by_role("link", name="Incidents", exact=True).click()
        page.get_by_label("State").select_option("open")
        page.get_by_role("button", name="Show").click()
        assert "state=open" in page.url
        page.locator("a[data-row]").first.click()
        assert page.locator("dl.brief dt").all_inner_texts() == [
            "Who", "Clients", "Where", "Since", "Still works", "Whose fault", "Advisory",
        ]  # fmt: skip
        page.get_by_label("Search incidents and advisories").fill("EX12")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search?q=EX12")
        assert page.locator("main .hit").count() > 0


def test_an_incident_has_its_pictures_and_their_numbers(browser, place):
    with watched(browser) as held:
        page = held.context.new_page()
        page.goto(place.root + INCIDENT)
        pictures = page.locator("#clocks figure")
        assert pictures.count() >= 3
        assert pictures.first.locator("svg path.l-obs").get_attribute("d").startswith("M")
        pictures.first.get_by_text("The numbers of this picture").click()
        assert pictures.first.locator("tbody tr").count() > 10
        assert "by the hour" in pictures.first.locator("svg.chart > desc").text_content()


def test_times_are_in_utc_and_in_the_zone_of_the_tenant(browser, place):
    with watched(browser) as held:
        page = held.context.new_page()
        page.goto(place.root + INCIDENT)
        since = page.locator("dl.brief dd").nth(3).inner_text()
        assert "UTC" in since
        assert "CEST" in since
        page.goto(place.root + "/incidents")
        assert page.locator(".inc-when").first.inner_text().endswith("CEST")


def test_a_state_is_a_shape_and_a_word(browser, place):
    with watched(browser) as held:
        page = held.context.new_page()
        page.goto(place.root + "/")
        rows = page.locator("table.now tbody tr")
        told = {}
        for n in range(rows.count()):
            state = rows.nth(n).locator(".state")
            told[state.inner_text().strip()] = state.locator("svg").inner_html()
        assert {"fewer than usual", "as usual"} <= told.keys()
        assert len(set(told.values())) == len(told)


def test_the_incident_prints_without_its_forms_and_bars(browser, place):
    with watched(browser) as held:
        page = held.context.new_page()
        page.goto(place.root + INCIDENT)
        page.emulate_media(media="print")
        assert page.locator("dl.brief").is_visible()
        assert not page.locator("header.bar").is_visible()
        assert not page.locator("footer.foot").is_visible()


def test_what_is_old_says_so(browser, place):
    from datetime import timedelta

    with watched(browser) as held:
        page = held.context.new_page()
        page.goto(place.root + "/")
        assert "Nothing has been judged" not in page.locator("#hero").inner_text()
        place.clock.at += timedelta(hours=5)
        try:
            page.reload()
            assert "Nothing has been judged for 5\u00a0h" in page.locator("#hero").inner_text()
        finally:
            place.clock.at -= timedelta(hours=5)
