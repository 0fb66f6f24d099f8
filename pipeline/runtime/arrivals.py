"""Exported logs as they once came: files behind the contract of a live source.

Files are parsed into a spool, as a backfill does, and given out in order of arrival. New
files in the same folders are a next generation; :mod:`pipeline.runtime.arrivals_cursor` tells
how far they are read.
"""

from __future__ import annotations

import shutil
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from connectors.sources.plan import plan
from pipeline.model.clock import from_us
from pipeline.model.contracts import Poll
from pipeline.model.documents import from_json
from pipeline.model.errors import FatalError, RetriableError
from pipeline.model.event import EVENT_SCHEMA
from pipeline.model.ids import content_id
from pipeline.model.reject import Reject
from pipeline.runtime.arrivals_cursor import cursor_of, position, remembered, told_in
from pipeline.runtime.arrivals_times import arrival
from pipeline.runtime.arrivals_told import SetAside
from pipeline.runtime.days import main_stretch
from pipeline.runtime.parsing import fingerprint, parse_all
from pipeline.runtime.spool import DAY_US, load_day, with_tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from connectors.normalise.settings import NormaliseSettings
    from connectors.sources.units import FileUnit
    from pipeline.model.contracts import Cursor
    from pipeline.runtime.spool import DayPart, Manifest

DEFAULT_TENANT: Final = "default"
# The Activity API hands content out for seven days; what is later still comes on the last.
_LATEST_DAYS: Final = 7
_TASK_BYTES: Final = 32 * 2**20


class _StopError(Exception):
    """Somebody does not want to wait for the parsing."""


@dataclass(slots=True)
class _Generation:
    """Files parsed together.

    Attributes:
        units: their ids, in order.
        folder: of the spool.
        parts: by day of the events.
        days: the days on which records arrive, in order.
        rejects: records refused in them.
        unnamed: tenant of records that name none.
        end_us: newest moment that any record speaks of.
        received, ignored: records read, and of them those that are no evidence.
    """

    units: list[str]
    folder: Path
    parts: dict[int, list[DayPart]]
    days: range
    rejects: list[Reject]
    unnamed: str
    end_us: int
    received: int
    ignored: int


class Arrivals:
    """Everything that some paths hold, in the order in which it arrived.

    Where a record tells no time of arrival, it is given one: its source's declared delay.

    Args:
        paths: files, folders or patterns.
        settings: key, tenant and sites.
        spool: folder for parsed events.
        delays: by source, declared delay in seconds.
        workers: processes that parse.
        batch_rows: about so many events in a poll.
        scatter: 0 gives each record its source's declared delay; any other number is the
            seed of delays drawn evenly from nothing to that.
        follow: whether files may still be added, so that there is no end.
        stop: whether to leave what is not parsed yet for the next start.
        log: one line for the unusable files that were found at a time.
    """

    def __init__(
        self,
        paths: Sequence[str],
        settings: NormaliseSettings,
        spool: Path,
        *,
        delays: Mapping[str, float],
        workers: int = 1,
        batch_rows: int = 16_384,
        scatter: int = 0,
        follow: bool = False,
        stop: Callable[[], bool] = lambda: False,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self._paths = list(paths)
        self._settings = settings
        self._spool = spool
        self._delays = dict(delays)
        self._workers = workers
        self._batch_rows = batch_rows
        self._scatter = scatter
        self._follow = follow
        self._stop = stop
        self._aside = SetAside(log)
        self._generation: _Generation | None = None
        self._day: tuple[int, pa.Table, np.ndarray[Any, np.dtype[np.int64]]] | None = None

    @property
    def unread(self) -> list[Reject]:
        """Files that are unusable, or that broke off while they were read, since this was made."""
        return self._aside.unread

    @property
    def end_us(self) -> int:
        """Newest moment that any record of the files under way speaks of; 0 before any."""
        return 0 if self._generation is None else self._generation.end_us

    def poll(self, cursor: Cursor | None) -> Poll:
        """Read the next portion.

        Raises:
            RetriableError: there is no space for the parsed records.
            FatalError: a process that parses was ended from outside.
            StateError: the cursor is of another version.
        """
        done, units, day, row = position(cursor)
        told = told_in(cursor)
        plan_rejects: list[Reject] = []
        made = self._generation
        if made is None or made.units != units:
            layout = plan(self._paths)
            done = remembered(done, {u.unit_id for u in layout.units})
            wanted = [u for u in layout.units if u.unit_id not in done]
            going_on = [u for u in wanted if u.unit_id in set(units)]
            if len(going_on) == len(units):
                wanted = going_on or wanted
            else:
                # A file of them has changed or is gone, and with it the place of the others'
                # records: they are given again, and counted once (dedupe, eight days).
                units, day, row = [], 0, 0
            try:
                made = self._parse(wanted) if wanted else None
            except _StopError:
                return Poll((), (), cursor or cursor_of(done, told), read_at=from_us(0))
            plan_rejects, told = self._aside.tell(layout.rejects, told)
        if made is None:
            self._forget()
            return Poll(
                (),
                plan_rejects,
                cursor_of(done, told),
                finished=not self._follow,
                received=len(plan_rejects),
            )
        first = not units
        rejects = [*plan_rejects, *(made.rejects if first else ())]
        self._aside.keep(rejects)
        days = [d for d in made.days if d >= day] if units else list(made.days)
        while days and row >= len(self._arrived(days[0])[1]):
            days, row = days[1:], 0
        received = (made.received if first else 0) + len(plan_rejects)
        ignored = made.ignored if first else 0
        if not days:
            self._forget()
            return Poll(
                (),
                rejects,
                cursor_of({*done, *made.units}, told),
                read_at=from_us(made.end_us),
                received=received,
                ignored=ignored,
            )
        table, arrived = self._arrived(days[0])
        part = table.slice(row, self._batch_rows)
        until = row + part.num_rows
        return Poll(
            (part,),
            rejects,
            cursor_of(done, told, made.units, days[0], until),
            read_at=from_us(int(arrived[until - 1])),
            received=received,
            ignored=ignored,
        )

    def _forget(self) -> None:
        if self._generation is not None:
            shutil.rmtree(self._generation.folder, ignore_errors=True)
        self._generation = self._day = None

    def _parse(self, units: Sequence[FileUnit]) -> _Generation:
        ids = [u.unit_id for u in units]
        if self._generation is not None and self._generation.units == ids:
            return self._generation
        folder = self._spool / content_id("files", *ids)
        for old in self._spool.glob("files-*"):
            if old != folder:  # of files that have changed since
                shutil.rmtree(old, ignore_errors=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            manifests = parse_all(
                units,
                folder,
                self._settings,
                mark=fingerprint(self._settings, version("outrider")),
                workers=self._workers,
                task_bytes=_TASK_BYTES,
                done=self._go_on,
            )
        except OSError as error:
            # Of what cannot be read the parser makes rejects: this is the spool.
            raise RetriableError(
                f"{folder}: cannot write parsed records ({error.strerror or error}); free some "
                "space, the run goes on by itself",
                retry_after=10.0,
            ) from error
        except BrokenProcessPool as error:
            # Who stops a service tells its worker processes too, and they end at once.
            self._go_on()
            raise FatalError(
                f"{self._spool}: a process that parses files was ended from outside, for lack "
                "of memory perhaps; set fewer backfill.workers, and start again"
            ) from error
        self._generation = self._made(ids, folder, manifests)
        self._day = None
        return self._generation

    def _go_on(self, _: Manifest | None = None) -> None:
        if self._stop():
            raise _StopError

    def _made(self, ids: list[str], folder: Path, manifests: list[Manifest]) -> _Generation:
        parts: dict[int, list[DayPart]] = {}
        for part in (p for m in manifests for p in m.parts):
            parts.setdefault(part.day, []).append(part)
        days, _ = main_stretch({d: sum(p.rows for p in ps) for d, ps in parts.items()})
        parts = {d: parts[d] for d in days if d in parts}
        named = {name for m in manifests for name in m.tenants} - {""}
        newest = [p.newest_us for ps in parts.values() for p in ps]
        return _Generation(
            units=ids,
            folder=folder,
            parts=parts,
            days=range(days.start, days.stop + _LATEST_DAYS) if days else range(0),
            rejects=[from_json(Reject, r) for m in manifests for r in m.rejects],
            unnamed=next(iter(named)) if len(named) == 1 else DEFAULT_TENANT,
            end_us=max(newest, default=0),
            received=sum(m.received for m in manifests),
            ignored=sum(m.ignored for m in manifests),
        )

    def _arrived(self, day: int) -> tuple[pa.Table, np.ndarray[Any, np.dtype[np.int64]]]:
        """The records that arrive on a day, and when, in that order."""
        if self._day is not None and self._day[0] == day:
            return self._day[1], self._day[2]
        made = self._generation
        tables, times = [EVENT_SCHEMA.empty_table()], [np.zeros(0, np.int64)]
        for told in range(day - _LATEST_DAYS, day + 1):
            if made is None or told not in made.parts:
                continue
            table = load_day(made.folder, made.parts[told])
            arrived = arrival(table, self._delays, self._scatter)
            latest = (told + _LATEST_DAYS + 1) * DAY_US - 1
            mine = np.minimum(arrived, latest) // DAY_US == day
            tables.append(table.filter(pa.array(mine)))
            times.append(np.minimum(arrived[mine], latest))
        time = np.concatenate(times)
        order = np.argsort(time, kind="stable")
        table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
        if table.num_rows:
            table = with_tenant(table, self.unnamed)
        self._day = (day, table.take(pa.array(order)), time[order])
        return self._day[1], self._day[2]

    @property
    def unnamed(self) -> str:
        """Tenant of records that name none."""
        named = self._settings.tenant
        made = self._generation
        return named or (DEFAULT_TENANT if made is None else made.unnamed)
