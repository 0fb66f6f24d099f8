"""Following a real broker into a ledger, and serving that: killed anywhere, whole in the end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from pipeline.ledger.followed import FollowedLedger
from pipeline.ledger.reading import Reader
from pipeline.ledger.store import Ledger
from pipeline.model.clock import SystemClock, to_us
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import ConfigError, RetriableError
from pipeline.runtime.kafka.letters import record_of, replay_mark
from pipeline.runtime.metrics import Metrics
from tests import warm
from tests.kafka.publishing import (
    document,
    follower,
    in_order,
    killed_at_random,
    start,
    streaming,
    until,
    written,
)

KILLS = int(os.environ.get("OUTRIDER_TEST_KILLS", "5"))
API = "/api/v1"


def held_by(ledger):
    return [(d.kind, d.id, d.revision) for d in ledger.documents()]


def catch_up(one):
    until(lambda: one.caught_up, one.step)


def test_killed_at_random_moments_the_ledger_holds_each_revision_once_and_in_order(
    config, publisher, tmp_path
):
    path = tmp_path / "followed.sqlite"
    Ledger(path).close()

    def progress():
        with closing(sqlite3.connect(path)) as db:
            return db.execute("SELECT count(*) FROM documents").fetchone()[0]

    thread, stop = streaming(publisher)
    try:
        killed_at_random(lambda: start("follow", config, path), progress, KILLS, seed=5)
    finally:
        stop.set()
        thread.join()
    ledger, metrics = FollowedLedger(path), Metrics()
    before = len(held_by(ledger))
    last = follower(config, ledger, metrics)
    catch_up(last)
    last.close()
    found = held_by(ledger)
    ledger.close()
    assert in_order(found)
    assert sorted(found) == sorted(publisher.sent)
    # It went on where the last one was killed, and did not begin anew.
    new = [
        metrics.registry.get_sample_value("outrider_documents_total", {"kind": k}) or 0
        for k in ("flag", "incident")
    ]
    assert sum(new) == len(found) - before


def test_what_comes_again_changes_nothing(config, publisher, ledger):
    publisher.send(("flag", document("flag", "f", 1)), ("incident", document("incident", "i", 1)))
    one = follower(config, ledger)
    catch_up(one)
    one.close()
    with ledger.transaction():
        ledger.put_cursor("kafka", {"v": 1, "prefix": config.prefix, "offsets": []})
    publisher.send(("flag", document("flag", "f", 2)))
    again = follower(config, ledger)
    catch_up(again)
    again.close()
    assert sorted(held_by(ledger)) == sorted(publisher.sent)


def test_what_is_no_document_is_passed_over_and_counted(config, publisher, ledger):
    publisher.send(("flag", b"no json"), ("flag", document("flag", "f", 1)), ("incident", b"[]"))
    metrics = Metrics()
    one = follower(config, ledger, metrics)
    catch_up(one)
    one.close()
    assert held_by(ledger) == [("flag", "f", 1)]
    read = metrics.registry.get_sample_value
    assert read("outrider_dead_letters_total", {"reason": "unreadable_message"}) == 2


def test_dead_letters_are_followed_with_what_became_of_them(config, publisher, ledger):
    now = SystemClock().now()
    letters = [
        DeadLetter(0, to_us(now) + n, "t", "not_json", "d", "p", "record", b"body")
        for n in range(3)
    ]
    publisher.bury(*map(record_of, letters), {"value": b"of somebody else"})
    reader = Reader(ledger.path)
    one = follower(config, ledger)
    catch_up(one)
    publisher.bury(replay_mark(ledger.dead()[1], now) | {"headers": mark_of(config, 1, now)})
    until(lambda: any(c.replayed for c in reader.dead_counts()), one.step)
    one.close()
    counts = {c.reason: (c.letters, c.replayed) for c in reader.dead_counts()}
    reader.close()
    assert counts == {"not_json": (3, 1), "unknown_letter": (1, 0)}
    assert all(d.body is None for d in ledger.dead())


def mark_of(config, offset, now):
    letter = DeadLetter(offset, 0, "t", "not_json", "d", "p", "record", partition=0)
    return replay_mark(letter, now)["headers"]


def test_a_ledger_of_other_topics_is_left_alone(config, ledger, cluster):
    one = follower(config, ledger)
    with ledger.transaction():
        ledger.put_cursor("kafka", {"v": 1, "prefix": "another", "offsets": []})
    with pytest.raises(ConfigError, match="name another --state"):
        one.step()
    nobody = follower(config.model_copy(update={"prefix": "nobody"}), ledger)
    with pytest.raises(ConfigError, match="outrider kafka init"):
        nobody.step()


def test_a_full_disk_keeps_nothing_of_a_portion_and_it_is_read_again(config, publisher, ledger):
    publisher.send(*[("flag", document("flag", f"f{n}", 1, pad="x" * 3000)) for n in range(50)])
    ledger.limit_pages(ledger.size())
    one = follower(config, ledger)
    with pytest.raises(RetriableError, match="free some space"):
        until(lambda: False, one.step)
    assert held_by(ledger) == []
    ledger.limit_pages(2**30)
    catch_up(one)
    one.close()
    assert len(held_by(ledger)) == 50


class Served:
    """``outrider serve`` as a process, and what it answers."""

    def __init__(self, folder, *arguments):
        with (folder / "log").open("ab") as log:
            self.process = warm.Popen(
                [*warm.OUTRIDER, "serve", "--bind", "127.0.0.1:0", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        url = self.process.stdout.readline().decode()
        assert url.startswith("http://127.0.0.1:"), (folder / "log").read_text()
        self.port = int(url.split("/")[2].split(":")[1])

    def ask(self, target, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", target, headers=headers)
            found = connection.getresponse()
            return found.status, found.headers, json.loads(found.read() or b"null")
        finally:
            connection.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        finally:
            self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def test_the_command_serves_what_it_follows_and_goes_on_after_a_kill(config, publisher, tmp_path):
    for n in range(3):
        publisher.send(("incident", document("incident", f"i{n}", 1)), partition=n)
    path = written(config, tmp_path / "outrider.toml")
    arguments = ["--state", str(tmp_path / "state"), "--config", str(path)]
    first = Served(tmp_path, *arguments)
    try:
        until(lambda: first.ask("/readyz")[0] == 200, lambda: time.sleep(0.05))
        _, headers, told = first.ask(f"{API}/incidents?limit=2")
        assert [d["incident_id"] for d in told["items"]] == ["i2", "i1"]
        assert first.ask(f"{API}/incidents?limit=2", **{"If-None-Match": headers["ETag"]})[0] == 304
        rest = f"{API}/incidents?limit=2&cursor={told['next']}"
        # What arrives between the pages is on none of them.
        publisher.send(("incident", document("incident", "i0", 2)))
        publisher.send(("incident", document("incident", "late", 1)))
        until(lambda: first.ask(f"{API}/incidents/late")[0] == 200, lambda: time.sleep(0.05))
        _, _, page = first.ask(rest)
        assert [(d["incident_id"], d["revision"]) for d in page["items"]] == [("i0", 1)]
        assert first.ask(rest)[2] == page
    finally:
        first.kill()
    again = Served(tmp_path, *arguments)
    try:
        # What is in the ledger is there at once, whether the brokers answer or not.
        assert again.ask(rest)[2] == page
        until(lambda: again.ask("/readyz")[0] == 200, lambda: time.sleep(0.05))
        told = again.ask(f"{API}/status")[2]
        assert (told["mode"], told["problem"]) == ("kafka", None)
        assert told["lag"] == {"flag": 0, "incident": 0, "dead letter": 0, "desk": 0, "view": 0}
        revisions = again.ask(f"{API}/incidents/i0")[2]["revisions"]
        assert [d["revision"] for d in revisions] == [1, 2]
    finally:
        assert again.stop() == 0


def test_the_command_serves_without_its_brokers_what_it_has(config, tmp_path):
    state = tmp_path / "state"
    ledger = FollowedLedger(state / "followed.sqlite")
    told = json.dumps(document("incident", "i", 1))
    ledger.add_documents("incident", [("i", 1, "t", told)])
    ledger.close()
    nobody = config.model_copy(update={"servers": ["127.0.0.1:1"]})
    path = written(nobody, tmp_path / "outrider.toml")
    served = Served(tmp_path, "--state", str(state), "--config", str(path))
    try:
        assert served.ask(f"{API}/incidents/i")[0] == 200
        assert served.ask(f"{API}/status")[2]["lag"] == {}
        assert served.ask("/readyz")[0] == 503
        assert served.ask("/healthz")[0] == 200
    finally:
        served.kill()
