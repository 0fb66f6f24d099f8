"""A real broker that makes no topic: it is told which setting it does not take."""

from __future__ import annotations

import sys

import pytest

from pipeline.cli.main import run
from pipeline.model.errors import ConfigError
from pipeline.runtime.kafka import topics
from pipeline.runtime.kafka.client import Topics
from pipeline.runtime.kafka.topics import init
from tests.kafka.publishing import unmade


def refusal(config):
    with pytest.raises(ConfigError) as caught:
        init(config)
    return str(caught.value)


def test_more_copies_than_there_are_brokers_are_told_with_what_to_do(
    cluster, tmp_path, monkeypatch, capsys
):
    config = unmade(cluster)
    path = tmp_path / "outrider.toml"
    path.write_text(f'[kafka]\nservers = ["{config.servers[0]}"]\nprefix = "{config.prefix}"\n')
    monkeypatch.setattr(sys, "argv", ["outrider", "kafka", "init", "--config", str(path)])
    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert (
        "kafka.replication is 3 and the cluster has 1 broker; set kafka.replication to 1" in shown
    )
    assert "lost with it" in shown
    assert "Error" not in shown.replace("Error:", "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"partitions": 20_000}, "policy of the cluster"),
        ({"partitions": -5}, "set kafka.partitions to"),
        ({"prefix": "x" * 245}, "set another kafka.prefix"),
    ],
)
def test_what_the_cluster_does_not_take_is_told_in_its_words(cluster, changes, words):
    message = refusal(unmade(cluster, **changes))
    assert words in message
    assert cluster.servers[0] in message
    assert "Request" not in message


def test_a_setting_that_the_cluster_does_not_take_is_told(cluster, monkeypatch):
    config = unmade(cluster)
    name = Topics(config.prefix).events
    monkeypatch.setattr(topics, "wanted", lambda _: {name: {"retention.ms": "for ever"}})
    message = refusal(config)
    assert f"the settings of topic {name}" in message
    assert "retention.ms=for ever" in message
    assert "Not a number of type LONG" in message
