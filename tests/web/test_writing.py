"""Answers in the page: acknowledge, give back, silence; only where the configuration lets them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from pipeline.ledger.reading import Reader
from pipeline.ledger.store import Ledger
from pipeline.runtime.config_serve import Serve
from tests.unit.web import large_ledger
from tests.web.chromium import barriers, sideways, watched
from tests.web.place import serve_ledger
from tests.web.test_sign_in import ask

OPEN = f"inc-{11:012x}"


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "ledger.sqlite"
    large_ledger.small(path).close()
    with serve_ledger(path, serve=Serve(write=True)) as held:
        yield held


def read(path, what):
    reader = Reader(path)
    try:
        return what(reader)
    finally:
        reader.close()


def test_somebody_looks_after_it_and_gives_it_back(browser, place):
    with watched(browser) as held:
        page = held.context.new_page()
        page.goto(f"{place.root}/incidents/{OPEN}")
        assert barriers(page) == []
        form = page.locator("form[action$='/ack']")
        form.get_by_label("Your name").fill("Ada")
        form.get_by_label("Note").fill("<b>calling</b> Microsoft")
        form.get_by_label("For").select_option("4")
        form.get_by_role("button", name="Acknowledge").click()
        page.get_by_text("You look after it now.").wait_for()
        assert "Acknowledged by Ada" in page.locator("#brief").inner_text()
        assert "<b>calling</b>" in page.locator("#brief").inner_text()
        ack = read(place.path, Reader.acks)[OPEN]
        assert (ack.by, ack.until) == ("Ada", large_ledger.NOW + timedelta(hours=4))
        page.goto(place.root + "/")
        assert "with Ada" in page.locator(f"[data-incident={OPEN}]").inner_text()
        page.goto(f"{place.root}/incidents/{OPEN}")
        place.clock.at += timedelta(minutes=5)
        page.get_by_text("Give it back").click()
        form = page.locator("form[action$='/unack']")
        form.get_by_label("Your name").fill("Ada")
        form.get_by_role("button").click()
        page.get_by_text("nobody looks after it").wait_for()
        assert read(place.path, Reader.acks)[OPEN].until == place.clock.at


def test_what_is_like_it_is_silenced(browser, place):
    with watched(browser, viewport={"width": 360, "height": 740}) as held:
        page = held.context.new_page()
        page.goto(f"{place.root}/incidents/{OPEN}")
        page.get_by_text("Silence what is like it").click()
        assert sideways(page) == 0
        form = page.locator("form[action$='/silence']")
        assert "client=" in form.get_by_label("Matchers").input_value()
        form.get_by_label("Your name").fill("Ada")
        form.get_by_label("Why").fill("planned work")
        form.get_by_role("button", name="Silence").click()
        page.get_by_text("Silenced until").wait_for()
        page.goto(place.root + "/destinations")
        assert "planned work" in page.locator("#silences").inner_text()
    (silence,) = read(place.path, Reader.silences)
    assert silence.by == "Ada"
    assert silence.ends_at - silence.starts_at == timedelta(hours=4)


def form_of(place):
    _, text = ask(place, "GET", f"/incidents/{OPEN}", accept="text/html")
    return re.search(r'name="form" value="([0-9a-f]{64})"', text)[1]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 303),
        ({"form": ""}, 403),
        ({"form": "0" * 64}, 403),
        ({"form": "\u00e4"}, 403),
        ({"by": " "}, 400),
        ({"hours": "-1"}, 400),
        ({"hours": "99999999999"}, 400),
        ({"hours": "1e3"}, 400),
    ],
)
def test_only_a_form_of_the_page_that_makes_sense_is_taken(place, changes, status):
    form = {"form": form_of(place), "by": "Ada", "note": "", "hours": "1", **changes}
    answer, _ = ask(place, "POST", f"/incidents/{OPEN}/ack", form, origin=place.root)
    assert answer.status == status
    assert bool(read(place.path, Reader.acks)) is (status == 303)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"matchers": "client=nothing"}, 400),
        ({"matchers": ""}, 400),
        ({"matchers": "\n".join(["tenant=a"] * 21)}, 400),
        ({"comment": ""}, 400),
        ({"hours": ""}, 400),
        ({"form": "0" * 64}, 403),
    ],
)
def test_only_a_silence_that_makes_sense_is_taken(place, changes, status):
    form = {
        "form": form_of(place),
        "by": "Ada",
        "comment": "x",
        "hours": "1",
        "matchers": "tenant=a",
    }
    target = f"/incidents/{OPEN}/silence"
    answer, _ = ask(place, "POST", target, {**form, **changes}, origin=place.root)
    assert answer.status == status
    assert read(place.path, Reader.silences) == []


def test_a_form_of_another_site_or_about_nothing_is_refused(place):
    form = {"form": form_of(place), "by": "Ada"}
    target = f"/incidents/{OPEN}/ack"
    assert ask(place, "POST", target, form, origin="https://evil.example")[0].status == 403
    assert ask(place, "POST", target, form)[0].status == 403
    none = "/incidents/inc-none/ack"
    assert ask(place, "POST", none, form, origin=place.root)[0].status == 404
    json = {"content_type": "application/json", "origin": place.root}
    assert ask(place, "POST", target, form, **json)[0].status == 415


def test_a_server_that_only_reads_has_no_forms_and_takes_none(tmp_path):
    path = tmp_path / "ledger.sqlite"
    large_ledger.small(path).close()
    with serve_ledger(path) as place:
        _, text = ask(place, "GET", f"/incidents/{OPEN}", accept="text/html")
        assert "<form" not in text.replace('<form class="find"', "")
        answer, _ = ask(place, "POST", f"/incidents/{OPEN}/ack", {"by": "x"}, origin=place.root)
        assert answer.status == 405
    assert read(path, Reader.acks) == {}


def test_a_run_that_writes_meanwhile_is_waited_for(place):
    ledger = Ledger(place.path)
    with ledger.transaction():
        ledger.put_delivered("ndjson", 3)
    form = {"form": form_of(place), "by": "Ada"}
    target = f"/incidents/{OPEN}/ack"
    assert ask(place, "POST", target, form, origin=place.root)[0].status == 303
    ledger.close()
