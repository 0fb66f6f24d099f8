"""Sections of destinations that take lines, and the sinks that are made of them."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.files import FilesSink
from connectors.sinks.kafka_topic import KafkaTopicSink
from connectors.sinks.syslog import SyslogSink
from connectors.sinks.syslog_frame import FACILITIES, LEAST_OCTETS
from pipeline.model.errors import ConfigError
from pipeline.runtime.config_lines import Files, KafkaTopic, Syslog
from pipeline.runtime.config_microsoft import Microsoft
from pipeline.runtime.sinks_lines import make
from tests.services.syslog import SyslogServer, parse
from tests.unit.connectors.encoded import incident

TOPIC = {"servers": ["kafka.example.net:9093"], "topic": "security.m365"}
SECRET = "secret-7Kq"  # noqa: S105 # of nobody
SCOPE = "https://x/.default"
LOGIN = {"username": "outrider", "password_variable": "OUTRIDER_TOPIC_PASSWORD"}


def samples(model, **more):
    """Every key with its example, or else its default."""
    told = {}
    for name, field in model.model_fields.items():
        told[name] = field.examples[0] if field.examples else field.get_default()
    return {k: v for k, v in {**told, **more}.items() if v is not None}


@pytest.mark.parametrize("model", [Syslog, KafkaTopic, Files], ids=lambda m: m.__name__)
def test_every_key_has_a_meaning_and_all_examples_go_together(model):
    assert all(field.description for field in model.model_fields.values())
    made = model.model_validate_json(json.dumps(samples(model)))
    assert model.model_validate(made.model_dump()) == made


def test_names_are_those_of_the_connectors():
    schema = Syslog.model_json_schema()["properties"]
    assert set(schema["facility"]["enum"]) == set(FACILITIES)
    assert schema["form"]["enum"] == list(FORMS) == list(LEAST_OCTETS)


@pytest.mark.parametrize(
    ("model", "given", "told"),
    [
        (Syslog, {"host": "syslog://h"}, "host"),
        (Syslog, {"host": "syslog.example.net:6514"}, "host"),
        (Syslog, {"host": "h", "form": "ocsf", "message_bytes": 4096}, "8192 or more"),
        (Syslog, {"host": "h", "certificate_file": "/c.pem"}, "go together"),
        (Syslog, {"host": "h", "hostname": "a b"}, "hostname"),
        (KafkaTopic, {**TOPIC, "servers": []}, "servers"),
        (KafkaTopic, {**TOPIC, **LOGIN, "topic": "a b"}, "topic"),
        (KafkaTopic, TOPIC, "username is missing"),
        (KafkaTopic, {**TOPIC, "username": "u"}, "password_file"),
        (KafkaTopic, {**TOPIC, "sasl_mechanism": "OAUTHBEARER"}, "token_scope"),
        (KafkaTopic, {**TOPIC, **LOGIN, "security": "SASL_PLAINTEXT"}, "allow_cleartext"),
        (Files, {}, "folder"),
        (Files, {"folder": "/f", "keep": 1}, "keep"),
    ],
)
def test_what_does_not_fit_is_told_by_its_key(model, given, told):
    with pytest.raises(ValidationError, match=told):
        model.model_validate_json(json.dumps(given))


def test_plain_tcp_over_a_network_is_remarked():
    assert Syslog(host="syslog.example.net").remarks() == []
    assert "readable" in Syslog(host="syslog.example.net", transport="tcp").remarks()[0]
    for host in ("127.0.0.1", "::1"):
        assert Syslog(host=host, transport="tcp").remarks() == []


def test_syslog_is_made_and_sends_as_its_section_tells():
    server = SyslogServer()
    section = Syslog(
        host="127.0.0.1", port=server.port, transport="tcp", form="ocsf", confirmed=True,
        facility="audit", hostname="here", enterprise_number=7, assignee_group="On-call",
    )  # fmt: skip
    sink = make("syslog.main", section, Microsoft())
    assert isinstance(sink, SyslogSink)
    sink.deliver([incident()])
    server.stop()
    (told,) = server.accepted
    assert (told.facility, told.host, list(told.data)) == (13, "here", ["outrider@7"])
    assert json.loads(told.text)["class_uid"] == 2005


def test_files_are_made_and_written_as_their_section_tells(tmp_path):
    section = Files(folder=tmp_path, form="cef", max_bytes=100_000, keep=2, compress=True)
    sink = make("files.siem", section, Microsoft())
    assert isinstance(sink, FilesSink)
    for revision in range(1, 200):
        sink.deliver([incident(revision=revision)])
    names = sorted(p.name for p in tmp_path.glob("incidents*"))
    assert names[-1] == "incidents.cef.log"
    assert [name[-11:] for name in names[:-1]] == [".cef.log.gz"] * 2


def test_a_topic_is_made_without_asking_anybody(tmp_path, monkeypatch):
    section = KafkaTopic(**TOPIC, **LOGIN)
    sink = make("kafka.main", section, Microsoft())
    assert isinstance(sink, KafkaTopicSink)
    with pytest.raises(ConfigError, match="set OUTRIDER_TOPIC_PASSWORD"):
        sink._brokers.options()
    monkeypatch.setenv("OUTRIDER_TOPIC_PASSWORD", SECRET)
    options = sink._brokers.options()
    assert options["sasl_plain_password"] == SECRET
    assert SECRET not in repr(options) + repr(sink._brokers) + repr(section)
    assert "outrider" not in repr(sink._brokers)


def test_a_topic_with_tokens_needs_somebody_who_signs_in():
    section = KafkaTopic(**TOPIC, sasl_mechanism="OAUTHBEARER", token_scope=SCOPE)
    with pytest.raises(ConfigError, match="nobody is there to sign in"):
        make("kafka.main", section, Microsoft())


def test_a_file_of_authorities_that_is_none_is_told_at_the_start(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        make("syslog.main", Syslog(host="h", ca_file=tmp_path / "none.pem"), Microsoft())


def test_what_is_sent_can_be_read_again():
    assert parse(b"<134>1 - - outrider - flag - {}").text == "{}"
