"""Only has to type-check: pins the public signatures of the contracts (run by mypy)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, assert_type

import pyarrow as pa

from pipeline.model.advisory import Advisory
from pipeline.model.clock import Clock, ManualClock, SystemClock
from pipeline.model.contracts import (
    AdvisoryFeed,
    AdvisoryPoll,
    Cursor,
    Delivery,
    Detector,
    Poll,
    Sink,
    Source,
)
from pipeline.model.documents import from_json, to_json, to_line
from pipeline.model.flag import Flag
from pipeline.model.ids import content_id
from pipeline.model.incident import Incident
from pipeline.model.reject import Reject
from pipeline.model.vocabulary import Client, finest, same_client

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping


class MySource:
    def poll(self, cursor: Cursor | None) -> Poll:
        return Poll(batches=(), rejects=(), cursor=cursor or {"v": 1}, finished=True)


class MyFeed:
    def changed_since(self, cursor: Cursor | None) -> AdvisoryPoll:
        return AdvisoryPoll(advisories=(), rejects=(), cursor=cursor or {"v": 1})


class MyDetector:
    def score_one(self, x: dict[Hashable, Any]) -> float:
        return float(len(x))

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        del x

    @property
    def warming_up(self) -> bool:
        return False

    def snapshot(self) -> dict[str, Any]:
        return {"v": 1}

    def restore(self, state: Mapping[str, Any]) -> None:
        del state


class MySink:
    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        return Delivery(accepted=[(str(d["flag_id"]), int(d["revision"])) for d in documents])


source: Source = MySource()
feed: AdvisoryFeed = MyFeed()
detector: Detector = MyDetector()
sink: Sink = MySink()
clocks: list[Clock] = [SystemClock()]


def a_source_gives_tables(poll: Poll) -> None:
    assert_type(poll.batches, Sequence[pa.Table])
    assert_type(poll.rejects, Sequence[Reject])
    assert_type(poll.cursor, dict[str, Any])
    assert_type(poll.complete_to, datetime | None)
    assert_type(poll.received - poll.ignored, int)


def documents_come_back_as_what_they_were(flag: Flag, incident: Incident) -> None:
    assert_type(from_json(Flag, to_json(flag)), Flag)
    assert_type(from_json(Incident, {}), Incident)
    assert_type(from_json(Advisory, {}), Advisory)
    assert_type(to_line(incident), str)
    assert_type(content_id("inc", 1, "two", None), str)


def clients_are_a_closed_set(client: Client) -> None:
    assert_type(finest(frozenset({client})), frozenset[Client])
    assert_type(same_client(client, Client.OWA), bool)
    assert_type(client.label, str)


def a_manual_clock_is_a_clock(clock: ManualClock) -> None:
    clocks.append(clock)


def wrong_components_are_refused() -> None:
    class Forgetful:
        def poll(self) -> Poll:
            return Poll(batches=(), rejects=(), cursor={})

    wrong: Source = Forgetful()  # type: ignore[assignment] # the point: it takes no cursor
    del wrong
