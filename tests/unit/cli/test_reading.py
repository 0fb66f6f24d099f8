from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pipeline.cli.main import main
from pipeline.model.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@pytest.fixture
def folder(sample: ModuleType, tmp_path: Path) -> Path:
    out: Path = sample.write_folder(tmp_path / "out")
    return out


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_incidents_are_listed(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    head, line = run(capsys, "incidents", "list", str(folder)).splitlines()
    assert head.startswith("INCIDENT")
    assert line.startswith("inc-33c65910ec91c732  2026-03-19 07:41Z  resolved  high")
    assert "EX1256020" in line
    (document,) = json.loads(run(capsys, "incidents", "list", str(folder), "--json"))
    assert document["schema"] == "outrider.incident/1"
    assert document["revision"] == 4


def test_an_incident_is_shown_in_ten_seconds(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    text = run(capsys, "incidents", "show", f"{folder}/inc-33", "--time-zone", "Europe/Berlin")
    assert "(08:41 CET)" in text
    assert "EX1256020 Some users can't access Exchange Online" in text
    assert text.count("Whose fault") == 1
    assert run(capsys, "incidents", "show", f"{folder}/inc-33", "--revisions").count("Who ") == 4
    assert (
        json.loads(run(capsys, "incidents", "show", f"{folder}/inc-33", "--json"))["revision"] == 4
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["incidents", "show", "{}/inc-99"], "no incident 'inc-99'; there is inc-33c6"),
        (["incidents", "show", "{}/inc-33", "--time-zone", "Mars"], "--time-zone: 'Mars'"),
        (["incidents", "list", "{}/nowhere"], "no such folder"),
        (["flags", "list", "{}", "--client", "nokia"], "'nokia' is none of outlook_ios"),
        (["advisories", "list", "{}/nowhere"], "no such file or folder"),
        (["advisories", "show", "{}/EX"], "'EX' begins 2 advisories"),
    ],
)
def test_a_wrong_name_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], folder: Path, words: list[str], says: str
) -> None:
    assert main([w.format(folder) for w in words]) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_flags_are_listed_and_chosen(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert len(run(capsys, "flags", "list", str(folder)).splitlines()) == 5
    only = run(capsys, "flags", "list", str(folder), "--client", "outlook_ios", "--json")
    assert [f["client"] for f in json.loads(only)] == ["outlook_ios"] * 2


def test_advisories_are_listed_shown_and_answered(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert "EX1256020  2026-03-19 12:45Z" in run(capsys, "advisories", "list", str(folder))
    shown = run(capsys, "advisories", "show", f"{folder}/EX125")
    assert "First post    Thu 19 Mar 2026 12:45 UTC" in shown
    assert "We're redirecting traffic" in shown
    answers = run(capsys, "advisories", "impact", str(folder))
    assert "EX1256020  yes" in answers
    assert "no_sign" in answers
    assert len(json.loads(run(capsys, "advisories", "list", str(folder), "--json"))) == 3
    assert len(json.loads(run(capsys, "advisories", "impact", str(folder), "--json"))) == 2


def test_advisories_are_read_from_an_export_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    issue = {
        "id": "EX999001",
        "title": "Some users can't reach their mailboxes",
        "service": "Exchange Online",
        "status": "serviceDegradation",
        "classification": "incident",
        "isResolved": False,
        "startDateTime": "2026-03-19T07:00:00Z",
        "lastModifiedDateTime": "2026-03-19T12:45:00Z",
        "impactDescription": "Users can't reach their mailboxes.",
        "posts": [],
    }
    (tmp_path / "issues.json").write_text(json.dumps({"value": [issue]}))
    assert "EX999001" in run(capsys, "advisories", "list", str(tmp_path / "issues.json"))


def test_nothing_is_said_to_be_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "advisories.ndjson").write_text("")
    for words, says in (
        (["incidents", "list"], "No incident found."),
        (["flags", "list"], "No flag raised."),
        (["advisories", "list"], "No advisory."),
    ):
        assert run(capsys, *words, str(tmp_path)) == says + "\n"
        assert json.loads(run(capsys, *words, str(tmp_path), "--json")) == []


def test_damage_is_told_on_standard_error(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    with (folder / "incidents.ndjson").open("a") as file:
        file.write('{"half')
    assert main(["incidents", "list", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert "inc-33c6" in out
    assert "incidents.ndjson: 1 unreadable line(s) left out" in err


def test_config_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = run(capsys, "config", "example")
    (tmp_path / "c.toml").write_text(text)
    assert run(capsys, "config", "validate", str(tmp_path / "c.toml")) == f"{tmp_path}/c.toml: ok\n"
    shown = run(capsys, "config", "validate", str(tmp_path / "c.toml"), "--json")
    assert json.loads(shown)["detection"]["false_pages_per_month"] == 1.0
    (tmp_path / "c.toml").write_text("[tenant]\ntime_zon = 'UTC'\n")
    assert main(["config", "validate", str(tmp_path / "c.toml")]) == ExitCode.USAGE
    assert "line 2: tenant.time_zon: unknown key; did you mean tenant.time_zone?" in (
        capsys.readouterr().err
    )


def test_a_plot_that_cannot_be_written_is_told(
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The sample folder has no evidence; what is in the plot is tested where it is drawn.
    monkeypatch.setattr("pipeline.report.explain.explain_incident", lambda *_, **__: ([], []))
    words = ["incidents", "explain", f"{folder}/inc-33", "--plot"]
    assert main([*words, str(tmp_path / "nowhere" / "x.svg")]) == ExitCode.FAILURE
    place = f"outrider: {tmp_path}/nowhere/x.svg: cannot be written (No such file or directory)"
    assert place in capsys.readouterr().err
    assert main([*words, str(tmp_path / "x.svg")]) == ExitCode.OK
    assert (tmp_path / "x.svg").read_text("utf-8").startswith("<svg")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
