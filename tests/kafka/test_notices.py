"""Telling people from Kafka: what was told before is no news; a kill repeats and loses nothing."""

from __future__ import annotations

import json
import signal
import time

import pytest

from pipeline.ledger.followed import FollowedLedger
from pipeline.model.clock import SystemClock
from pipeline.model.documents import to_json
from pipeline.model.incident import IncidentState, RevisionReason
from pipeline.runtime.config import load
from pipeline.runtime.destinations import people
from pipeline.runtime.kafka.notices import Notices
from pipeline.runtime.live.pool import DaemonPool
from pipeline.runtime.metrics import Metrics
from pipeline.runtime.notify_settings import settings_of
from tests import warm
from tests.kafka.publishing import LOG, until, written
from tests.services.pagerduty import ROUTING_KEY, PagerDuty
from tests.services.server import serving
from tests.services.splunk import TOKEN, Splunk
from tests.sinks.notices import opened

OVER = {"reason": RevisionReason.RESOLVED, "state": IncidentState.RESOLVED}


@pytest.fixture
def pagerduty():
    with serving(PagerDuty(SystemClock())) as service:
        yield service


def incident(name, revision=1, **changes):
    """A revision of an incident of just now: what is weeks old is told to nobody."""
    now = SystemClock().now()
    dated = dict.fromkeys(("onset_at", "raised_at", "published_at", "last_evidence_at"), now)
    changes = {**dated, **changes}
    return ("incident", to_json(opened(incident_id=name, revision=revision, **changes)))


def settings(config, pagerduty, folder, more=""):
    """The configuration as a file, with a pager."""
    folder.mkdir(exist_ok=True)
    (folder / "key").write_text(ROUTING_KEY)
    path = written(config, folder / "outrider.toml")
    with path.open("a") as file:
        file.write(
            f'[deliver.pagerduty.soc]\naddress = "{pagerduty.root}"\n'
            f'routing_key_file = "{folder}/key"\n{more}'
        )
    return path


def worker(path, folder, metrics=None):
    told = load(path, environ={})
    ledger = FollowedLedger(folder / "notices.sqlite")
    return Notices(
        told,
        ledger,
        people(told, ["pagerduty.soc"], ledger=ledger.path, log=LOG),
        settings_of(told),
        pool=DaemonPool(1, "test"),
        clock=SystemClock(),
        metrics=metrics or Metrics(),
        log=LOG,
    )


def test_what_was_over_before_is_no_news_and_each_is_opened_and_closed_once(
    config, publisher, pagerduty, tmp_path
):
    publisher.send(incident("inc-old"), incident("inc-old", 2, **OVER), incident("inc-goes-on"))
    path, metrics = settings(config, pagerduty, tmp_path), Metrics()
    one = worker(path, tmp_path, metrics)
    until(lambda: len(pagerduty.alerts) == 1, one.step)
    told = {"sink": "people", "partition": "incident/0"}
    assert metrics.registry.get_sample_value("outrider_lag_messages", told) == 0
    publisher.send(incident("inc-new"), partition=1)
    until(lambda: len(pagerduty.alerts) == 2, one.step)
    one.close()
    publisher.send(incident("inc-goes-on", 2, **OVER), incident("inc-new", 2, **OVER))
    again = worker(path, tmp_path)
    until(lambda: all(s == "resolved" for _, s in pagerduty.alerts), again.step)
    for _ in range(5):
        again.step()
    again.close()
    assert pagerduty.alerts == [("inc-goes-on", "resolved"), ("inc-new", "resolved")]
    assert [e["event_action"] for e in pagerduty.events] == ["trigger"] * 2 + ["resolve"] * 2


def test_the_command_serves_a_siem_and_a_pager_at_once_killed_and_stopped(
    config, publisher, pagerduty, tmp_path
):
    with serving(Splunk(SystemClock())) as splunk:
        (tmp_path / "token").write_text(TOKEN)
        more = (
            f'[deliver.splunk.main]\naddress = "{splunk.root}"\ntoken_file = "{tmp_path}/token"\n'
            "[deliver]\nhistory = true\n"
        )
        path = settings(config, pagerduty, tmp_path, more)
        arguments = ["deliver", "--config", str(path), "--state", str(tmp_path / "state")]
        arguments += ["--name", "a", "--out", str(tmp_path / "out")]
        publisher.send(incident("inc-1"))
        log = (tmp_path / "log").open("wb")  # closed below
        first = warm.Popen([*warm.OUTRIDER, *arguments], stdout=log, stderr=log)
        try:
            until(lambda: pagerduty.alerts and splunk.indexed, lambda: time.sleep(0.05))
        finally:
            first.kill()
            first.wait()
        publisher.send(incident("inc-1", 2, **OVER), incident("inc-2"))
        last = warm.Popen([*warm.OUTRIDER, *arguments], stdout=log, stderr=log)
        try:
            until(
                lambda: len(pagerduty.events) >= 3 and len(splunk.indexed) >= 3,
                lambda: time.sleep(0.05),
            )
            last.send_signal(signal.SIGTERM)
            assert last.wait(30) == 0
        finally:
            last.kill()
            last.wait()
            log.close()
    assert {e["fields"]["key"] for e in splunk.indexed} == {"inc-1:1", "inc-1:2", "inc-2:1"}
    assert dict(pagerduty.alerts) == {"inc-1": "resolved", "inc-2": "triggered"}
    told = json.loads((tmp_path / "log").read_text().splitlines()[-1])
    assert (told["event"], told["outcome"]) == ("deliver", "ok")
    assert told["sinks"] == ["ndjson", "people", "splunk.main"]


def test_people_without_a_place_to_keep_it_are_an_error_that_says_so(config, pagerduty, tmp_path):
    path = settings(config, pagerduty, tmp_path)
    done = warm.run([*warm.OUTRIDER, "deliver", "--config", str(path)])
    assert done.returncode == 2
    assert "pagerduty.soc: give --state DIR" in done.stderr
