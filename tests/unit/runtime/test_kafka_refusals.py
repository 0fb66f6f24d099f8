"""Errors of the client and of OpenSSL, sorted by whether waiting helps."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from kafka import errors

from pipeline.model.errors import AuthError, ConfigError, RetriableError
from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka.client import unreachable
from pipeline.runtime.kafka.refusals import fatal_reason, unseen

OPEN = Kafka(servers=["k.example.net:9093"], security="SSL")
SHOWN = Kafka(
    servers=["k.example.net:9093"],
    security="SSL",
    certificate_file=Path("client.pem"),
    certificate_key_file=Path("client.key"),
)


def alert(reason):
    error = ssl.SSLError(1, "of OpenSSL")
    error.reason = reason
    return errors.KafkaConnectionError(error)


def distrust(code):
    error = ssl.SSLCertVerificationError(1, "of OpenSSL")
    error.verify_code = code
    wrapped = errors.KafkaConnectionError("Handshake failed")
    wrapped.__context__ = error
    return wrapped


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (distrust(9), "is not valid yet; check this machine's clock"),
        (distrust(10), "has expired"),
        (distrust(18), "an authority that is not trusted"),
        (distrust(62), "for another host name"),
        (distrust(23), "cannot be trusted"),  # revoked
        (alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "does not take our certificate"),
        (alert("SSL/TLS_ALERT_BAD_CERTIFICATE"), "does not take our certificate"),
        (alert("SSLV3_ALERT_CERTIFICATE_EXPIRED"), "our certificate has expired"),
        (alert("SSLV3_ALERT_CERTIFICATE_REVOKED"), "was revoked"),
        (alert("TLSV1_ALERT_PROTOCOL_VERSION"), "speaks no TLS 1.2"),
    ],
)
def test_what_tls_refuses_is_told(error, words):
    reason = unreachable(SHOWN, error)
    assert isinstance(reason, AuthError)
    assert words in str(reason)
    assert "k.example.net:9093" in str(reason)


def test_without_a_certificate_of_ours_it_is_that_which_is_missing():
    reason = unreachable(OPEN, alert("SSLV3_ALERT_HANDSHAKE_FAILURE"))
    assert "asks for a certificate" in str(reason)


@pytest.mark.parametrize(
    "error",
    [
        alert("SSLV3_ALERT_CLOSE_NOTIFY"),
        alert("WRONG_VERSION_NUMBER"),
        alert(None),
        errors.KafkaTimeoutError("no answer"),
        errors.ProducerFencedError(),
        RetriableError("the sign-in service is down"),
    ],
)
def test_what_may_pass_is_tried_again(error):
    assert fatal_reason(OPEN, error) is None
    assert isinstance(unreachable(OPEN, error), RetriableError)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("111 ECONNREFUSED", "nothing listens there"),
        ("DNS Resolution failure", "the host name is not known"),
        ("socket disconnected", "something else than kafka.security says"),
        ("something new", "KafkaConnectionError; check that it runs"),
    ],
)
def test_what_may_pass_is_told_in_words(text, words):
    assert words in str(unreachable(OPEN, errors.KafkaConnectionError(text)))


def test_an_error_that_says_nothing_is_told_by_what_it_comes_from():
    bare = errors.KafkaError(errors.InvalidTxnStateError())
    assert "InvalidTxnStateError; check that it runs" in str(unreachable(OPEN, bare))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.TopicAuthorizationFailedError({"b", "a"}), "access to a topic (a, b) is denied"),
        (errors.GroupAuthorizationFailedError("outrider-detect"), "group (outrider-detect)"),
        (errors.TransactionalIdAuthorizationFailedError(), "access to a transactional id is"),
        (errors.ClusterAuthorizationFailedError("Request(x=1)"), "access to the cluster is denied"),
        (errors.DelegationTokenAuthorizationFailedError(), "access to something is denied"),
        (
            errors.KafkaError("earlier", errors.TopicAuthorizationFailedError({"a"})),
            "access to a topic (a) is denied",
        ),
    ],
)
def test_what_is_denied_is_named_and_nothing_else_that_the_client_says(error, words):
    reason = unreachable(OPEN, error)
    assert isinstance(reason, AuthError)
    assert words in str(reason)
    assert "Request" not in str(reason)


def test_a_topic_that_is_not_there_is_told_apart_from_one_that_is_kept_from_us():
    denied = unseen(OPEN, {"name": "outrider.events.v1", "error_code": 29})
    assert isinstance(denied, AuthError)
    missing = unseen(OPEN, {"name": "outrider.events.v1", "error_code": 3})
    assert isinstance(missing, ConfigError)
    assert "outrider kafka init" in str(missing)
