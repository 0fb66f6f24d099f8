"""Destinations that are SIEMs, from the configuration to what arrives."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from connectors.sinks.elastic import ElasticSink
from connectors.sinks.sentinel import SentinelSink
from connectors.sinks.splunk import SplunkSink
from pipeline.model.clock import ManualClock
from pipeline.model.errors import ConfigError, FatalError
from pipeline.runtime import sinks_siem
from pipeline.runtime.config_microsoft import Microsoft
from pipeline.runtime.config_siem import Elastic, Sentinel, Splunk
from tests.services import elastic, entra, sentinel, splunk
from tests.services.server import serving
from tests.sinks import sentinel_case
from tests.sinks.records import record

NOBODY = Microsoft()
RULE = "dcr-0123456789abcdef0123456789abcdef"


def section(kind, **values):
    return kind.model_validate_json(json.dumps(values))


@pytest.fixture
def secret(tmp_path):
    def write(text):
        path = tmp_path / "secret"
        path.write_text(f"{text}\n")
        return str(path)

    return write


@pytest.mark.parametrize("form", ["file", "variable"])
def test_splunk_gets_its_token_from(form, secret, monkeypatch):
    monkeypatch.setenv("SPLUNK_TOKEN", splunk.TOKEN)
    named = {"token_file": secret(splunk.TOKEN)}
    if form == "variable":
        named = {"token_variable": "SPLUNK_TOKEN"}
    with serving(splunk.Splunk(ManualClock(sentinel_case.NOW))) as service:
        made = sinks_siem.make(
            "splunk.main", section(Splunk, address=service.root, index="m365", **named), NOBODY
        )
        assert isinstance(made, SplunkSink)
        assert made.deliver([record("inc-1", 1)]).accepted
        assert service.indexed[0]["index"] == "m365"
        made.close()


def test_a_secret_that_is_gone_stops_the_destination_and_names_it(secret, tmp_path):
    path = secret(splunk.TOKEN)
    with serving(splunk.Splunk(ManualClock(sentinel_case.NOW))) as service:
        made = sinks_siem.make(
            "splunk.main", section(Splunk, address=service.root, token_file=path), NOBODY
        )
        (tmp_path / "secret").unlink()
        with pytest.raises(FatalError, match=r"the token of splunk\.main cannot be read"):
            made.deliver([record("inc-1", 1)])
        secret(splunk.TOKEN)
        assert made.deliver([record("inc-1", 1)]).accepted
        made.close()


@pytest.mark.parametrize("way", ["api key", "user", "nobody"])
def test_elasticsearch_is_asked_as(way, secret):
    named = {
        "api key": {"api_key_file": secret(elastic.API_KEY)},
        "user": {"user": elastic.USER, "password_file": secret(elastic.PASSWORD)},
        "nobody": {},
    }[way]
    secret(elastic.PASSWORD if way == "user" else elastic.API_KEY)
    with serving(elastic.Elastic(ManualClock(sentinel_case.NOW))) as service:
        service.secured = way != "nobody"
        values = {"address": service.root, "namespace": "soc", **named}
        made = sinks_siem.make("elastic.main", section(Elastic, **values), NOBODY)
        assert isinstance(made, ElasticSink)
        assert made.deliver([record("inc-1", 1)]).accepted
        assert ("logs-outrider.incident-soc", "inc-1:1") in service.stored
        made.close()


@pytest.mark.parametrize(
    ("cloud", "address", "monitor"),
    [
        ("public", None, "https://monitor.azure.com"),
        ("gcc_high", None, "https://monitor.azure.us"),
        ("china", None, "https://monitor.azure.cn"),
        ("public", "https://monitor.example.net", "https://monitor.example.net"),
    ],
)
def test_sentinel_signs_in_as_microsoft_tells(cloud, address, monitor, secret, monkeypatch):
    clock = ManualClock(sentinel_case.NOW)
    asked = []
    monkeypatch.setattr(
        "connectors.auth.Application.sign_in",
        lambda _self, scope: (
            asked.append(scope)
            or (login.grant(entra.TENANT, scope.removesuffix("/.default"))["access_token"], 3600)
        ),
    )
    login = entra.Entra(clock, roles={monitor: (sentinel.ROLE,)})
    service = sentinel.Sentinel(clock, login, sentinel_case.STREAMS)
    service.audience = monitor
    microsoft = Microsoft(cloud=cloud, tenant=entra.TENANT, client_id="c", managed_identity=False)
    with pytest.raises(ConfigError, match=r"tell in \[microsoft\] who does"):
        sinks_siem.make(
            "sentinel.soc", section(Sentinel, endpoint="https://x.example", rule_id=RULE), microsoft
        )
    microsoft = section(
        Microsoft, cloud=cloud, tenant=entra.TENANT, client_id="c", secret_file=secret("x")
    )
    with serving(service):
        values = {"endpoint": service.root, "rule_id": sentinel.RULE}
        values |= {"monitor_address": address} if address else {}
        made = sinks_siem.make("sentinel.soc", section(Sentinel, **values), microsoft)
        assert isinstance(made, SentinelSink)
        assert made.deliver([record("inc-1", 1)]).accepted
        assert asked == [f"{monitor}/.default"]
        made.close()


WHOLE = {
    Splunk: {"address": "https://x.example:8088", "token_file": "t"},
    Sentinel: {"endpoint": "https://x.example", "rule_id": RULE},
    Elastic: {"address": "https://x.example:9200", "api_key_file": "k"},
}


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        (Splunk, {"token_file": None}, "token_file is missing"),
        (Splunk, {"token_variable": "T"}, "contradict each other"),
        (Splunk, {"token_variable": "not a name", "token_file": None}, "pattern"),
        (Splunk, {"address": "http://x.example:8088"}, "plain http only on this machine"),
        (Splunk, {"address": "https://u:hidden-9Zb@x.example"}, "name their files instead"),
        (Splunk, {"address": "https://x.example?token=hidden-9Zb"}, "no query"),
        (Splunk, {"address": "https://x.example:port"}, "must be https://HOST:PORT"),
        (Splunk, {"address": "x.example"}, "must be https://HOST:PORT"),
        (Splunk, {"channel": "1"}, "pattern"),
        (Splunk, {"index": "Main Index"}, "pattern"),
        (Splunk, {"batch_bytes": 1}, "greater than or equal"),
        (Splunk, {"token": "hidden-9Zb"}, "Extra inputs are not permitted"),
        (Sentinel, {"rule_id": "/subscriptions/x"}, "pattern"),
        (Sentinel, {"flag_stream": "OutriderFlag_CL"}, "pattern"),
        (Elastic, {"namespace": "So-C"}, "pattern"),
        (Elastic, {"user": "u", "password_file": "p"}, "an API key and a user contradict"),
        (Elastic, {"api_key_variable": "K"}, "contradict each other"),
        (Elastic, {"api_key_file": None, "user": "u"}, "password_file is missing"),
        (Elastic, {"api_key_file": None, "password_file": "p"}, "user is missing"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_showing_it(kind, changes, told):
    section(kind, **WHOLE[kind])
    values = {k: v for k, v in {**WHOLE[kind], **changes}.items() if v is not None}
    with pytest.raises(ValidationError, match=told) as caught:
        section(kind, **values)
    assert "hidden-9Zb" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["http://localhost:8088", "http://127.0.0.1:1", "https://[::1]"]
)
def test_plain_http_stays_on_this_machine(address):
    assert section(Splunk, **{**WHOLE[Splunk], "address": f"{address}/"}).address == address


@pytest.mark.parametrize("kind", WHOLE)
def test_each_section_names_its_secret_files(kind):
    named = [str(path) for path in section(kind, **WHOLE[kind]).secret_files if path is not None]
    assert named == [v for k, v in WHOLE[kind].items() if k.endswith("_file")]
