"""What one tenant's judging shows: parts by name, each replacing the one of its name before.

Nothing here belongs to a tenant's state: after a restart the open days are judged again, and
what was shown of them is shown again. So a part may come twice, and never comes half.

| part | holds |
|---|---|
| ``now`` | the running hours of every cell, feeds and logs; of each judgement |
| ``hour/SECONDS`` | one hour of the timeline and the gaps that end in it, when it has changed |
| ``day/NUMBER`` | users by client on a day that was judged for good |
| ``watched`` | the smallest effect on each client that would show; each hour |
| ``advisory/ID/HASH``, ``heard/ID/HASH`` | a version of an advisory; that the tenant was told it |
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from detectors.power import detectable
from pipeline.model.clock import to_us
from pipeline.model.documents import to_json, to_line
from pipeline.model.feed import FeedState
from pipeline.model.knowledge import moments
from pipeline.runtime.live.hours import HOUR_S, SECOND_US, Rows, gap_row, running, running_hours

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from pipeline.ledger.store import Ledger
    from pipeline.model.advisory import Advisory
    from pipeline.model.feed import FeedNotice
    from pipeline.model.vocabulary import Client, Service, Source
    from pipeline.model.window import Cell, WindowBlock
    from pipeline.runtime.judging import Judged, Judging
    from pipeline.runtime.live.tenant import Tenant

_DAY_S: Final = 86_400
_DAY_MINUTES: Final = 1_440
# Hours are compared with what was shown of them: nine days before the first day is closed.
_REMEMBERED: Final = 10 * 24
_LONGEST_TEXT: Final = 20_000


class Part(NamedTuple):
    """One part; ``name`` is empty where there is one of a kind."""

    what: str
    name: str
    body: dict[str, Any]


class Shows:
    """Collects what a tenant's judging shows until it is taken away; in memory alone."""

    def __init__(self) -> None:
        self._blocks: list[Judged] = []
        self._parts: dict[tuple[str, str], Part] = {}
        self._shown: OrderedDict[int, bytes] = OrderedDict()
        self._last: dict[str, int] = {}

    def settled(self, judged: Judged) -> None:
        """Take note of a block that was judged for good."""
        self._add_users(judged.block)
        self._hours(judged, None)

    def led(self, judged: Judged, now: datetime, *, finish: bool) -> None:
        """Take note of a block that is judged by now, and may be again.

        Args:
            judged: the block and what it gave.
            now: the tenant's clock.
            finish: nothing more will come, so that a whole day is whole.
        """
        if finish and judged.block.minutes == _DAY_MINUTES:
            self._add_users(judged.block)
        running = running_hours(now)[0]
        self._hours(judged, running)
        if to_us(judged.block.start) // SECOND_US + judged.block.minutes * 60 > running:
            self._blocks.append(judged)

    def took(self, events: pa.Table, time: NDArray[np.int64]) -> None:
        """Take note of how new the records of each log are.

        Args:
            events: table of EVENT_SCHEMA.
            time: of its events, in microseconds since 1970.
        """
        begin = 0
        for source in events.column("source").chunks:
            times = time[begin : begin + len(source)]
            begin += len(source)
            names = source.dictionary.to_pylist()
            codes = source.indices.to_numpy() if len(names) > 1 else None
            for code, name in enumerate(names):
                # A message holds one log's records more often than not.
                mine = times if codes is None else times[codes == code]
                if len(mine):
                    self._last[name] = max(int(mine.max()), self._last.get(name, 0))

    def advised(self, advisories: Iterable[Advisory]) -> None:
        """Take note of new versions of advisories."""
        for advisory in advisories:
            for part in _advisory(advisory):
                self._put(part)

    def judged(
        self,
        now: datetime,
        *,
        completeness: Mapping[Source, float],
        feeds: Iterable[FeedNotice],
        logs: Iterable[FeedNotice],
        known: Iterable[Cell],
        watching: Judging | None,
    ) -> None:
        """Take note of a judgement over the blocks since the last one.

        Args:
            now: the tenant's clock.
            completeness: by source, of the last hour.
            feeds: the newest notice of each feed.
            logs: how each log does by its records.
            known: cells that are blind unless the blocks tell of them.
            watching: detectors whose power is to be told, None = as they told it last.
        """
        blocks, self._blocks = self._blocks, []
        if watching is not None:
            day = to_us(now) // (_DAY_S * SECOND_US)
            self._put(Part("watched", "", {"day": day, "effects": _effects(watching)}))
        cells = list(known)
        # Where no block was judged, there was no record for days.
        complete = completeness if blocks else {cell.source: 0.0 for cell in cells}
        body = {
            "at": to_us(now),
            **running(blocks, now, cells),
            "completeness": {s.value: round(c, 4) for s, c in complete.items()},
            "feeds": [to_json(n) for n in feeds],
            "logs": self._logs(logs),
        }
        self._put(Part("now", "", body))

    def take(self) -> list[Part]:
        """What has come since the last call, in the order in which it is to be kept."""
        parts, self._parts = self._parts, {}
        return list(parts.values())

    def _put(self, part: Part) -> None:
        self._parts[part.what, part.name] = part

    def _logs(self, notices: Iterable[FeedNotice]) -> dict[str, dict[str, Any]]:
        logs: dict[str, dict[str, Any]] = {n: {"last": at} for n, at in self._last.items()}
        for notice in notices:
            if notice.state is not FeedState.WORKING:
                logs.setdefault(notice.feed, {})["notice"] = to_json(notice)
        return logs

    def _add_users(self, block: WindowBlock) -> None:
        table = block.user_hours
        if not table.num_rows:
            return
        columns = {n: pc.cast(table.column(n), pa.string()) for n in ("service", "client")}
        plain = pa.table({**columns, "user": table.column("user")})
        counted = plain.group_by(["service", "client"]).aggregate([("user", "count_distinct")])
        users = [[r["service"], r["client"], r["user_count_distinct"]] for r in counted.to_pylist()]
        day = to_us(block.start) // (_DAY_S * SECOND_US)
        self._put(Part("day", str(day), {"day": day, "users": sorted(users)}))

    def _hours(self, judged: Judged, running: int | None) -> None:
        """The hours of a block that differ from what was shown of them, but no running ones."""
        block = judged.block
        begin = to_us(block.start) // SECOND_US
        end = begin + block.minutes * 60
        if running is not None:
            end = min(end, running)
        if begin >= end:
            return
        rows = Rows(judged.timeline)
        for hour in range(begin, end, HOUR_S):
            gaps = [g for g in map(gap_row, block.gaps) if hour < g[2] <= hour + HOUR_S]
            mark = rows.mark(hour, repr(gaps))
            if self._shown.get(hour) != mark:
                self._shown[hour] = mark
                self._shown.move_to_end(hour)
                lanes = rows.lanes(hour)
                self._put(Part("hour", str(hour), {"hour": hour, "lanes": lanes, "gaps": gaps}))
        while len(self._shown) > _REMEMBERED:
            self._shown.popitem(last=False)


def _effects(judging: Judging) -> list[list[Any]]:
    effects: dict[tuple[Service, Client], float] = {}
    for bank in judging.banks.values():
        for key, effect in detectable(bank).items():
            effects[key] = min(effect, effects.get(key, 1.0))
    return sorted([s.value, c.value, round(e, 4)] for (s, c), e in effects.items())


def _advisory(advisory: Advisory) -> tuple[Part, Part]:
    document = to_line(advisory)
    mark = hashlib.blake2b(document.encode("utf-8", "replace"), digest_size=12).hexdigest()
    told = moments(advisory)
    at = to_us(told[-1]) // SECOND_US if told else 0
    words = "\n".join(
        [advisory.title, advisory.impact_description, *(p.text for p in advisory.posts)]
    )
    name = f"{advisory.advisory_id}/{mark}"
    key = {"id": advisory.advisory_id, "hash": mark, "at": at}
    body = {**key, "document": document, "words": words[:_LONGEST_TEXT]}
    return Part("advisory", name, body), Part("heard", name, key)


def keep(ledger: Ledger, tenant: str, parts: Iterable[Part], kept: int) -> None:
    """Put what a tenant shows into a ledger, within a transaction of the caller's.

    Args:
        ledger: to write.
        tenant: of the parts.
        parts: whatever was shown before of the same names is replaced.
        kept: now, in microseconds since 1970.

    Raises:
        KeyError, ValueError, TypeError: a part is none of this version's.
    """
    for what, _, body in parts:
        if what == "now":
            ledger.put_now(tenant, body, kept)
        elif what == "hour":
            ledger.put_hour(tenant, body)
        elif what == "day":
            ledger.put_day(tenant, body)
        elif what == "watched":
            ledger.put_watched(tenant, body)
        elif what == "advisory":
            ledger.put_advisory(body, kept)
        elif what == "heard":
            ledger.put_heard(tenant, body["id"], body["hash"], int(body["at"]))
        else:
            raise ValueError(f"{what} is nothing that is shown")


def show(ledger: Ledger, tenants: Mapping[str, Tenant], kept: int) -> None:
    """Put what tenants show since the last call into a ledger; arguments as in :func:`keep`."""
    for name, tenant in tenants.items():
        keep(ledger, name, tenant.shows.take(), kept)
