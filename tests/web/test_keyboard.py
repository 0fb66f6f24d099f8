"""All of it without a mouse: where the focus is, that it is seen, and the keys."""

from __future__ import annotations

import pytest

from tests.web.chromium import watched

SEEN = """() => {
  const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
  return {tag: e.tagName, text: (e.innerText || e.getAttribute('aria-label') || e.name || '').trim(),
          outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2, width: r.width};
}"""


@pytest.fixture
def page(browser, place):
    with watched(browser, viewport={"width": 1280, "height": 800}) as held:
        made = held.context.new_page()
        made.goto(place.root + "/")
        yield made


def test_the_first_key_leads_past_the_navigation(page):
    page.keyboard.press("Tab")
    assert page.evaluate(SEEN)["text"] == "Go to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("target", ["/", "/incidents", "/advisories", "/help"])
def test_everything_is_reached_in_order_and_the_focus_is_seen(page, place, target):
    page.goto(place.root + target)
    wanted = page.evaluate(
        "[...document.querySelectorAll('a, button, input:not([type=hidden]), select, textarea, "
        'summary, [tabindex="0"]\')].filter(e => e.checkVisibility()).length'
    )
    walked = []
    for _ in range(wanted + 2):
        page.keyboard.press("Tab")
        told = page.evaluate(SEEN)
        if told["tag"] == "BODY":
            break
        assert told["outline"], told
        assert told["width"] > 0, told
        walked.append(told["text"])
    assert len(walked) == wanted
    navigation = ["Now", "Incidents", "Advisories", "Lead times", "Sources", "Destinations"]
    assert walked[2:8] == navigation


def test_keys_lead_to_pages(page):
    for keys, path in (
        ("gi", "/incidents"),
        ("ga", "/advisories"),
        ("gl", "/ledger"),
        ("?", "/help"),
    ):
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_url(f"**{path}")


def test_lines_of_a_list_are_walked_and_opened(page, place):
    page.goto(place.root + "/incidents")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    first = page.locator("a[data-row]").first
    assert first.evaluate("e => e === document.activeElement")
    page.keyboard.press("Enter")
    page.wait_for_url("**/incidents/inc-*")


def test_a_key_in_a_field_is_text(page):
    page.keyboard.press("/")
    page.keyboard.type("gi?j")
    assert page.locator("#q").input_value() == "gi?j"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement === document.body")


def test_keys_can_be_turned_off(page, place):
    page.goto(place.root + "/help")
    page.get_by_role("button", name="Turn the keys off").click()
    page.locator("h2").first.click()
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.reload()
    assert page.url.endswith("/help")
    page.get_by_role("button", name="Turn the keys on").click()
    page.locator("h2").first.click()
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.wait_for_url("**/incidents")
