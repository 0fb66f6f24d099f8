"""A path that a person has mistyped is refused before any work; one that is followed may come."""

from __future__ import annotations

import pytest
from structlog import get_logger
from structlog.testing import capture_logs

from pipeline.cli.main import main
from pipeline.runtime.named_paths import refuse_missing, wait_for_missing


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs[1]").mkdir()
    (tmp_path / "logs[1]" / "a.json").write_text("[]")


@pytest.mark.parametrize("command", ["backfill", "run", "collect"])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nofile"], "nofile"),
        (["logs[1]", "*.gz"], "*.gz"),
        (["logs[1]", "--advisories", "nosuch"], "--advisories nosuch"),
    ],
)
def test_a_path_that_names_nothing_is_refused_and_nothing_is_written(
    command, words, told, tmp_path, capsys
):
    assert main([command, *words]) == 2
    said, log = capsys.readouterr()
    assert said == ""
    assert log == f"outrider: {told}: no such file, folder or pattern; check the path\n"
    assert [p.name for p in tmp_path.iterdir()] == ["logs[1]"]


def test_what_is_there_is_not_refused(tmp_path):
    (tmp_path / "gone").symlink_to("nowhere")  # told as unreadable, beside what can be read
    refuse_missing(["-", "logs[1]", "log*/*.json", str(tmp_path), "gone"], ["logs[1]/a.json"])


def test_a_path_that_is_followed_is_waited_for():
    with capture_logs() as lines:
        wait_for_missing(["logs[1]", "later"], ["health"], get_logger())
    assert [(line["outcome"], line["path"]) for line in lines] == [
        ("waited for", "later"),
        ("waited for", "health"),
    ]
