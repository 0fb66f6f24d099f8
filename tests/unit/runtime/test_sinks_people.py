"""Destinations where people read, as the configuration tells them."""

from __future__ import annotations

import json
import re
import time
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.sinks.mail import MailSink
from connectors.sinks.memory import Forgetful
from connectors.sinks.pagerduty import EU_ADDRESS, PagerDutySink
from connectors.sinks.servicenow import ServiceNowSink
from connectors.sinks.slack import SlackSink
from connectors.sinks.slack_webhook import SlackWebhookSink
from connectors.sinks.teams import TeamsSink
from connectors.sinks.webhook import WebhookSink, signature
from pipeline.model.clock import ManualClock, SystemClock
from pipeline.model.errors import FatalError
from pipeline.runtime.config_people import Email
from pipeline.runtime.sinks_people import SECTIONS, make
from tests.services import pagerduty, servicenow, slack, teams, webhooks
from tests.services.server import serving
from tests.services.smtp import MailServer, receiving
from tests.sinks.notices import MESSAGE, notice
from tests.sinks.people_cases import NOW

FILE = Path("/run/secrets/x")
MAIL = {"host": "mail.example.com", "sender": "a@example.com", "recipients": ["b@example.com"]}
WHOLE = {
    "teams": {"url_file": FILE},
    "slack": {"token_file": FILE, "channel": "C024BE91L"},
    "pagerduty": {"routing_key_file": FILE},
    "servicenow": {"address": "https://x.example.com", "user": "u", "password_file": FILE},
    "email": MAIL,
    "webhook": {"url_file": FILE, "secret_file": FILE},
}


@pytest.mark.parametrize("kind", SECTIONS)
def test_each_kind_has_a_section_that_makes_it(kind):
    wanted = {
        "teams": TeamsSink,
        "slack": SlackSink,
        "pagerduty": PagerDutySink,
        "servicenow": ServiceNowSink,
        "email": MailSink,
        "webhook": WebhookSink,
    }
    section = SECTIONS[kind].model_validate(WHOLE[kind])
    assert isinstance(make(f"{kind}.oncall", section, message=MESSAGE), wanted[kind])


@pytest.mark.parametrize("kind", SECTIONS)
def test_every_key_is_described(kind):
    for name, field in SECTIONS[kind].model_fields.items():
        assert field.description, name
        assert not field.is_required() or field.examples, name


@pytest.mark.parametrize("kind", SECTIONS)
def test_secret_files_are_known_to_who_looks_at_their_permissions(kind):
    section = SECTIONS[kind].model_validate(WHOLE[kind])
    given = [v for k, v in WHOLE[kind].items() if k.endswith("_file")]
    assert [f for f in section.secret_files if f is not None] == given


def test_slack_without_a_token_is_a_webhook():
    section = SECTIONS["slack"].model_validate({"url_file": FILE})
    assert isinstance(make("slack.a", section, message=MESSAGE), SlackWebhookSink)


@pytest.mark.parametrize(
    ("kind", "keys", "says"),
    [
        ("teams", {}, "url_file is missing"),
        ("teams", {"url_file": FILE, "url_variable": "X"}, "contradict"),
        ("teams", {"url": "https://secret.example"}, "url"),
        ("slack", {}, "url_file is missing"),
        ("slack", {"token_file": FILE}, "channel is missing"),
        ("slack", {"token_file": FILE, "channel": "#oncall"}, "channel"),
        ("slack", {"token_file": FILE, "channel": "C024BE91L", "url_file": FILE}, "contradict"),
        ("slack", {"url_file": FILE, "channel": "C024BE91L"}, "no effect"),
        ("pagerduty", {}, "routing_key_file is missing"),
        ("pagerduty", {"routing_key_file": FILE, "region": "mars"}, "region"),
        ("servicenow", {"address": "https://x.example.com"}, "token_file is missing"),
        ("servicenow", {"address": "https://x.example.com", "user": "u"}, "password_file"),
        ("servicenow", {"address": "https://x.example.com", "password_file": FILE}, "missing"),
        ("servicenow", {"address": "http://x.example.com", "token_file": FILE}, "https://HOST"),
        ("email", {**MAIL, "security": "none"}, "on this machine"),
        ("email", {**MAIL, "user": "u"}, "password_file is missing"),
        ("email", {**MAIL, "password_file": FILE}, "user is missing"),
        ("email", {**MAIL, "recipients": []}, "at least 1"),
        ("email", {**MAIL, "recipients": ["b@example.com\r\nBcc: c@d"]}, "mail address"),
        ("email", {**MAIL, "sender": "Somebody <a@example.com>"}, "mail address"),
        ("webhook", {"url_file": FILE}, "secret_file is missing"),
        ("webhook", {"url_file": FILE, "secret_file": FILE, "key_id": "a b"}, "key_id"),
    ],
)
def test_what_does_not_fit_together_is_told(kind, keys, says):
    with pytest.raises(ValidationError) as told:
        SECTIONS[kind].model_validate(keys)
    assert says in str(told.value)
    assert "secret.example" not in str(told.value)


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_a_mail_server_has_its_usual_port(security, port):
    section = Email.model_validate({**MAIL, "host": "localhost", "security": security})
    assert section.used_port == port


def test_the_eu_has_its_own_pagerduty():
    section = SECTIONS["pagerduty"].model_validate({"routing_key_file": FILE, "region": "eu"})
    assert make("pagerduty.a", section, message=MESSAGE)._http.root == EU_ADDRESS


def secret(folder, name, text):
    path = folder / name
    path.write_text(f"{text}\n")
    return path


def test_each_delivers_with_the_secrets_of_its_files(tmp_path):
    places = {
        "teams": teams.Teams,
        "slack": slack.Slack,
        "pagerduty": pagerduty.PagerDuty,
        "servicenow": servicenow.ServiceNow,
        "webhook": webhooks.Webhooks,
    }
    for kind, service_of in places.items():
        service = service_of(ManualClock(NOW))
        with serving(service):
            keys = {
                "teams": lambda s: {"url_file": secret(tmp_path, "t", s.address)},
                "slack": lambda s: {
                    "token_file": secret(tmp_path, "s", slack.TOKEN),
                    "channel": slack.CHANNEL,
                    "address": s.root,
                },
                "pagerduty": lambda s: {
                    "routing_key_file": secret(tmp_path, "p", pagerduty.ROUTING_KEY),
                    "address": s.root,
                },
                "servicenow": lambda s: {
                    "address": s.root,
                    "user": servicenow.USER,
                    "password_file": secret(tmp_path, "n", servicenow.PASSWORD),
                },
                "webhook": lambda s: {
                    "url_file": secret(tmp_path, "u", s.address),
                    "secret_file": secret(tmp_path, "w", webhooks.SECRET),
                    "key_id": "2026-03",
                },
            }[kind](service)
            section = SECTIONS[kind].model_validate(keys)
            if kind == "webhook":
                service.clock = SystemClock()
            sink = make(f"{kind}.a", section, message=MESSAGE, memory=Forgetful())
            assert list(sink.deliver([notice()]).accepted) == [("inc-33c65910ec91c732", 1)], kind
            sink.close()


def test_mail_is_delivered_too():
    server = MailServer()
    with receiving(server):
        section = Email.model_validate(
            {**MAIL, "host": "localhost", "port": server.port, "security": "none"}
        )
        make("email.a", section, message=MESSAGE).deliver([notice()])
    assert len(server.mails) == 1


def test_a_secret_that_is_missing_names_its_key(tmp_path, monkeypatch):
    monkeypatch.delenv("TEAMS_URL", raising=False)
    section = SECTIONS["teams"].model_validate({"url_variable": "TEAMS_URL"})
    with pytest.raises(FatalError, match=r"the url of teams.oncall is missing.*TEAMS_URL"):
        make("teams.oncall", section, message=MESSAGE).deliver([notice()])
    section = SECTIONS["teams"].model_validate({"url_file": tmp_path / "none"})
    with pytest.raises(FatalError, match=r"the url of teams\.oncall cannot be read"):
        make("teams.oncall", section, message=MESSAGE).deliver([notice()])


DOCS = Path(__file__).parents[3] / "docs" / "outputs.md"


def documented(language):
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)


def test_every_kind_has_an_example_in_the_docs_that_is_right():
    found = set()
    for text in documented("toml"):
        for kind, places in tomllib.loads(text).get("deliver", {}).items():
            if kind in SECTIONS:
                for keys in places.values():
                    SECTIONS[kind].model_validate_json(json.dumps(keys))
                    found.add(kind)
    assert found == set(SECTIONS)


def test_the_message_in_the_docs_is_the_one_that_is_sent():
    assert MESSAGE(notice()).text() in documented("text")


def test_the_receiver_in_the_docs_knows_what_we_sign():
    (code,) = [text for text in documented("python") if "def is_ours" in text]
    names = {}
    exec(code, names)  # noqa: S102 # our own words
    is_ours, now = names["is_ours"], int(time.time())
    secrets = {"2026-03": webhooks.SECRET}

    def header(at, body=b"{}", kid="2026-03"):
        return f"t={at},kid={kid},v1={signature(webhooks.SECRET, at, body)}"

    assert is_ours(header(now), b"{}", secrets)
    assert not is_ours(header(now), b"{ }", secrets)
    assert not is_ours(header(now - 400), b"{}", secrets)
    assert not is_ours(header(now, kid="other"), b"{}", secrets)
    assert not is_ours("", b"{}", secrets)
