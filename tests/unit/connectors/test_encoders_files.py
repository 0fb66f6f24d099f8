"""Files in another form beside plain JSON: each revision once in each, whatever was cut off."""

from __future__ import annotations

import fcntl

import pytest
from typer.testing import CliRunner

from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.ndjson import NdjsonSink
from pipeline.cli import run
from pipeline.cli.main import app
from tests.unit.connectors.encoded import flag, hostile_incident, incident

BESIDE = pytest.mark.parametrize(
    "form", [f for n, f in FORMS.items() if n != "json"], ids=lambda f: f.name
)


def keys(path, form):
    return [form.key(line) for line in path.read_text("utf-8").split("\n")[:-1]]


@BESIDE
def test_plain_json_stays_and_the_form_stands_beside(tmp_path, form):
    NdjsonSink(tmp_path, form).deliver([incident(), flag()])
    assert {p.name for p in tmp_path.iterdir()} == {
        "incidents.ndjson", "flags.ndjson", f"incidents{form.suffix}", f"flags{form.suffix}",
    }  # fmt: skip
    assert keys(tmp_path / "incidents.ndjson", FORMS["json"]) == [("inc-33c65910ec91c732", 4)]
    assert keys(tmp_path / f"incidents{form.suffix}", form) == [("inc-33c65910ec91c732", 4)]


def test_plain_json_alone_makes_no_further_file(tmp_path):
    NdjsonSink(tmp_path, FORMS["json"]).deliver([incident()])
    assert [p.name for p in tmp_path.iterdir()] == ["incidents.ndjson"]


@BESIDE
def test_a_restart_appends_nothing_again(tmp_path, form):
    revisions = [hostile_incident() | {"revision": n} for n in range(1, 4)]
    NdjsonSink(tmp_path, form).deliver(revisions[:2])
    NdjsonSink(tmp_path, form).deliver(revisions)
    assert [n for _, n in keys(tmp_path / f"incidents{form.suffix}", form)] == [1, 2, 3]


@BESIDE
def test_a_line_that_was_cut_off_is_taken_back_in_each_file(tmp_path, form):
    sink = NdjsonSink(tmp_path, form)
    sink.deliver([incident(revision=1)])
    path = tmp_path / f"incidents{form.suffix}"
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(whole[: len(whole) // 2])
    NdjsonSink(tmp_path, form).deliver([incident(revision=1), incident(revision=2)])
    assert [n for _, n in keys(path, form)] == [1, 2]


@BESIDE
def test_what_one_file_could_not_take_is_told_once_in_both(tmp_path, form):
    sink = NdjsonSink(tmp_path, form)
    sink.deliver([incident(revision=1)])
    with (tmp_path / f"incidents{form.suffix}").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = sink.deliver([incident(revision=2)])
        assert done.accepted == []
        assert done.retry_after > 0
    assert sink.deliver([incident(revision=2)]).accepted == [("inc-33c65910ec91c732", 2)]
    for name, reader in {
        "incidents.ndjson": FORMS["json"],
        f"incidents{form.suffix}": form,
    }.items():
        assert [n for _, n in keys(tmp_path / name, reader)] == [1, 2]


def test_a_run_writes_the_form_of_its_configuration(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(run, "NdjsonSink", lambda *args: made.append(args) or NdjsonSink(*args))
    config = tmp_path / "outrider.toml"
    config.write_text('[deliver]\nfiles_format = "cef"\n')
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text("")
    state = tmp_path / "state"
    command = ["run", str(tmp_path / "in"), "--state", str(state), "--config", str(config)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert made == [(state, FORMS["cef"])]


@BESIDE
def test_what_a_form_has_no_words_for_is_rejected_and_stops_nothing(tmp_path, form):
    newer = incident(revision=2) | {"severity": "apocalyptic"}
    done = NdjsonSink(tmp_path, form).deliver([incident(revision=1), newer, incident(revision=3)])
    assert [revision for _, revision in done.accepted] == [1, 3]
    assert [revision for _, revision in done.rejected] == [2]
    assert [n for _, n in keys(tmp_path / f"incidents{form.suffix}", form)] == [1, 3]
    assert [n for _, n in keys(tmp_path / "incidents.ndjson", FORMS["json"])] == [1, 2, 3]
