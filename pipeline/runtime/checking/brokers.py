"""The brokers of [kafka] and the topics of a run with many workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.model.errors import OutriderError
from pipeline.runtime.checking.finding import Finding, State, of_error, skipped
from pipeline.runtime.checking.places import Place, reached
from pipeline.runtime.config_kafka import host_of

if TYPE_CHECKING:
    from pipeline.model.clock import Clock
    from pipeline.runtime.config_kafka import Kafka

_WHERE: Final = "kafka"


def brokers(config: Kafka, clock: Clock) -> list[Finding]:
    """Look at each broker that is named, then at the topics through whichever lets us in."""
    # Where no broker is named, nobody needs the client: it takes 0.2 s to load.
    from pipeline.runtime.kafka.topics import verify  # noqa: PLC0415

    found: list[Finding] = []
    open_ones = 0
    for server in config.servers:
        port = int(server.rpartition(":")[2])
        place = Place(host_of(server), port, config.tls, ca_file=config.ca_file)
        # A broker that asks for our certificate ends a connection that shows none.
        if config.tls and config.certificate_file is not None:
            place = Place(host_of(server), port, tls=False)
        looked = reached(_WHERE, place, clock)
        open_ones += looked[-1].state not in {State.FAIL, State.SKIP}
        found += looked
    if not open_ones:
        return [*found, skipped(_WHERE, "topics", "no broker is reached")]
    try:
        partitions = verify(config)
    except OutriderError as error:
        return [*found, of_error(_WHERE, "topics", error)]
    told = f"all topics of {config.prefix} exist, with {partitions} partitions each"
    return [*found, Finding(_WHERE, "topics", State.OK, told)]
