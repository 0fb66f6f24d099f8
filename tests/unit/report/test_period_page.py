"""The page of a period: what it says, that it is safe, and that it is the same each time."""

from __future__ import annotations

import re
import shutil
import unicodedata
from pathlib import Path

import pypdf
import pytest

from pipeline.model.errors import ConfigError, FatalError
from pipeline.model.incident import Evidence, Verdict
from pipeline.report.periodic.from_folder import FolderOrigin
from pipeline.report.periodic.from_ledger import LedgerOrigin
from pipeline.report.periodic.origin import Watched
from pipeline.report.periodic.pdf import NAMES, VARIABLE, browser, write_pdf
from pipeline.report.periodic.report import PeriodReport, file_name
from tests.unit.report.period_making import (
    MARCH,
    SAMPLE,
    Held,
    at,
    day,
    fill,
    lonely,
    short_incident,
)
from tests.unit.report.test_html import HOSTILE, Reader


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return SAMPLE.write_folder(tmp_path_factory.mktemp("page") / "out")


def page(origin, period, **more):
    return Reader(PeriodReport(origin, period, **more).html())


def test_a_month_tells_the_whole_story(folder):
    told = page(FolderOrigin(folder), MARCH).text
    for words in (
        "Monthly report, March 2026",
        "1 outage of Microsoft 365, 6\u202f872 user-hours lost",
        "341 users of Exchange Online",
        "Microsoft's (96 % sure)",
        "We knew 3 h 13 min before the first post of the one advisory (n = 1).",
        "412\u202f300 user-minutes",
        "most on Fri 20 Mar 2026",
        "EX1256020 affected",
        "SP1250001 no sign of it",
        "Exchange mailbox audit 3 h 0.4 % 1 3 h",
        "A backfill delivers nothing.",
        "the month before was not watched",
    ):
        assert words.replace("\u202f", " ") in told.replace("\u202f", " "), words


def test_a_day_is_compared_with_the_day_before(folder):
    told = page(FolderOrigin(folder), day(20)).text
    assert "as many as the day before" in told
    assert re.search(r"[\d\s\u202f]+ more than the day before", told)
    assert "1 of these incidents began before this day." in told


def test_a_day_without_anything_says_so_and_how_well_it_was_watched(folder):
    origin = FolderOrigin(folder)
    calm, blind = page(origin, day(11)), page(origin, day(9))
    assert "No incident on this day All logs that are read came in the whole time." in calm.text
    assert "No incident on this day, but we were blind for a part" in blind.text
    assert "told nothing for 3 h" in blind.text
    for words in ("None on this day.", "None was posted or still ran on this day."):
        assert words in calm.text


def test_a_day_that_nobody_watched_is_no_all_clear(folder):
    told = page(FolderOrigin(folder), day(31)).text
    assert "Nothing was watched on this day" in told
    assert "This is no all-clear." in told
    half = page(Held(watched=Watched(((at(5), at(5, 6)),), ("entra_signin",))), day(5)).text
    assert "Records were judged of 6 h only, of 24 h." in half


def test_late_and_missed_ones_are_told():
    late = short_incident("inc-1", at(5, 1), advisory=SAMPLE.incident().advisory)
    held = Held(
        incidents=[late, short_incident("inc-2", at(5, 3))],
        advisories=[lonely("EX1256020", at(5, 0, 49)), lonely("EX9", at(5, 8))],
    )
    told = page(held, day(5)).text
    assert "41 min after the first post" in told
    assert "1 advisory came before us." in told
    assert "Outages that no advisory came for" in told
    assert "EX9 5 Mar 08:00 not judged" in told


def test_the_same_facts_give_the_same_bytes(folder, tmp_path):
    first = PeriodReport(FolderOrigin(folder), MARCH)
    again = PeriodReport(FolderOrigin(folder), MARCH)
    assert first.html() == again.html()
    assert first.document() == again.document()
    pages = []
    for name in ("a", "b"):
        origin = LedgerOrigin(fill(tmp_path / f"{name}.sqlite"))
        pages.append(PeriodReport(origin, MARCH).html())
        origin.close()
    assert pages[0] == pages[1]


def test_it_has_the_same_id_and_name_whenever_it_is_written(folder):
    told = PeriodReport(FolderOrigin(folder), MARCH).document()
    assert told["report_id"] == "rep-" + told["report_id"][4:]
    assert told["report_id"] == PeriodReport(Held(), MARCH).document()["report_id"]
    other = PeriodReport(Held(), MARCH, tenant="t").document()
    assert told["report_id"] != other["report_id"]
    assert file_name(day(19), None) == "outrider-daily-2026-03-19"
    assert file_name(day(19), "../a b\u202e") == "outrider-daily-2026-03-19----a-b-"


def test_numbers_of_the_document_are_those_of_the_page(folder):
    told = PeriodReport(FolderOrigin(folder), MARCH).document()
    assert told["schema"] == "outrider.report/1"
    lost = sum(row["user_minutes"] for row in told["lost"])
    assert lost == pytest.approx(told["numbers"]["user_minutes_lost"], abs=0.01)
    assert lost == pytest.approx(sum(d["user_minutes"] for d in told["lost_by_day"]), abs=0.1)
    assert told["period"] == {
        "name": "2026-03", "from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z",
        "time_zone": "UTC", "hours": 744.0,
    }  # fmt: skip


def hostile():
    told = SAMPLE.incident(
        headline=HOSTILE,
        tenants=(HOSTILE,),
        incident_id=HOSTILE,
        onset_at=at(5, 1),
        evidence=(Evidence(Verdict.ATTACK, 1.0, HOSTILE),),
        advisory=None,
    )
    advisory = lonely(HOSTILE, at(5, 2), title=HOSTILE)
    impact = SAMPLE.impact(HOSTILE, statement=HOSTILE)
    return Held(incidents=[told], advisories=[advisory], impacts=[impact])


def test_hostile_text_is_shown_and_does_nothing():
    read = page(hostile(), day(5), tenant=HOSTILE)
    assert "<script>alert(1)</script>" in read.text
    assert not {t for t, _ in read.elements} & {"script", "img", "marquee", "iframe"}
    assert not any(name.startswith("on") for _, attrs in read.elements for name in attrs)
    raw = PeriodReport(hostile(), day(5), tenant=HOSTILE).html()
    assert "\u202e" not in raw
    assert "\x1b" not in raw


def test_it_asks_nobody_for_anything(folder):
    read = page(FolderOrigin(folder), MARCH)
    (policy,) = [a["content"] for a in read.of("meta") if "content" in a and "src" in a["content"]]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    told = [v for _, attrs in read.elements for n, v in attrs.items() if n in {"src", "href"}]
    assert all(v.startswith(("#", "data:,")) for v in told)
    assert "url(" not in read.style
    assert "@import" not in read.style


def test_a_folder_with_nothing_in_it_gives_a_page(tmp_path):
    (tmp_path / "incidents.ndjson").touch()
    told = page(FolderOrigin(tmp_path), MARCH).text
    assert "Nothing was watched in this month" in told


def test_unreadable_lines_are_told(folder, tmp_path):
    out = shutil.copytree(folder, tmp_path / "out")
    with (out / "incidents.ndjson").open("a") as file:
        file.write("{half\n")
    assert "incidents.ndjson: 1 unreadable line left out" in page(FolderOrigin(out), MARCH).text


ROOT = Path(__file__).parents[3]
needs_browser = pytest.mark.skipif(
    not any(map(shutil.which, NAMES)), reason="no Chromium on this machine"
)


@needs_browser
def test_it_is_printed_to_pages_of_a4(folder, tmp_path):
    out = tmp_path / "march.pdf"
    write_pdf(PeriodReport(FolderOrigin(folder), MARCH).html(), out, browser())
    read = pypdf.PdfReader(out)
    assert 2 <= len(read.pages) <= 6
    for sheet in read.pages:
        assert float(sheet.mediabox.width) == pytest.approx(595, abs=1)
        assert float(sheet.mediabox.height) == pytest.approx(842, abs=1)
    # A reader of PDF tells ligatures and puts spaces between kerned letters.
    text = unicodedata.normalize("NFKC", "".join(s.extract_text() for s in read.pages))
    text = re.sub(r"\s+", "", text)
    for words in ("Monthly report, March 2026", "Who was first", "Source health", "EX1256020"):
        assert words.replace(" ", "") in text
    assert [p.name for p in tmp_path.iterdir()] == ["march.pdf"]


@needs_browser
def test_hostile_text_leaves_the_pdf_without_actions(tmp_path):
    out = tmp_path / "hostile.pdf"
    write_pdf(PeriodReport(hostile(), day(5)).html(), out, browser())
    raw = out.read_bytes()
    assert b"/JavaScript" not in raw
    assert b"/Launch" not in raw
    assert len(pypdf.PdfReader(out).pages) >= 1


def test_without_a_browser_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="install Chromium"):
        browser()
    with pytest.raises(ConfigError, match="--browser: 'no-such-browser' is no program"):
        browser("no-such-browser")


def fake(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_a_browser_that_fails_is_told_and_leaves_the_old_file(tmp_path):
    out = tmp_path / "old.pdf"
    out.write_bytes(b"old")
    for body in ("echo broken >&2; exit 3", "exit 0"):
        program = fake(tmp_path / "browser", body)
        with pytest.raises(FatalError, match="did not print"):
            write_pdf("<p>", out, program)
        assert out.read_bytes() == b"old"


def test_the_browser_is_asked_to_reach_nothing(tmp_path):
    seen = tmp_path / "seen"
    body = f'for a in "$@"; do echo "$a" >> {seen}; done; echo x > "${{5#--print-to-pdf=}}"'
    write_pdf("<p>", tmp_path / "out.pdf", fake(tmp_path / "browser", body))
    asked = seen.read_text().splitlines()
    assert "--host-resolver-rules=MAP * ~NOTFOUND" in asked
    assert "--no-proxy-server" in asked
    assert asked[-1].startswith("file:///")


def keys(value):
    """Names of the fields of a JSON value, at any depth; incidents have a schema of their own."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            if name not in {"incidents", "waiting", "damaged"}:
                yield from keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys(item)


def test_each_field_of_the_document_is_documented(tmp_path):
    origin = LedgerOrigin(fill(tmp_path / "ledger.sqlite"))
    told = PeriodReport(origin, MARCH).document()
    origin.close()
    page = (ROOT / "docs" / "reports.md").read_text("utf-8")
    table = page.split("## The JSON document", 1)[1]
    named = set(re.findall(r"`(\w+)`", table))
    assert set(keys(told)) - named == {"schema"}
    assert VARIABLE in page
