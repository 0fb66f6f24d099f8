"""A secured topic as a destination: every way in, and every way to be kept out, told at once."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import serialization
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    NewTopic,
    ResourcePattern,
    ResourceType,
)

from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.kafka_topic import KafkaTopicSink
from connectors.sinks.kafka_topic_brokers import Brokers
from pipeline.model.errors import AuthError, FatalError
from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka.client import admin
from tests.kafka.broker import require
from tests.kafka.secure import KEY_PASSWORD, PASSWORD, Certificates, SecureCluster
from tests.kafka.sign_in import SignIn
from tests.sinks.records import record

TOPIC = "security.m365"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A broker where only "worker" may write to the topic, and certificates."""
    require()
    folder = tmp_path_factory.mktemp("secure-topic")
    made = Certificates(folder)
    key = serialization.load_pem_private_key(made.client.private_key_pem.bytes(), None)
    cluster = SecureCluster(folder, made, SignIn(key.public_key()), ["worker", "nobody"])
    cluster.start()
    client = admin(Kafka(servers=cluster.servers))
    client.create_topics([NewTopic(TOPIC, 1, 1)])
    rights = [
        ACL(
            "User:worker",
            "*",
            operation,
            ACLPermissionType.ALLOW,
            ResourcePattern(ResourceType.TOPIC, TOPIC, ACLResourcePatternType.LITERAL),
        )
        for operation in (ACLOperation.DESCRIBE, ACLOperation.WRITE)
    ]
    assert client.create_acls(rights)["failed"] == []
    client.close()
    yield SimpleNamespace(cluster=cluster, made=made)
    cluster.kill()


@pytest.fixture
def deliver(place):
    held = []

    def once(listener, topic=TOPIC, **changed):
        servers = tuple(f"localhost:{a.rpartition(':')[2]}" for a in place.cluster.at(listener))
        security = "SASL_SSL" if listener == "SASL" else "SSL"
        login = {"username": "worker", "password": lambda: PASSWORD}
        told = {"security": security, "ca_file": place.made.ca_file, **login, **changed}
        held.append(KafkaTopicSink(Brokers(servers, **told), topic, FORMS["json"], seconds=12))
        return held[-1].deliver([record("inc-1", 1)])

    yield once
    for sink in held:
        sink.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_user_with_the_right_to_write_gets_in(deliver, mechanism):
    assert deliver("SASL", mechanism=mechanism).accepted == [("inc-1", 1)]


def test_a_certificate_gets_in_whose_key_is_encrypted(place, deliver):
    pair = {"certificate_file": place.made.client_file, "key_file": place.made.locked_key_file}
    assert deliver("MUTUAL", **pair, key_password=lambda: KEY_PASSWORD).accepted


@pytest.mark.parametrize(
    ("listener", "changed", "told"),
    [
        ("SASL", {"password": lambda: "a-wrong-one"}, "the user name, the password"),
        ("SASL", {"username": "nobody"}, "we may not write to it"),
        ("SASL", {"ca_file": None}, "name that authority with ca_file"),
        ("EXPIRED", {}, "has expired"),
        ("MISNAMED", {}, "for another host name"),
        ("MUTUAL", {}, "certificate"),
    ],
)
def test_who_is_kept_out_is_told_why_in_time(deliver, listener, changed, told):
    began = time.monotonic()
    with pytest.raises(AuthError, match=told) as refused:
        deliver(listener, **changed)
    assert time.monotonic() - began < 15
    shown = f"{refused.value!r} {refused.value.__cause__!r} {refused.value.__context__!r}"
    assert not [secret for secret in (PASSWORD, "a-wrong-one", "worker") if secret in shown]


def test_a_topic_that_is_not_there_looks_like_one_that_is_not_ours(deliver):
    # A broker does not tell strangers which topics there are.
    with pytest.raises(FatalError, match="we may not write to it"):
        deliver("SASL", topic="not-there")
