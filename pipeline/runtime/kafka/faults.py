"""What is wrong with topics that exist: settings that lose messages, or let nobody write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kafka.codec import has_lz4, has_snappy, has_zstd

from pipeline.runtime.kafka.client import MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DAY_MS: Final = 86_400_000
# A state is behind the newest message by at most the days a tenant keeps open, and one for luck.
LEAST_DAYS: Final = 3
# Codecs of a broker for which the client has no library here.
_UNREAD: Final = {
    name
    for name, has in (("lz4", has_lz4), ("snappy", has_snappy), ("zstd", has_zstd))
    if not has()
}


def faults(
    wanted: Mapping[str, Mapping[str, str]],
    copies: int,
    described: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Each fault in words, with the setting that mends it.

    Args:
        wanted: settings that each topic is made with.
        copies: of each partition, as configured.
        described: the topics with their partitions, as the broker answers.
        settings: of each topic, as the broker answers.
    """
    # Those that are assigned: a broker that is away for a while keeps nobody from starting.
    have = {
        t["name"]: min((len(p["replica_nodes"]) for p in t["partitions"]), default=copies)
        for t in described
    }
    found = []
    for name, want in wanted.items():
        values = {key: told["value"] for key, told in settings[name].items()}
        found += [f"topic {name} {f}" for f in _of_topic(want, values, have[name])]
    return [*found, *_of_copies(have, copies), *_of_partitions(described)]


def _of_topic(want: Mapping[str, str], have: Mapping[str, str], copies: int) -> Iterator[str]:
    policy = set(want["cleanup.policy"].split(","))
    if set(have["cleanup.policy"].split(",")) != policy:
        yield f"has cleanup.policy={have['cleanup.policy']} and needs {want['cleanup.policy']}"
    elif "delete" in policy:
        yield from _of_age(want, have)
    codec = have["compression.type"]
    if codec in _UNREAD:
        yield (
            f"has its messages packed again with {codec}, which is not read here: set its "
            "compression.type to producer"
        )
    in_sync = int(have["min.insync.replicas"])
    if in_sync > copies:
        yield (
            f"takes no message, as it has {_words(copies)} and wants {in_sync} in sync: set its "
            f"min.insync.replicas to {max(1, copies - 1)}"
        )
    size = int(have["max.message.bytes"])
    if size < MESSAGE_BYTES:
        yield (
            f"takes messages of {size} bytes and has to take {MESSAGE_BYTES}: set its "
            "max.message.bytes"
        )


def _of_age(want: Mapping[str, str], have: Mapping[str, str]) -> Iterator[str]:
    # Records may go once no state needs them; a view is shown for as long as it is made to be kept.
    shown = "compact" in want["cleanup.policy"]
    least = int(want["retention.ms"]) // DAY_MS if shown else LEAST_DAYS
    if 0 <= int(have["retention.ms"]) < least * DAY_MS:
        yield (
            f"keeps messages for {int(have['retention.ms']) / DAY_MS:.1f} days and has to for "
            f"{least} at least: set its retention.ms"
        )
    # However large it is: a busy day fills it, and the days are no longer true.
    if int(have["retention.bytes"]) >= 0:
        yield (
            f"drops messages of any age beyond {have['retention.bytes']} bytes in a partition: "
            "set its retention.bytes to -1"
        )


def _of_copies(have: Mapping[str, int], copies: int) -> Iterator[str]:
    """One fault for all topics: they were most likely made together."""
    few = {name: count for name, count in have.items() if count < copies}
    for count in sorted(set(few.values())):
        names = sorted(name for name, held in few.items() if held == count)
        told = f"topics {', '.join(names)} have" if len(names) > 1 else f"topic {names[0]} has"
        told = "all topics have" if len(names) == len(have) else told
        yield (
            f"{told} {_words(count)} of each partition and kafka.replication is {copies}: "
            "assign more brokers to the partitions "
            f"(kafka-reassign-partitions.sh), or set kafka.replication to {count} if so few are "
            "meant"
        )


def _of_partitions(described: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    found = {t["name"]: len(t["partitions"]) for t in described}
    if len(set(found.values())) != 1:
        told = ", ".join(f"{name}: {count}" for name, count in sorted(found.items()))
        yield f"the topics must have one number of partitions, and have {told}"


def _words(copies: int) -> str:
    return f"{copies} {'copy' if copies == 1 else 'copies'}"
