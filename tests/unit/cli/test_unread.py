"""What is missing in a result is counted, named with its remedy, and gives exit code 4."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from pipeline.cli.main import main
from pipeline.model.json_schema import SCHEMA_FOLDER
from tests.unit.connectors import vendor_records as v

LINES = v.lines([v.sign_in(n) for n in range(40)])
ROWS = v.table([v.portal(v.sign_in(n)) for n in range(4)])
LOST = {
    "an archive": ("logs.zip", b"PK\x03\x04rest", "a zip archive; unpack it first"),
    "another kind": ("notes.txt", b"no log\n", "neither JSON nor a CSV"),
    "cut off": ("cut.json.gz", gzip.compress(LINES)[:-40], "ends early; copy the file again"),
}


@pytest.fixture
def logs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(LINES)
    return folder


def lines_of(text, word):
    return [line.strip() for line in text.splitlines() if word in line]


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("command", ["backfill", "run"])
def test_a_file_that_was_not_read_gives_exit_code_4_and_is_named(command, kind, logs, capsys):
    name, data, remedy = LOST[kind]
    (logs / name).write_bytes(data)
    assert main([command, "logs"]) == 4
    (told,) = lines_of(capsys.readouterr().out, "Not read, or not to its end")
    assert f"logs/{name} (" in told
    assert remedy in told


def test_a_run_that_is_started_again_still_lacks_what_nobody_has_mended(logs, capsys):
    (logs / "logs.zip").write_bytes(b"PK\x03\x04rest")
    assert [main(["run", "logs"]) for _ in range(2)] == [4, 4]
    capsys.readouterr()
    assert main(["dead", "list", "outrider-state", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["letters"]) == 1
    (logs / "logs.zip").unlink()
    assert main(["run", "logs"]) == 0


@pytest.mark.parametrize("command", ["backfill", "run"])
def test_a_file_that_cannot_be_opened_gives_exit_code_4(command, logs, capsys):
    (logs / "b.jsonl").symlink_to("gone")  # root may open everything else
    assert main([command, "logs"]) == 4
    assert "logs/b.jsonl (no such file or directory; check the path" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["backfill", "run"])
def test_rejected_records_alone_are_no_missing_part(command, logs, capsys):
    (logs / "b.csv").write_bytes(ROWS + b"too,few\r\n" * 3)
    (logs / "c.jsonl").write_bytes(b"{broken}\n" + LINES)
    assert main([command, "logs"]) == 0
    assert "Not read" not in capsys.readouterr().out


def test_the_summary_counts_each_file_once_and_names_the_first_ten(logs, capsys):
    for number in range(13):
        (logs / f"{number:02}.zip").write_bytes(b"PK\x03\x04rest")
    (logs / "issues.json.gz").write_bytes(gzip.compress(b'{"value": []}')[:-9])
    assert main(["backfill", "logs", "--advisories", "logs/issues.json.gz"]) == 4
    said = capsys.readouterr().out
    assert len(lines_of(said, "Not read, or not to its end: logs/0")) == 10
    assert "Files not read            14" in said
    assert "The same goes for 4 more files." in said
    summary = json.loads(Path("outrider-out", "summary.json").read_text("utf-8"))
    schema = json.loads((SCHEMA_FOLDER / "summary.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(summary)
    assert summary["unread_files"]["files"] == 14
    assert summary["unread_files"]["first"][0]["path"] == "logs/00.zip"
    assert not summary["blind"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "Nothing was judged: no record was read (1 empty file). This is no all-clear."),
        (b"{broken}\n" * 2, "Nothing was judged: none of the records could be used."),
        (b"no log\n", "Nothing was judged: no record was read."),
    ],
)
def test_a_backfill_without_a_record_says_why_nothing_was_found(data, told, logs, capsys):
    (logs / "a.jsonl").write_bytes(data)
    assert main(["backfill", "logs"]) == 4
    assert capsys.readouterr().out.startswith(told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tenant", "nosuch"], "no record is of tenant nosuch; there is contoso, fabrikam."),
        (["--from", "2031-01-01"], "no record is of the time asked for."),
    ],
)
def test_a_backfill_that_leaves_everything_out_says_by_what(words, told, logs, capsys):
    records = [
        v.envelope(v.sign_in(n)) | {"tenantId": name}
        for n, name in enumerate(["contoso", "fabrikam"] * 20)
    ]
    (logs / "a.jsonl").write_bytes(v.lines(records))
    assert main(["backfill", "logs", *words]) == 4
    said = capsys.readouterr().out
    assert said.startswith(f"Nothing was judged: {told} This is no all-clear.")
    assert "Left out of judging       40" in said
