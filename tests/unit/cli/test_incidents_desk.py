"""What people on call say from the command line, and whom a route would tell."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from pipeline.cli.main import main
from pipeline.ledger.store import Ledger
from pipeline.model.errors import ExitCode
from pipeline.model.json_schema import schema_of
from pipeline.model.notice import Ack, Silence
from pipeline.runtime import notify_settings as settings_module
from tests.live.notified import Receiver, add, notifier
from tests.unit.notify.playing import MONDAY, World, everything, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLACK = everything("slack.team")


class Now:
    """A clock that shows the present moment to both: the command has the system's."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Of a run that is going on, which has told one incident."""
    held = Ledger(tmp_path / "ledger.sqlite")
    held.hold()
    world = World(SLACK, at=datetime.now(UTC).replace(microsecond=0))
    add(held, world.incident("inc-aa"), world.incident("inc-ab", clients=["owa"]))
    notifier(held, {"slack.team": Receiver("slack.team")}, Now(), SLACK).step()
    yield held
    held.close()


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """One destination, one route to it."""
    made = settings(SLACK, ["slack.team"])
    monkeypatch.setattr(settings_module, "settings_of", lambda _: made)


def call(capsys: pytest.CaptureFixture[str], ledger: Ledger, *words: str) -> tuple[int, str, str]:
    code = main(["incidents", *words, "--state", str(ledger.path.parent)])
    done = capsys.readouterr()
    return code, done.out, done.err


def read(capsys: pytest.CaptureFixture[str], ledger: Ledger, *words: str) -> Any:
    code, out, err = call(capsys, ledger, *words, "--json")
    assert code == ExitCode.OK, err
    return json.loads(out)


def test_an_acknowledgement_is_kept_with_who_and_until_when(
    capsys: pytest.CaptureFixture[str], ledger: Ledger
) -> None:
    until = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    words = ["--by", "ana", "--note", "on\nit", "--until", until]
    told = read(capsys, ledger, "ack", "inc-aa", *words)
    jsonschema.validate(told, schema_of(Ack))
    kept = ledger.acks()["inc-aa"]
    assert (kept.by, kept.note) == ("ana", "on it")
    assert kept.until == datetime.fromisoformat(until)


def test_an_incident_may_be_called_by_its_beginning_if_that_is_one(
    capsys: pytest.CaptureFixture[str], ledger: Ledger
) -> None:
    assert call(capsys, ledger, "ack", "inc-ab", "--by", "ana")[1] == (
        "inc-ab is acknowledged by ana.\n"
    )
    code, _, err = call(capsys, ledger, "ack", "inc-a", "--by", "ana")
    assert code == ExitCode.USAGE
    assert "'inc-a' begins 2 incidents: inc-aa, inc-ab" in err
    code, _, err = call(capsys, ledger, "ack", "inc-x", "--by", "ana")
    assert code == ExitCode.USAGE
    assert "no incident 'inc-x'; there is inc-aa, inc-ab" in err
    assert set(ledger.acks()) == {"inc-ab"}


@pytest.mark.parametrize(
    "words",
    [["ack", ""], ["ack", " "], ["silence", "--end", ""], ["route", "test", ""]],
)
def test_an_empty_name_is_none_although_there_is_one_alone_to_be_meant(
    capsys: pytest.CaptureFixture[str], ledger: Ledger, words: list[str]
) -> None:
    with ledger.transaction():
        ledger.put_silence(Silence("sil-1", (), MONDAY, datetime.max.replace(tzinfo=UTC), "b", "c"))
    code, out, err = call(capsys, ledger, *words)
    assert (code, out) == (ExitCode.USAGE, "")
    assert "the id is empty" in err
    assert ledger.acks() == {}


@pytest.mark.parametrize("wrong", ["inc-5d", "inc-33C65910EC91C732", "sil-33c65910ec91c732", "x"])
def test_over_kafka_what_is_no_whole_id_is_refused_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str], ledger: Ledger, wrong: str
) -> None:
    code, out, err = call(capsys, ledger, "ack", wrong, "--kafka")
    assert (code, out) == (ExitCode.USAGE, "")
    assert f"{wrong!r} is no whole id; with --kafka write all of it, inc- and 16 digits" in err


def test_over_kafka_no_more_is_said_than_that_it_was_sent(
    capsys: pytest.CaptureFixture[str], ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr("pipeline.runtime.kafka.desk.send_answer", lambda _, a: sent.append(a))
    name = "inc-33c65910ec91c732"
    code, out, _ = call(capsys, ledger, "ack", name, "--kafka", "--by", "ana")
    assert (code, out) == (ExitCode.OK, f"It is sent that ana looks after {name}.\n")
    assert [a.incident_id for a in sent] == [name]


def test_an_end_that_is_past_is_refused(capsys: pytest.CaptureFixture[str], ledger: Ledger) -> None:
    code, _, err = call(capsys, ledger, "ack", "inc-aa", "--until", "2020-01-01")
    assert code == ExitCode.USAGE
    assert "--until: 2020-01-01 is past" in err


def test_a_silence_is_made_listed_and_ended(
    capsys: pytest.CaptureFixture[str], ledger: Ledger
) -> None:
    words = ["--match", "client=owa", "--match", "severity<=high", "--for", "2h"]
    made = read(capsys, ledger, "silence", *words, "--by", "ben", "--comment", "known")
    jsonschema.validate(made, schema_of(Silence))
    assert made["matchers"] == ["client=owa", "severity<=high"]
    lasts = datetime.fromisoformat(made["ends_at"]) - datetime.fromisoformat(made["starts_at"])
    assert lasts == timedelta(hours=2)
    (listed,) = read(capsys, ledger, "silence", "--list")
    assert listed == made
    text = call(capsys, ledger, "silence", "--list")[1]
    assert "client=owa and severity<=high" in text
    assert "ben" in text
    code, out, _ = call(capsys, ledger, "silence", "--end", made["silence_id"][:8])
    assert (code, out) == (ExitCode.OK, f"{made['silence_id']} has ended.\n")
    assert call(capsys, ledger, "silence", "--list")[1] == "Nothing is silenced.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give --match with --for and --comment, or --list, or --end"),
        (["--list", "--end", "x"], "give --match"),
        (["--for", "2h", "--comment", "x"], "say what is silenced"),
        (["--match", "client=owa"], "needs --for and --comment"),
        (["--match", "client=owa", "--for", "2h"], "needs --for and --comment"),
        (["--match", "client=ow", "--for", "2h", "--comment", "x"], "--match: 'client=ow'"),
        (["--match", "client=owa", "--for", "2 hours", "--comment", "x"], "is no length such as"),
        (["--match", "client=owa", "--for", "400d", "--comment", "x"], "up to a year"),
        (["--end", "sil-x"], "no silence 'sil-x'; there are no silences"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_way_to_say_it(
    capsys: pytest.CaptureFixture[str], ledger: Ledger, words: list[str], said: str
) -> None:
    code, out, err = call(capsys, ledger, "silence", *words)
    assert (code, out) == (ExitCode.USAGE, "")
    assert said in err
    assert ledger.silences() == []


def test_a_folder_without_a_ledger_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = main(["incidents", "silence", "--list", "--state", str(tmp_path / "none")])
    assert code == ExitCode.USAGE
    assert "no ledger here" in capsys.readouterr().err


def test_a_route_is_tried_with_an_incident(
    capsys: pytest.CaptureFixture[str], ledger: Ledger
) -> None:
    call(capsys, ledger, "ack", "inc-aa", "--by", "ana")
    told = read(capsys, ledger, "route", "test", "inc-aa")
    (found,) = told["destinations"]
    assert (found["sink"], found["route"], found["told"]) == ("slack.team", "default", True)
    assert any("acknowledged by ana" in s for s in found["sentences"])
    text = call(capsys, ledger, "route", "test", "inc-aa")[1]
    assert "acknowledged by ana" in text


def test_a_route_is_tried_with_labels_and_the_silences_of_now(
    capsys: pytest.CaptureFixture[str], ledger: Ledger
) -> None:
    words = ["--label", "severity=low", "--label", "client=owa,imap4"]
    (found,) = read(capsys, ledger, "route", "test", *words)["destinations"]
    assert found["told"]
    call(
        capsys, ledger, "silence", "--match", "client=owa", "--for", "1h", "--by", "b",
        "--comment", "known",
    )  # fmt: skip
    told = read(capsys, ledger, "route", "test", *words)
    assert not told["destinations"][0]["told"]
    assert told["destinations"][0]["sentences"][0].startswith("silenced until")
    assert "verdict" in told["labels_missing"]
    text = call(capsys, ledger, "route", "test", *words)[1]
    assert "silenced until" in text
    assert "Not named, so that matchers over them found no value: verdict" in text


def test_routes_that_nobody_wrote_are_shown_as_built_in(
    capsys: pytest.CaptureFixture[str], ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = settings({}, ["slack.team"])
    monkeypatch.setattr(settings_module, "settings_of", lambda _: made)
    words = ["--label", "severity=high", "--label", "verdict=attack"]
    text = call(capsys, ledger, "route", "test", *words)[1]
    assert "slack.team   told (built in)  yes   route told (built in) takes it" in text
    assert "route unclear (built in) is not looked at: told (built in) has taken it" in text


def test_routes_can_be_tried_before_the_first_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["route", "test", "--label", "severity=high", "--state", str(tmp_path / "none")]
    assert main(["incidents", *words]) == ExitCode.OK
    assert "slack.team" in capsys.readouterr().out


def test_routes_are_tried_on_the_ledger_of_a_worker_that_follows_topics(
    capsys: pytest.CaptureFixture[str], ledger: Ledger, tmp_path: Path
) -> None:
    ledger.close()
    ledger.path.rename(tmp_path / "notices.sqlite")
    (found,) = read(capsys, ledger, "route", "test", "inc-ab")["destinations"]
    assert found["sentences"][0].startswith("told 20")


def test_what_others_wrote_reaches_no_terminal_as_a_command(
    capsys: pytest.CaptureFixture[str], ledger: Ledger
) -> None:
    now = datetime.now(UTC)
    words = ("tenant!=\x1b[31m\u202e",)
    bad = Silence("sil-1", words, now, now + timedelta(hours=1), "\x1b[2J", "a\nb\x07" * 900)
    ledger.put_silence(bad)
    for command in (["silence", "--list"], ["route", "test", "--label", "severity=high"]):
        out = call(capsys, ledger, *command)[1]
        assert "sil-1" in out
        assert not {"\x1b", "\x07", "\u202e"} & set(out)
        assert len(out) < 5000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name an incident, or imagine one"),
        (["inc-aa", "--label", "severity=high"], "name an incident, or imagine one"),
        (["--label", "severity>=high"], "an incident has values"),
        (["--label", "client!=owa"], "an incident has values"),
        (["--label", "colour=red"], "there is no label 'colour'"),
        (["inc-aa", "--kafka"], "--kafka knows no incidents"),
    ],
)
def test_an_incident_that_cannot_be_imagined_is_refused(
    capsys: pytest.CaptureFixture[str], ledger: Ledger, words: list[str], said: str
) -> None:
    code, _, err = call(capsys, ledger, "route", "test", *words)
    assert code == ExitCode.USAGE
    assert said in err


def test_an_incident_that_is_over_and_was_told_nobody_is_told_to_nobody(
    capsys: pytest.CaptureFixture[str], ledger: Ledger
) -> None:
    world = World()
    add(ledger, world.incident("old"), world.incident("old", state="resolved"))
    assert call(capsys, ledger, "route", "test", "old")[1].startswith("Nobody is told.")
