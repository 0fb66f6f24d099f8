"""Refusals to make a topic that the broker of the tests does not give."""

from __future__ import annotations

import pytest
from kafka import errors

from pipeline.model.errors import ConfigError
from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka.creating import make

CONFIG = Kafka(servers=["k.example.net:9092"])
NAME = "outrider.events.v1"


class Answers:
    """A cluster that answers to each topic with one error."""

    def __init__(self, error, said=None, brokers=3):
        self.error, self.said, self.brokers = error, said, brokers

    def create_topics(self, told, *, raise_errors):
        assert not raise_errors
        code = self.error.errno
        return {
            "topics": [{"name": n, "error_code": code, "error_message": self.said} for n in told]
        }

    def describe_cluster(self):
        return {"brokers": [{"broker_id": n} for n in range(self.brokers)]}


def refusal(*answers):
    with pytest.raises(ConfigError) as caught:
        make(Answers(*answers), CONFIG, NAME, {})
    return str(caught.value)


def test_what_a_policy_says_is_told_in_one_line_and_not_for_ever():
    message = refusal(errors.PolicyViolationError, "names begin\n with \x1b[31mteam-" + "x" * 5000)
    assert "forbids topic outrider.events.v1" in message
    assert "(names begin with [31mteam-xxx" in message
    assert len(message) < 600


def test_a_refusal_without_a_reason_is_told_all_the_same():
    assert "(it does not say why)" in refusal(errors.InvalidConfigurationError)


def test_copies_that_are_refused_though_there_are_brokers_are_told_as_the_broker_does():
    message = refusal(errors.InvalidReplicationFactorError, "only 4 copies are allowed.")
    assert "does not take kafka.replication = 3 (only 4 copies are allowed)" in message
    assert "set kafka.replication to 2 (" in refusal(errors.InvalidReplicationFactorError, "", 2)


def test_what_another_was_first_to_make_is_left_and_what_may_pass_is_raised_as_it_is():
    make(Answers(errors.TopicAlreadyExistsError), CONFIG, NAME, {})
    with pytest.raises(errors.ThrottlingQuotaExceededError):
        make(Answers(errors.ThrottlingQuotaExceededError), CONFIG, NAME, {})
