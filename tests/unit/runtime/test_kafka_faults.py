"""Topics with different numbers of copies, of which the one broker of the tests has none."""

from __future__ import annotations

from pipeline.runtime.config import Kafka
from pipeline.runtime.kafka.faults import faults
from pipeline.runtime.kafka.topics import wanted

CONFIG = Kafka(servers=["k.example.net:9092"])
NAME = "outrider.events.v1"


def cluster(copies, partitions=2, in_sync=2):
    """Topics as they are made, with so many copies of each partition by name."""
    want = wanted(CONFIG)
    described = [
        {
            "name": name,
            "partitions": [{"replica_nodes": [*range(copies.get(name, 3))]}] * partitions,
        }
        for name in want
    ]
    made = {"min.insync.replicas": str(in_sync), **want[NAME]}
    settings = {n: {k: {"value": v} for k, v in {**made, **w}.items()} for n, w in want.items()}
    return faults(want, CONFIG.replication, described, settings)


def test_topics_as_they_are_made_have_no_fault():
    assert cluster({}) == []
    assert cluster({NAME: 5}) == []


def test_one_topic_of_fewer_copies_is_named():
    (fault,) = cluster({NAME: 2})
    assert fault.startswith(f"topic {NAME} has 2 copies of each partition and kafka.replication is")


def test_several_topics_of_different_copies_are_named_by_their_number():
    few, fewer = cluster({NAME: 1, "outrider.flags.v1": 2, "outrider.dead.v1": 2}, in_sync=1)
    assert few.startswith(f"topic {NAME} has 1 copy of")
    assert fewer.startswith("topics outrider.dead.v1, outrider.flags.v1 have 2 copies of")
