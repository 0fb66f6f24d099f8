"""What the endpoint of Event Hubs answers, where the broker of the tests answers otherwise."""

from __future__ import annotations

import pytest
from kafka import errors

from connectors.sources.event_hubs_errors import Gate
from connectors.sources.event_hubs_login import Address, KeyLogin, TokenLogin
from pipeline.model.errors import AuthError, FatalError, RetriableError, ThrottledError

ADDRESS = Address("contoso-logs.servicebus.windows.net", 9093)
KEY = Gate(ADDRESS, KeyLogin(lambda: ""))
TOKEN = Gate(ADDRESS, TokenLogin(None))
BASIC = "the tier Basic has no Kafka endpoint"


@pytest.mark.parametrize(
    ("gate", "error", "words"),
    [
        (
            KEY,
            errors.SaslAuthenticationFailedError(
                "TopicAuthorizationFailedError: The request was rejected by firewall checks."
            ),
            "its network rules do not let this machine in; allow its address under Networking",
        ),
        (
            KEY,
            errors.SaslAuthenticationFailedError("TopicAuthorizationFailedError: Unauthorized."),
            "may not read its hubs; give the policy of the namespace the right Listen",
        ),
        (
            TOKEN,
            errors.SaslAuthenticationFailedError("TopicAuthorizationFailedError: Unauthorized."),
            "assign it the role 'Azure Event Hubs Data Receiver' at the namespace",
        ),
        (KEY, errors.SaslAuthenticationFailedError("None: None"), "the key is wrong"),
        (TOKEN, errors.SaslAuthenticationFailedError("None: None"), "does not take our token"),
        (KEY, errors.TopicAuthorizationFailedError({"b", "a"}), "may not read a, b; give"),
        (TOKEN, errors.TopicAuthorizationFailedError("a"), BASIC),
        (KEY, errors.UnsupportedSaslMechanismError("x"), BASIC),
        (KEY, errors.IllegalSaslStateError("x"), "it is no Event Hubs namespace"),
    ],
)
def test_a_refusal_is_told_with_its_remedy(gate, error, words):
    for found in (error, errors.KafkaError(error)):
        reason = gate.reason(found)
        assert type(reason) is AuthError
        assert words in str(reason)
        assert str(reason).startswith("Event Hubs at contoso-logs.servicebus.windows.net:9093: ")
        assert "rejected" not in str(reason)
        assert "Unauthorized" not in str(reason)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.KafkaConnectionError("socket disconnected"), BASIC),
        (
            errors.KafkaConnectionError("socket disconnected"),
            "at a hub instead of at the namespace",
        ),
        (errors.KafkaConnectionError("DNS failure"), "the host name is not known"),
        (errors.KafkaConnectionError("[Errno 111] ECONNREFUSED"), "nothing listens there"),
        (errors.KafkaTimeoutError("x"), "no answer (KafkaTimeoutError); check that port 9093"),
    ],
)
def test_what_may_pass_is_tried_again(error, words):
    assert KEY.reason(error) is None
    failure = KEY.failure(error)
    assert type(failure) is RetriableError
    assert words in str(failure)
    assert failure.retry_after == 30


def test_asking_too_often_is_told_as_that():
    assert type(KEY.failure(errors.ThrottlingQuotaExceededError())) is ThrottledError


def test_errors_of_our_own_are_handed_on():
    for error in (AuthError("a"), RetriableError("b")):
        assert KEY.failure(error) is error
    assert type(KEY.missing(["a"])) is FatalError
