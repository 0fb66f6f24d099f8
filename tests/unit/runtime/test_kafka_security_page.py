"""What the page on security shows can be copied."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from connectors.auth import AUTHORITIES
from pipeline.runtime.config import Kafka, load
from pipeline.runtime.config_entra import Entra
from pipeline.runtime.kafka.topics import wanted
from tests.kafka.access import rules

PAGE = Path(__file__).parents[3] / "docs" / "kafka-security.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^### (.+?)\n|^```toml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def blocks():
    return [block for _, block in BLOCKS if block]


def test_every_way_in_has_an_example():
    heads = [head for head, block in BLOCKS if head]
    assert len(heads) == 4
    assert len(blocks()) == 7
    assert {re.search(r'sasl_mechanism = "([\w-]+)"', b)[1] for b in blocks() if "SASL" in b} == {
        "PLAIN",
        "SCRAM-SHA-512",
        "OAUTHBEARER",
    }


@pytest.mark.parametrize("block", blocks())
def test_the_examples_load_and_are_encrypted(tmp_path, block):
    path = tmp_path / "outrider.toml"
    path.write_text(block)
    config = load(path, environ={}).kafka
    assert config.tls
    assert config.remarks() == []


def test_the_table_of_clouds_is_whole():
    told = set(re.findall(r"^\| .+? \| `(\w+)` \| `NAME\.", TEXT, re.MULTILINE))
    assert told == set(get_args(Entra.model_fields["cloud"].annotation)) == set(AUTHORITIES)


@pytest.mark.parametrize("role", ["init", "collect", "detect", "deliver", "serve"])
def test_every_role_has_its_rules_for_topics_that_exist(role):
    named = {row[2] for row in rules(role, "outrider") if row[0] == "TOPIC"}
    assert named <= {"outrider.", *wanted(Kafka())}


def test_the_commands_for_a_role_give_what_its_table_does():
    commands = [line for line in TEXT.splitlines() if line.startswith("acl --")]
    kinds = {"topic": "TOPIC", "group": "GROUP", "transactional-id": "TRANSACTIONAL_ID"}
    given = {
        (kinds[kind], "PREFIXED" if "prefixed" in line else "LITERAL", name, operation)
        for line in commands
        for kind, name in re.findall(r"--(topic|group|transactional-id) (\S+)", line)
        for operation in (
            re.sub(r"(?<=[a-z])(?=[A-Z])", "_", found).upper()
            for found in re.findall(r"--operation (\w+)", line)
        )
    }
    assert given == set(rules("detect", "outrider"))
