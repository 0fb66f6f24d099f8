"""Reading what a run, or who follows topics, keeps; and what neither of them wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pipeline.cli.main import main
from pipeline.ledger.store import Ledger
from pipeline.model.documents import to_json
from pipeline.model.errors import ExitCode
from tests.damaged import damage
from tests.unit.report.sample_folder import advisory
from tests.unit.web.serving import fill

if TYPE_CHECKING:
    from pathlib import Path


def made(path: Path) -> Path:
    ledger = Ledger(path)
    fill(ledger)
    ledger.close()
    return path.parent


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "st").mkdir()
    return made(tmp_path / "st" / "ledger.sqlite")


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    done = capsys.readouterr()
    return code, done.out, done.err


def test_a_folder_that_nobody_of_us_wrote_is_no_all_clear(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "signins.json").write_text("[]")
    for words in (["incidents", "list"], ["flags", "list"], ["advisories", "impact"]):
        code, out, err = call(capsys, *words, str(tmp_path))
        assert (code, out) == (ExitCode.USAGE, "")
        assert err.startswith(
            f"outrider: {tmp_path}: not a folder that a backfill or a run wrote; "
        )


@pytest.mark.parametrize("name", ["ledger.sqlite", "followed.sqlite"])
def test_a_ledger_is_read_where_there_are_no_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    folder = str(made(tmp_path / name))
    code, out, err = call(capsys, "incidents", "list", folder, "--json")
    assert (code, len(json.loads(out)), err) == (ExitCode.OK, 12, "")
    assert len(json.loads(call(capsys, "flags", "list", folder, "--json")[1])) == 12
    found = json.loads(call(capsys, "advisories", "list", "--state", folder, "--json")[1])
    assert found
    first = found[0]["advisory_id"]
    assert first in call(capsys, "advisories", "show", f"{folder}/{first}")[1]
    assert first in call(capsys, "advisories", "impact", folder)[1]


def test_an_incident_of_a_run_is_shown_with_the_title_of_its_advisory(
    capsys: pytest.CaptureFixture[str], run: Path
) -> None:
    known = json.dumps({**to_json(advisory()), "title": "Mailboxes cannot be reached"})
    body = {"id": "EX1256020", "hash": "h", "at": 2**40, "document": known, "words": "mail"}
    ledger = Ledger(run / "ledger.sqlite")
    with ledger.transaction():
        ledger.put_advisory(body, 1)
    ledger.close()
    code, out, err = call(capsys, "incidents", "show", "inc-0001", "--state", str(run))
    assert (code, err) == (ExitCode.OK, "")
    assert "EX1256020 Mailboxes cannot be reached" in out


def test_a_damaged_ledger_keeps_no_incident_back_that_is_in_a_file(
    capsys: pytest.CaptureFixture[str], run: Path
) -> None:
    from pipeline.ledger.reading import Reader

    reader = Reader(run / "ledger.sqlite")
    lines = [json.dumps(d.document) for d in reader.documents(kind="incident")]
    reader.close()
    (run / "incidents.ndjson").write_text("\n".join(lines))
    damage(run / "ledger.sqlite")
    code, out, err = call(capsys, "incidents", "show", f"{run}/inc-0001")
    assert code == ExitCode.OK
    assert "inc-0001" in out
    assert "is damaged" in err


def test_what_a_run_cannot_explain_is_said_with_what_can(
    capsys: pytest.CaptureFixture[str], run: Path
) -> None:
    code, _, err = call(capsys, "incidents", "explain", f"{run}/inc-0001")
    assert code == ExitCode.USAGE
    assert "a run keeps no minutes to explain inc-0001 by" in err
    assert "outrider backfill" in err


def test_without_a_folder_the_one_of_a_run_is_read_and_named(
    capsys: pytest.CaptureFixture[str], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.rename(run.with_name("outrider-state"))
    monkeypatch.chdir(run.parent)
    for words in (["incidents", "list"], ["incidents", "show", "inc-0001"], ["flags", "list"]):
        code, out, err = call(capsys, *words)
        assert (code, bool(out)) == (ExitCode.OK, True)
        assert err == "outrider: outrider-state is read, since there is no outrider-out here\n"
    code, _, err = call(capsys, "incidents", "list", "x", "--state", "y")
    assert (code, "not both" in err) == (ExitCode.USAGE, True)


def test_a_file_that_is_no_export_of_advisories_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text('{"a": 1}\n' * 300)
    code, out, err = call(capsys, "advisories", "list", str(path))
    assert (code, out) == (ExitCode.OK, "No advisory.\n")
    assert err.count("\n") == 1
    assert "(the first of 300 left out)" in err
