"""Dead letters of a folder from the command line, while a run works there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import pytest

from pipeline.cli.main import main
from pipeline.ledger.store import Ledger
from pipeline.model.clock import to_us
from pipeline.model.dead_letter import DeadLetter, DeadLetterDocument, LetterState
from pipeline.model.errors import ExitCode, RetriableError
from pipeline.model.json_schema import schema_of
from pipeline.runtime.dead_letters import Outcome, Tried
from pipeline.runtime.live.messages import Kind, Message, pack_events
from tests.live.small_tenant import MONDAY, table, usual

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = to_us(MONDAY)


def letters() -> list[DeadLetter]:
    message = Message("t", Kind.EVENTS, MONDAY, pack_events(table(usual(3))))
    headers = tuple(message.headers())
    body = b'{"flag_id": "f-1", "revision": 1}'
    return [
        DeadLetter(
            0,
            AT,
            "t",
            "unreadable_message",
            "damaged",
            "here",
            "events",
            message.body,
            None,
            headers,
        ),
        DeadLetter(0, AT, None, "not_json", "no JSON", "a.json line 3", "record"),
        DeadLetter(0, AT, "t", "refused_by_sink", "no", "there", "document", body, "siem"),
        DeadLetter(0, AT, "t", "unreadable_message", "damaged", "here", "events", b"x"),
    ]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Of a run that is going on: it holds the folder and has something uncommitted."""
    held = Ledger(tmp_path / "run" / "ledger.sqlite")
    held.hold()
    with held.transaction():
        held.bury(letters())
    yield held
    held.close()


@pytest.fixture
def folder(ledger: Ledger) -> str:
    return str(ledger.path.parent)


def test_letters_are_counted_with_what_to_do_about_each(
    folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dead", "list", folder]) == ExitCode.OK
    text = capsys.readouterr().out
    sums, listed = text.split("\n\n")
    assert sums.splitlines()[1].startswith("unreadable_message  2        2        0       0")
    assert "bring all parts to one version, then replay" in sums
    assert "a.json line 3" in listed
    assert len(listed.splitlines()) == 5


def test_letters_as_json_follow_their_schema(
    folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dead", "list", folder, "--json", "--limit", "3"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert [d["letter_id"] for d in found["letters"]] == ["2", "3", "4"]
    for document in found["letters"]:
        jsonschema.validate(document, schema_of(DeadLetterDocument))
    assert {g["reason"]: g["letters"] for g in found["groups"]} == {
        "unreadable_message": 2, "not_json": 1, "refused_by_sink": 1
    }  # fmt: skip
    assert main(["dead", "list", folder, "--json", "--reason", "not_json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert [d["letter_id"] for d in found["letters"]] == ["2"]


def test_a_look_goes_on_beside_a_step_that_is_not_committed(ledger: Ledger, folder: str) -> None:
    with ledger.transaction():
        ledger.bury(letters())
        assert main(["dead", "list", folder]) == ExitCode.OK
    assert main(["dead", "replay", folder, "1"]) == ExitCode.OK
    assert ledger.dead()[0].state is LetterState.QUEUED


def test_each_letter_is_queued_or_told_why_not(
    ledger: Ledger, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dead", "replay", folder, "--all"]) == ExitCode.PARTIAL_DATA
    told = capsys.readouterr()
    rows = [line.split()[:3] for line in told.out.splitlines()[1:]]
    assert rows == [
        ["1", "unreadable_message", "queued"],
        ["2", "not_json", "needs_file"],
        ["3", "refused_by_sink", "queued"],
        ["4", "unreadable_message", "still_unreadable"],
    ]
    assert "read again" in told.out
    assert "next step" in told.err
    queued = [d.seq for d in ledger.dead() if d.state is LetterState.QUEUED]
    assert queued == [1, 3]
    assert main(["dead", "replay", folder, "--reason", "refused_by_sink"]) == ExitCode.OK
    assert "No dead letter waits" in capsys.readouterr().out


def test_whoever_is_stopped_hears_how_many_are_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def sent(*_args: object) -> Iterator[Tried]:
        yield Tried("0/1", "unreadable_message", Outcome.SENT, "")
        raise RetriableError("the broker does not answer")

    monkeypatch.setattr("pipeline.runtime.kafka.replay.replay", sent)
    assert main(["dead", "replay", "--all", "--kafka"]) == ExitCode.FAILURE
    assert capsys.readouterr().err.splitlines() == [
        "outrider: 1 letter replayed before this; the same call does the rest",
        "outrider: the broker does not answer",
    ]


def test_a_call_that_cannot_be_meant_is_refused(
    folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, help_ in (
        ([folder], "--reason"),
        ([folder, "1", "--all"], "--reason"),
        ([folder, "77"], "'77'"),
        (["nowhere", "1"], "no ledger here"),
        (["nowhere", "1", "--kafka"], "3/1042"),
        (["1", folder], f"{folder!r} is no id such as 17 or 3/1042, and a folder goes first"),
        (["1", "--kafka"], "[kafka]"),
    ):
        assert main(["dead", "replay", *words]) == ExitCode.USAGE
        told = capsys.readouterr().err
        assert help_ in told
        assert "the same call does the rest" not in told
    assert main(["dead", "list", "nowhere"]) == ExitCode.USAGE
    assert main(["dead", "list", "--kafka"]) == ExitCode.USAGE
    assert "[kafka]" in capsys.readouterr().err
