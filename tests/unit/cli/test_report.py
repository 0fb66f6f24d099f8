"""``outrider report``: files by name, JSON on standard output, and what it refuses."""

from __future__ import annotations

import json

import pytest

from pipeline.cli.main import main
from tests.unit.report.period_making import SAMPLE, fill


@pytest.fixture
def folder(tmp_path):
    return SAMPLE.write_folder(tmp_path / "out")


def test_a_page_is_written_under_a_name_of_its_period(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", "monthly", str(folder), "--month", "2026-03"]) == 0
    assert capsys.readouterr().out == "outrider-monthly-2026-03.html\n"
    text = (tmp_path / "outrider-monthly-2026-03.html").read_text("utf-8")
    assert "Monthly report, March 2026" in text


def test_json_alone_writes_no_file(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    zone = ("--time-zone", "Europe/Berlin")
    assert main(["report", "daily", str(folder), "--date", "2026-03-29", *zone, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["period"]["hours"]) == ("daily", 23.0)
    assert sorted(tmp_path.iterdir()) == before


def test_a_ledger_is_read_by_the_name_of_its_folder(tmp_path, capsys):
    fill(tmp_path / "ledger.sqlite")
    out = tmp_path / "day.html"
    words = ("--date", "2026-03-19", "--out", str(out), "--tenant", SAMPLE.TENANT)
    assert main(["report", "daily", "--state", str(tmp_path), *words]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert "2 deliveries failed on this day" in out.read_text("utf-8").replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--state", "x", "y"], "not both"),
        (["--state", "no-such-folder"], "no ledger here"),
        (["no-such-folder"], "no such folder"),
        (["--date", "x"], "is no date"),
        (["--pdf", "x.pdf", "--browser", "no-such-browser"], "'no-such-browser' is no program"),
        (["--time-zone", "Mars/Base"], "is no IANA zone"),
    ],
)
def test_what_cannot_be_reported_is_refused_in_a_sentence(
    words, told, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["report", "daily", *words]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "ledger"])
def test_a_tenant_that_is_not_there_is_refused_with_those_that_are(
    kind, folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "ledger.sqlite")
    before = sorted(tmp_path.iterdir())
    place = [str(folder)] if kind == "folder" else ["--state", str(tmp_path)]
    words = ["report", "daily", *place, "--date", "2026-03-19", "--tenant"]
    assert main([*words, "nosuch"]) == 2
    assert f"no tenant 'nosuch'; there is {SAMPLE.TENANT}\n" in capsys.readouterr().err
    assert [p for p in sorted(tmp_path.iterdir()) if "sqlite-" not in p.name] == before
    assert main([*words, SAMPLE.TENANT]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["folder", "ledger"])
def test_a_time_that_nothing_is_known_of_is_said_on_the_terminal(kind, folder, tmp_path, capsys):
    fill(tmp_path / "ledger.sqlite")
    place = [str(folder)] if kind == "folder" else ["--state", str(tmp_path)]
    words = ["--date", "2027-01-01", "--out", str(tmp_path / "x.html")]
    assert main(["report", "daily", *place, *words]) == 0
    assert "outrider: 2027-01-01: no records of this time were judged" in capsys.readouterr().err


def test_a_folder_of_logs_is_no_result(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.jsonl").write_text("{}\n")
    assert main(["report", "daily", "logs"]) == 2
    assert (
        "logs: not a folder that a backfill or a run wrote; give that of" in capsys.readouterr().err
    )
    assert [p.name for p in tmp_path.iterdir()] == ["logs"]


def test_a_page_that_cannot_be_written_is_told(folder, tmp_path, capsys):
    out = tmp_path / "nowhere" / "x.html"
    assert main(["report", "daily", str(folder), "--date", "2026-03-19", "--out", str(out)]) == 1
    assert "cannot be written" in capsys.readouterr().err
