"""What logs, advisories and people write is shown as text: it never runs, reaches out or leads away."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from pipeline.model.clock import to_us
from pipeline.model.documents import to_json
from pipeline.model.notice import Ack, Silence
from tests.unit.report import sample_folder
from tests.unit.web import large_ledger
from tests.web.chromium import sideways, watched
from tests.web.place import serve_ledger

NASTY = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)' x='",
    "</title></textarea></style><iframe src=javascript:alert(1)>",
    "{{ 7*7 }}{% raw %}${7*7}",
    "javascript:alert(1)//",
    "\u202egnp.exe\u2066 right to left",
    "\x1b[31mred\x07\x00 bell",
    "<!channel> @everyone [a](https://evil.example/) &amp;#x3c;",
    "<meta http-equiv=refresh content=0;url=https://evil.example/>",
    "<link rel=stylesheet href=https://evil.example/x.css><base href=https://evil.example/>",
)
ALL = " ".join(NASTY)
LONG = "W" * 65_536


def nasty_incident(number, told, tenant):
    made = to_json(sample_folder.incident(tenants=(tenant,)))
    now = large_ledger.NOW - timedelta(minutes=number)
    stamp = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    made |= {
        "incident_id": f"inc-nasty-{number}",
        "revision": 1,
        "state": "open",
        "headline": told,
        "onset_at": stamp,
        "raised_at": stamp,
        "published_at": stamp,
    }
    made.pop("resolved_at", None)
    made["evidence"][0] |= {"text": told, "numbers": {told[:60]: 3.0}}
    made["scope"][0] |= {"dimension": told[:80], "value": told}
    made["error_codes"][0] |= {"meaning": told}
    made["advisory"] |= {"advisory_id": "EX<b>&\"'", "reasons": [told], "relisted_as": []}
    made["recurrence_of"] = [told[:100]]
    return (made["incident_id"], 1, tenant, json.dumps(made))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "ledger.sqlite"
    ledger = large_ledger.small(path)
    tenant = "<script>alert('tenant')</script>"
    cells = [("<img src=x onerror=alert(1)>", "exchange_online", "<svg onload=alert(1)>")]
    body = large_ledger.running(large_ledger.cells_of(8) + cells, 1)
    for feed in body["feeds"]:
        feed |= {"feed": NASTY[1], "state": "failing", "problem": ALL}
    advisory = sample_folder.advisory("EX<b>&\"'", title=ALL)
    document = to_json(advisory)
    document["posts"][0]["text"] = ALL + "\n\n" + LONG
    document["service"] = ALL
    seconds = int(large_ledger.NOW.timestamp())
    with ledger.transaction():
        ledger.put_now(tenant, body, to_us(large_ledger.NOW))
        texts = [*NASTY, ALL, LONG]
        rows = [nasty_incident(n, t, tenant) for n, t in enumerate(texts)]
        ledger.add_documents("incident", rows)
        ledger.put_advisory(
            {
                "id": advisory.advisory_id,
                "hash": "x",
                "at": seconds,
                "document": json.dumps(document),
                "words": ALL,
            },
            to_us(large_ledger.NOW),
        )
        impact = {**to_json(sample_folder.impact(advisory.advisory_id)), "statement": ALL}
        ledger.put_impact(
            tenant,
            advisory.advisory_id,
            answer="yes",
            over="no",
            users=3,
            document=json.dumps(impact),
        )
        ledger.put_ack(Ack("inc-nasty-0", large_ledger.NOW, ALL, ALL))
        ends = large_ledger.NOW + timedelta(hours=4)
        ledger.put_silence(
            Silence("sil-<b>", ("verdict=service_outage",), large_ledger.NOW, ends, ALL, ALL)
        )
    ledger.close()
    with serve_ledger(path) as held:
        yield held


def test_nothing_that_was_written_runs(browser, hostile):
    targets = [
        "/",
        "/?tenant=%3Cscript%3Ealert('tenant')%3C/script%3E",
        "/incidents",
        *(f"/incidents/inc-nasty-{n}" for n in (0, len(NASTY), len(NASTY) + 1)),
        "/advisories",
        "/advisories/EX%3Cb%3E&%22'",
        "/ledger",
        "/sources",
        "/destinations",
        "/search?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "/search?q=alert",
        "/incidents?text=%22%3E%3Csvg%20onload=alert(1)%3E",
        "/incidents?tenant=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
    ]
    with watched(browser, viewport={"width": 390, "height": 800}) as held:
        page = held.context.new_page()
        for target in targets:
            answer = page.goto(hostile.root + target)
            assert answer.status < 500, target
            for link in page.locator("main [onmouseover], main [onerror], main [onload]").all():
                raise AssertionError(f"{target}: {link.evaluate('e => e.outerHTML')}")
            for link in page.locator("main a").all()[:1]:
                link.hover()
            own = page.locator("script").evaluate_all("found => found.map(s => s.src)")
            assert len(own) == 1, (target, own)
            assert page.locator("iframe, object, embed, base, main svg image").count() == 0
            assert "49" not in page.title()
            links = page.locator("a").evaluate_all("found => found.map(a => a.origin)")
            assert set(links) == {hostile.root}, target
            assert sideways(page) == 0, target


def test_what_was_written_is_shown_as_it_is(browser, hostile):
    with watched(browser) as held:
        page = held.context.new_page()
        page.goto(f"{hostile.root}/incidents/inc-nasty-0")
        assert page.locator("h1").inner_text() == NASTY[0]
        page.goto(f"{hostile.root}/incidents/inc-nasty-7")
        # Marks that turn text around are left out: nothing stands where it was not written.
        assert "\u202e" not in page.content()
        assert page.locator("h1").inner_text() == "gnp.exe right to left"


def test_a_live_page_shows_new_text_as_text(browser, tmp_path):
    path = tmp_path / "ledger.sqlite"
    ledger = large_ledger.small(path)
    with serve_ledger(path, poll=0.2) as place, watched(browser) as held:
        page = held.context.new_page()
        page.goto(place.root + "/")
        with ledger.transaction():
            ledger.add_documents("incident", [nasty_incident(0, ALL, sample_folder.TENANT)])
        place.clock.at += timedelta(minutes=1)
        page.locator('[data-incident="inc-nasty-0"]').wait_for()
        assert page.locator("main script, main iframe").count() == 0
    ledger.close()
