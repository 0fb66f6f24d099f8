from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.cli.main import main
from pipeline.model.errors import ExitCode, FatalError
from pipeline.model.vocabulary import Verdict
from pipeline.runtime.backfill import BackfillResult

if TYPE_CHECKING:
    from types import ModuleType

    from pipeline.runtime.backfill import BackfillRequest
    from pipeline.runtime.config import Config


class Runtime:
    """Stands in for the real backfill: writes the sample folder and keeps what it was asked."""

    def __init__(self, sample: ModuleType) -> None:
        self.sample = sample
        self.incidents: list[Any] = [sample.incident()]
        self.blind = False
        self.request: BackfillRequest
        self.config: Config

    def __call__(self, request: BackfillRequest, config: Config, **tools: Any) -> BackfillResult:
        self.request, self.config = request, config
        tools["progress"].start("reading", total=1)
        tools["log"].info("planned", files=1)
        self.sample.write_folder(request.out, incidents=self.incidents)
        return BackfillResult(self.sample.summary(), tuple(self.incidents), self.blind, request.out)


@pytest.fixture
def runtime(sample: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    stand_in = Runtime(sample)
    monkeypatch.setattr("pipeline.cli.running.backfill", stand_in)
    return stand_in


def test_what_is_asked_arrives(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[backfill]\nworkers = 7\nslice_mib = 3\n[tenant]\nid = 'a'\n")
    words = [
        "backfill", "logs", "-", "--advisories", "a", "--advisories", "b", "--out",
        str(tmp_path / "out"), "--config", str(tmp_path / "c.toml"), "--from", "2026-03-01",
        "--to", "2026-03-02T01:00+01:00", "--workers", "2", "--no-resume",
    ]  # fmt: skip
    assert main(words) == 0
    asked = runtime.request
    assert asked.paths == ("logs", "-")
    assert asked.advisory_paths == ("a", "b")
    assert asked.since == datetime(2026, 3, 1, tzinfo=UTC)
    assert asked.until == datetime(2026, 3, 2, tzinfo=UTC)
    assert (asked.tenant, asked.resume, asked.reveal_users) == ("a", False, False)
    assert (runtime.config.backfill.workers, runtime.config.backfill.slice_mib) == (2, 3)


def test_the_result_is_on_standard_output_alone(
    runtime: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["backfill", "logs", "--out", str(out)]) == 0
    text, err = capsys.readouterr()
    assert text.startswith("1 incident, 1 outage of Microsoft 365.\n\n[HIGH, resolved] Outlook")
    assert f"{out}/report.html" in text
    assert "Not seen                  3 h of the logs" in text
    assert (out / "report.html").stat().st_size > 10_000
    for line in err.splitlines():
        assert json.loads(line)["logger"] == "backfill"


def test_json_is_one_document(
    runtime: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", "logs", "--out", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "outrider.backfill/1"
    assert [i["incident_id"] for i in document["incidents"]] == ["inc-33c65910ec91c732"]
    assert document["summary"]["records"]["received"] == 1_482_113


@pytest.mark.parametrize(
    ("verdict", "sight", "words", "code"),
    [
        (Verdict.SERVICE_OUTAGE, "clear", [], 0),
        (Verdict.SERVICE_OUTAGE, "clear", ["--fail-on-incident"], 3),
        (Verdict.SERVICE_OUTAGE, "blind", ["--fail-on-incident"], 3),
        (Verdict.SERVICE_OUTAGE, "blind", [], 4),
        (Verdict.ATTACK, "clear", ["--fail-on-incident"], 0),
        (Verdict.ATTACK, "blind", ["--fail-on-incident"], 4),
    ],
)
def test_exit_codes(
    runtime: Runtime, tmp_path: Path, verdict: Verdict, sight: str, words: list[str], code: int
) -> None:
    runtime.incidents = [runtime.sample.incident(verdict=verdict)]
    runtime.blind = sight == "blind"
    assert main(["backfill", "logs", "--out", str(tmp_path), *words]) == code


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--from", "yesterday"], "--from: 'yesterday' is no time; write 2026-03-19 or"),
        (["--from", "2026-03-02", "--to", "2026-03-02"], "--from is not before --to"),
        (["--reveal-users"], "revealing users needs a key of your own"),
        (["--reveal-users", "--key-file", "/nowhere"], "/nowhere: the key file cannot be read"),
        (["--config", "/nowhere.toml"], "/nowhere.toml: cannot be read"),
    ],
)
def test_a_wrong_call_does_nothing(
    runtime: Runtime,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    says: str,
) -> None:
    assert main(["backfill", "logs", "--out", str(tmp_path / "out"), *words]) == ExitCode.USAGE
    assert says in capsys.readouterr().err
    assert not hasattr(runtime, "request")
    assert not (tmp_path / "out").exists()


def test_users_are_revealed_with_a_key(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("f" * 32)
    words = ["backfill", "x", "--out", str(tmp_path), "--reveal-users", "--key-file"]
    assert main([*words, str(tmp_path / "key")]) == 0
    assert runtime.request.reveal_users
    assert runtime.config.privacy.key_file == tmp_path / "key"


def test_a_failure_of_the_runtime_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_args: Any, **_tools: Any) -> None:
        raise FatalError("out: no space left")

    monkeypatch.setattr("pipeline.cli.running.backfill", full)
    assert main(["backfill", "logs", "--out", str(tmp_path)]) == ExitCode.FAILURE
    assert capsys.readouterr().err == "outrider: out: no space left\n"


def test_many_incidents_are_told_the_worst_in_full(
    runtime: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.incidents = [runtime.sample.incident(incident_id=f"inc-{n}") for n in range(9)]
    assert main(["backfill", "logs", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert text.count("Whose fault") == 3
    assert all(f"inc-{n}" in text for n in range(9))


def test_scenarios_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--list"]) == 0
    assert "ex1256020" in capsys.readouterr().out
    assert main(["simulate", "--list", "--json"]) == 0
    assert "quiet" in {s["scenario"] for s in json.loads(capsys.readouterr().out)}


def test_a_small_tenant_is_simulated_and_its_own_truth_is_found_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sample: ModuleType
) -> None:
    words = ["simulate", "quiet", "--users", "10", "--weeks", "1", "--seed", "3", "--clean"]
    words += ["--signin-form", "jsonl", "--audit-form", "jsonl", "--compression", "none"]
    assert main([*words, "--out", str(tmp_path / "logs"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["records"]["signins"] > 0
    assert Path(document["labels"]).exists()
    sample.write_folder(tmp_path / "result", incidents=[])
    ask = ["evaluate", str(tmp_path / "result"), "--labels", document["labels"]]
    assert main([*ask, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["figures"]["false_incidents"] == 0
    assert main(ask) == 0
    assert "tenant weeks              1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nonsense", "--out", "x"], "unknown scenario 'nonsense': choose from quiet"),
        (["quiet"], "--out is missing"),
        (["quiet", "--out", "x", "--audit-form", "fax"], "unknown audit form 'fax'"),
    ],
)
def test_a_wrong_simulation_is_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["simulate", *words]) == ExitCode.USAGE
    assert says in capsys.readouterr().err


def test_evaluate_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path), "--labels", "x"]) == ExitCode.USAGE
    assert "incidents.ndjson: no such file" in capsys.readouterr().err


def test_the_demo_simulates_reads_and_names_the_report(
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(
        "pipeline.cli.demo.run_simulation",
        lambda _spec, out: out.mkdir(parents=True, exist_ok=True),
    )
    monkeypatch.setattr("pipeline.cli.demo.webbrowser.open", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    assert opened == []  # a screen, but nobody at a terminal
    assert f"{tmp_path}/demo/result/report.html" in capsys.readouterr().out
    assert runtime.request.advisory_paths == (f"{tmp_path}/demo/logs/advisories",)

    monkeypatch.setattr("pipeline.cli.demo._can_open", lambda: True)
    assert main(["demo", "--out", str(tmp_path / "demo"), "--no-open"]) == 0
    assert opened == []
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    assert opened == [(tmp_path / "demo" / "result" / "report.html").as_uri()]
