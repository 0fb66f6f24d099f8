"""Files that the configuration names: a missing one is told at the start, and by a check."""

from __future__ import annotations

import pytest

from pipeline.cli.main import main
from pipeline.model.errors import ConfigError, ExitCode
from pipeline.runtime.config import load
from pipeline.runtime.destinations import people, records
from pipeline.runtime.telemetry import get_logger

SLACK = "[deliver.slack.oncall]\ntoken_file = '{0}/slack'\nchannel = 'C024BE91L'\n"
SPLUNK = "[deliver.splunk.main]\naddress = 'https://splunk.example.net:8088'\n"


@pytest.fixture
def made(tmp_path):
    def make(text):
        path = tmp_path / "outrider.toml"
        path.write_text(text.format(tmp_path))
        return path

    return make


def told(config, tmp_path):
    with pytest.raises(ConfigError) as caught:
        people(config, ["slack.oncall"], ledger=tmp_path / "x.sqlite", log=get_logger("test"))
    return str(caught.value)


def test_a_missing_secret_of_people_is_told_when_they_are_made(made, tmp_path):
    said = told(load(made(SLACK), environ={}), tmp_path)
    assert said == (
        f"deliver.slack.oncall.token_file: {tmp_path}/slack cannot be read: "
        "No such file or directory"
    )


@pytest.mark.parametrize("content", [b"", b"\xff\xfe"])
def test_a_file_that_holds_no_secret_is_told_as_well(made, tmp_path, content):
    (tmp_path / "slack").write_bytes(content)
    said = told(load(made(SLACK), environ={}), tmp_path)
    assert said.startswith(f"deliver.slack.oncall.token_file: {tmp_path}/slack")


def test_a_secret_that_is_there_is_not_told(made, tmp_path):
    (tmp_path / "slack").write_text("xoxb-1")
    config = load(made(SLACK), environ={})
    assert people(config, ["slack.oncall"], ledger=tmp_path / "x", log=get_logger("test"))


def test_a_missing_secret_of_records_is_told_when_they_are_made(made, tmp_path, monkeypatch):
    config = load(made(f"{SPLUNK}token_file = '{{0}}/token'\n"), environ={})
    with pytest.raises(ConfigError, match=rf"deliver\.splunk\.main\.token_file: {tmp_path}/token"):
        records(config, ["splunk.main"])
    monkeypatch.delenv("SPLUNK_TOKEN", raising=False)
    config = load(made(f"{SPLUNK}token_variable = 'SPLUNK_TOKEN'\n"), environ={})
    with pytest.raises(ConfigError, match=r"deliver\.splunk\.main\.token_file, or set SPLUNK_TOK"):
        records(config, ["splunk.main"])
    monkeypatch.setenv("SPLUNK_TOKEN", "t")
    assert records(config, ["splunk.main"])


def test_only_destinations_that_are_meant_are_looked_at(made):
    config = load(made(f"{SLACK}{SPLUNK}token_file = '{{0}}/token'\n"), environ={})
    assert records(config, []) == {}


def test_who_signs_in_for_a_destination_needs_the_secret_too(made, tmp_path):
    text = (
        "[microsoft]\ntenant = 'contoso.com'\nclient_id = 'x'\nsecret_file = '{0}/client'\n"
        "[deliver.sentinel.soc]\nendpoint = 'https://dce.example.net'\n"
        f"rule_id = 'dcr-{'0' * 32}'\n"
    )
    with pytest.raises(ConfigError, match=rf"microsoft\.secret_file: {tmp_path}/client cannot"):
        records(load(made(text), environ={}), ["sentinel.soc"])


def test_a_run_stops_at_its_start(made, tmp_path, capsys):
    (tmp_path / "logs").mkdir()
    words = ["run", str(tmp_path / "logs"), "--state", str(tmp_path / "state")]
    assert main([*words, "--follow", "--config", str(made(SLACK))]) == ExitCode.USAGE
    assert "deliver.slack.oncall.token_file" in capsys.readouterr().err


def test_config_validate_looks_at_every_file_that_is_named(made, tmp_path, capsys):
    text = (
        f"{SLACK}ca_file = '{{0}}/ca.pem'\n[privacy]\nkey_file = '{{0}}/key'\n"
        "[kafka.oauth]\nsecret_file = '{0}'\n"
    )
    path = made(text)
    assert main(["config", "validate", str(path)]) == ExitCode.USAGE
    missing = "cannot be read: No such file or directory"
    assert capsys.readouterr().err.splitlines() == [
        f"outrider: privacy.key_file: {tmp_path}/key {missing}",
        f"outrider: kafka.oauth.secret_file: {tmp_path} cannot be read: Is a directory",
        f"outrider: deliver.slack.oncall.ca_file: {tmp_path}/ca.pem {missing}",
        f"outrider: deliver.slack.oncall.token_file: {tmp_path}/slack {missing}",
    ]
    for name in ("slack", "ca.pem", "key"):
        (tmp_path / name).write_text("x")
    path = made(text.partition("[kafka")[0])
    assert main(["config", "validate", str(path)]) == ExitCode.OK
