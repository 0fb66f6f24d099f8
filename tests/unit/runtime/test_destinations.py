"""Destinations by the configuration: made, looked at by ``check``, tried by a person."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.model.clock import SystemClock
from pipeline.model.errors import ConfigError
from pipeline.runtime.checking.destinations import destinations
from pipeline.runtime.checking.finding import State
from pipeline.runtime.checking.plan import check
from pipeline.runtime.config import load
from pipeline.runtime.destinations import chosen, names, records
from tests.services.pagerduty import ROUTING_KEY, PagerDuty
from tests.services.server import Reply, serving
from tests.services.slack import Slack
from tests.services.splunk import TOKEN, Splunk, said


@pytest.fixture
def services():
    clock = SystemClock()
    with (
        serving(Splunk(clock)) as splunk,
        serving(PagerDuty(clock)) as pagerduty,
        serving(Slack(clock)) as slack,
    ):
        yield splunk, pagerduty, slack


@pytest.fixture
def config(tmp_path, services):
    splunk, pagerduty, slack = services
    for name, content in (("token", TOKEN), ("key", ROUTING_KEY), ("hook", slack.hook)):
        path = tmp_path / name
        path.write_text(content)
        path.chmod(0o600)
    path = tmp_path / "outrider.toml"
    path.write_text(
        f"""
[deliver.splunk.main]
address = "{splunk.root}"
token_file = "{tmp_path}/token"
[deliver.files.archive]
folder = "{tmp_path}/archive"
[deliver.pagerduty.soc]
address = "{pagerduty.root}"
routing_key_file = "{tmp_path}/key"
[deliver.slack.oncall]
url_file = "{tmp_path}/hook"
"""
    )
    return path


def states(config, tmp_path):
    return {f.where: f.state for f in destinations(load(config, environ={}), tmp_path)}


def test_all_that_are_configured_are_made(config):
    settings = load(config, environ={})
    assert names(settings) == (["splunk.main", "files.archive"], ["slack.oncall", "pagerduty.soc"])
    assert list(records(settings, ["files.archive"])) == ["files.archive"]
    assert chosen(settings, ["pagerduty.soc"]) == ([], ["pagerduty.soc"])
    with pytest.raises(ConfigError, match=r"no destination 'slack\.all'; there are: splunk\.main"):
        chosen(settings, ["slack.all"])


def test_check_looks_at_each_and_sends_nothing(config, tmp_path, services):
    splunk, pagerduty, slack = services
    assert states(config, tmp_path) == {
        "splunk.main": State.OK,
        "files.archive": State.OK,
        "slack.oncall": State.OK,
        "pagerduty.soc": State.OK,
        "notify": State.OK,
    }
    assert (splunk.indexed, pagerduty.events, slack.requests) == ([], [], [])
    found = {f.where for f in check(load(config, environ={}), tmp_path / "state", SystemClock())}
    assert {"splunk.main", "pagerduty.soc"} <= found


@pytest.mark.parametrize("broken", ["collector", "secret", "route"])
def test_check_names_what_is_broken(config, tmp_path, services, broken):
    splunk, _, _ = services
    wanted = {"collector": "splunk.main", "secret": "pagerduty.soc", "route": "notify"}[broken]
    if broken == "collector":
        splunk.broken = said(18)
    elif broken == "secret":
        (tmp_path / "key").unlink()
    else:
        with config.open("a") as file:
            file.write('[notify.routes.night]\nsinks = ["slack.nobody"]\n')
    found = states(config, tmp_path)
    assert {w for w, s in found.items() if s is State.FAIL} == {wanted}


def test_a_secret_that_everybody_may_read_is_remarked(config, tmp_path):
    (tmp_path / "key").chmod(0o644)
    found = check(load(config, environ={}), tmp_path / "state", SystemClock())
    assert any(f.what == "remark" and str(tmp_path / "key") in f.told for f in found)


def test_a_test_message_is_sent_and_closed_and_says_what_it_is(config, services):
    _, pagerduty, slack = services
    done = CliRunner().invoke(
        app, ["incidents", "route", "send", "pagerduty.soc", "--config", str(config)]
    )
    assert done.exit_code == 0, done.output
    assert [e["event_action"] for e in pagerduty.events] == ["trigger", "resolve"]
    (alert,) = pagerduty.alerts
    assert alert[1] == "resolved"
    assert "TEST of this destination: nothing is wrong" in pagerduty.events[0]["payload"]["summary"]
    done = CliRunner().invoke(
        app, ["incidents", "route", "send", "slack.oncall", "--config", str(config)]
    )
    assert done.exit_code == 0, done.output
    assert "TEST of this destination" in json.dumps([r.body.decode() for r in slack.requests])


def test_a_test_message_to_nobody_and_one_that_is_refused_are_told(config, services):
    _, pagerduty, _ = services
    invoke = CliRunner().invoke
    done = invoke(app, ["incidents", "route", "send", "splunk.main", "--config", str(config)])
    assert isinstance(done.exception, ConfigError | SystemExit)
    pagerduty.broken = Reply(400, {"status": "invalid event", "errors": ["bad"]})
    done = invoke(app, ["incidents", "route", "send", "pagerduty.soc", "--config", str(config)])
    assert done.exit_code != 0
    assert ROUTING_KEY not in done.output + str(done.exception)
