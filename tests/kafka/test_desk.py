"""Acknowledgements and silences over a real broker, followed into the ledger that decides."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.cli.main import main
from pipeline.model.clock import ManualClock
from pipeline.model.documents import to_line
from pipeline.model.errors import ExitCode
from pipeline.model.notice import Ack, Silence
from pipeline.runtime.kafka.client import Topics, producer
from pipeline.runtime.kafka.desk import read_answers, send_answer
from tests.kafka.publishing import Publisher, follower, until, written
from tests.live.notified import Receiver, notifier
from tests.unit.notify.playing import MONDAY, World, everything

SLACK = everything("slack.team")


def catch_up(config, ledger):
    one = follower(config, ledger)
    until(lambda: one.caught_up, one.step)
    one.close()


def silence(name, hours):
    return Silence(name, ("tenant=t",), MONDAY, MONDAY + timedelta(hours=hours), "ben", "known")


def test_the_newest_of_each_counts_for_whoever_follows(config, ledger):
    send_answer(config, Ack("inc-1", MONDAY, "ana", ""))
    send_answer(config, Ack("inc-1", MONDAY + timedelta(hours=1), "ben", "mine"))
    send_answer(config, silence("sil-1", 8))
    send_answer(config, silence("sil-1", 2))
    catch_up(config, ledger)
    assert ledger.acks()["inc-1"].by == "ben"
    assert ledger.silences() == [silence("sil-1", 2)]
    read = read_answers(config)
    assert (read.acks, read.silences) == ([ledger.acks()["inc-1"]], [silence("sil-1", 2)])


def test_what_is_none_of_ours_is_left_out(config, ledger):
    odd = Silence("sil-9", ("colour=red",), MONDAY, MONDAY, "x", "x")
    strange = [
        (b"ack/inc-1", b"no JSON"),
        (b"ack/inc-2", to_line(Ack("inc-3", MONDAY, "x", "x")).encode()),
        (b"silence/sil-9", to_line(odd).encode()),
        (b"other/x", b"{}"),
        (b"ack/inc-4", None),
    ]
    writer = producer(config, f"{config.prefix}-strange")
    writer.begin_transaction()
    for key, value in strange:
        writer.send(Topics(config.prefix).desk, key=key, value=value)
    writer.commit_transaction()
    writer.close(timeout=5)
    send_answer(config, Ack("inc-5", MONDAY, "ana", ""))
    catch_up(config, ledger)
    assert (list(ledger.acks()), ledger.silences()) == (["inc-5"], [])
    assert [a.incident_id for a in read_answers(config).acks] == ["inc-5"]


def test_people_are_told_from_a_ledger_that_follows_and_a_silence_from_afar_counts(config, ledger):
    world, sink, clock = World(SLACK), Receiver("slack.team"), ManualClock(MONDAY)
    publisher = Publisher(config)
    running = notifier(ledger, {"slack.team": sink}, clock, SLACK)
    publisher.send(("incident", world.incident("inc-1")))
    catch_up(config, ledger)
    running.step()
    send_answer(config, Silence("s", ("client=owa",), MONDAY, MONDAY + timedelta(hours=1), "b", ""))
    publisher.send(("incident", world.incident("inc-2", clients=["owa"])))
    catch_up(config, ledger)
    running.step()
    assert sink.keys == [("inc-1", 1)]
    clock.advance(timedelta(hours=1))
    running.step()
    assert sink.keys == [("inc-1", 1), ("inc-2", 1)]
    publisher.close()


def test_the_command_line_answers_over_the_broker(config, tmp_path, capsys):
    path = str(written(config, tmp_path / "outrider.toml"))

    def call(*words):
        assert main(["incidents", *words, "--kafka", "--config", path, "--json"]) == ExitCode.OK
        return json.loads(capsys.readouterr().out)

    call("ack", "inc-33c65910ec91c732", "--by", "ana", "--note", "on it")
    made = call("silence", "--match", "client=owa", "--for", "1h", "--by", "ben", "--comment", "x")
    assert call("silence", "--list") == [made]
    call("silence", "--end", made["silence_id"])
    assert call("silence", "--list") == []
    found = read_answers(config)
    assert [a.incident_id for a in found.acks] == ["inc-33c65910ec91c732"]
    assert found.silences[0].ends_at < datetime.now(UTC)
    assert not Path("outrider-state").exists()
