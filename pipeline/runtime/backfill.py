"""Backfill: exported logs in, the incidents their users lived through out.

Order of work, each step safe to be killed in: plan the files, parse what no earlier run
has parsed into the spool, take the days through the stages in time order, write the
results beside their places and rename them. A run that is repeated finds its finished
tasks in the spool and gives the same incidents.
"""

from __future__ import annotations

import errno
import shutil
import time
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connectors.advisories.files import FileAdvisoryFeed
from connectors.normalise.settings import NormaliseSettings
from connectors.sources.plan import plan
from pipeline.match.impact import impact
from pipeline.match.ledger import ledger
from pipeline.model.clock import from_us, to_us
from pipeline.model.errors import FatalError
from pipeline.runtime.days import main_stretch
from pipeline.runtime.exposure import Exposures
from pipeline.runtime.keys import privacy_key
from pipeline.runtime.named_paths import refuse_missing
from pipeline.runtime.outputs import BlockOutputs, write_json, write_lines
from pipeline.runtime.parsing import fingerprint, parse_all
from pipeline.runtime.spool import DAY_US, load_day, with_tenant
from pipeline.runtime.stages import Stages
from pipeline.runtime.summary import Facts, summarise
from pipeline.runtime.telemetry import unit_of_work

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from pipeline.model.advisory import Advisory
    from pipeline.model.incident import Incident
    from pipeline.runtime.config import Config
    from pipeline.runtime.progress import Progress
    from pipeline.runtime.spool import DayPart, Manifest

UNNAMED = ""
DEFAULT_TENANT = "default"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What to read, what to keep of it and where to write.

    ``since`` and ``until`` bound the event times that are judged; ``tenant`` is the tenant
    to keep, and that of records which name none.
    """

    paths: tuple[str, ...]
    advisory_paths: tuple[str, ...]
    out: Path
    since: datetime | None = None
    until: datetime | None = None
    tenant: str | None = None
    resume: bool = True
    reveal_users: bool = False


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """What came of it.

    Attributes:
        summary: as ``summary.json`` has it.
        incidents: the last revision of each.
        blind: whether there were gaps, or nothing to judge.
        out: the folder.
        unread: files that were not read, or not to their end.
        tenants: whose records there are, also those that were left out.
    """

    summary: dict[str, Any]
    incidents: tuple[Incident, ...]
    blind: bool
    out: Path
    unread: int = 0
    tenants: tuple[str, ...] = ()


def backfill(
    request: BackfillRequest,
    config: Config,
    *,
    progress: Progress,
    log: FilteringBoundLogger,
) -> BackfillResult:
    """Find the incidents in exported logs and write the output folder.

    Raises:
        ConfigError: a path is missing or the key cannot be had.
        FatalError: the disk is full, or the output folder cannot be written.
    """
    refuse_missing(request.paths, request.advisory_paths)
    spool = request.out / ".outrider" / "spool"
    try:
        spool.mkdir(parents=True, exist_ok=True)
        if not request.resume:
            shutil.rmtree(spool)
            spool.mkdir()
        return _Run(request, config, spool, progress, log).run()
    except OSError as error:
        remedy = "name a folder that can be written with --out"
        if error.errno in _FULL:
            remedy = "free some space, then run the same command again: it goes on where it stopped"
        raise FatalError(
            f"{request.out}: cannot write the results ({error.strerror}); {remedy}"
        ) from error


class _Run:
    def __init__(
        self,
        request: BackfillRequest,
        config: Config,
        spool: Path,
        progress: Progress,
        log: FilteringBoundLogger,
    ) -> None:
        self.request, self.config, self.spool = request, config, spool
        self.progress, self.log = progress, log
        self.facts = Facts()
        self.unnamed = DEFAULT_TENANT

    def run(self) -> BackfillResult:
        with unit_of_work(self.log, "plan") as work:
            files = plan(list(self.request.paths), slice_bytes=self._slice_bytes())
            work["units"], work["bytes"] = len(files.units), files.total_bytes
        advisories = self._advisories([*self.request.advisory_paths, *files.advisory_paths])
        self.facts.plan_rejects = list(files.rejects)
        self.facts.empty_files = files.empty_files
        manifests = self._parse(files.units, files.total_bytes)
        incidents = self._judge(manifests, advisories)
        return self._conclude(manifests, advisories, incidents)

    def _slice_bytes(self) -> int:
        return self.config.backfill.slice_mib * 2**20

    def _advisories(self, paths: Sequence[str]) -> list[Advisory]:
        if not paths:
            return []
        with unit_of_work(self.log, "advisories") as work:
            poll = FileAdvisoryFeed(paths).changed_since(None)
            self.facts.advisory_rejects = list(poll.rejects)
            work["advisories"], work["rejected"] = len(poll.advisories), len(poll.rejects)
        return list(poll.advisories)

    def _parse(self, units: Sequence[Any], total: int) -> list[Manifest]:
        settings = NormaliseSettings(
            key=privacy_key(self.config.privacy, self.request.out).get_secret_value(),
            tenant=self.request.tenant or UNNAMED,
            site_names=dict(self.config.sites),
            reveal=self.request.reveal_users,
        )
        began = time.monotonic()
        with unit_of_work(self.log, "parse") as work:
            self.progress.start("reading", total=total, unit="B")
            manifests = parse_all(
                units,
                self.spool,
                settings,
                mark=fingerprint(settings, version("outrider")),
                workers=self.config.backfill.workers,
                task_bytes=self._slice_bytes(),
                done=lambda m: self.progress.advance(m.bytes_read),
            )
            self.progress.finish()
            work["records"] = sum(m.received for m in manifests)
            work["rejected"] = sum(len(m.rejects) for m in manifests)
        self.facts.seconds["parse"] = time.monotonic() - began
        return manifests

    def _judge(self, manifests: list[Manifest], advisories: list[Advisory]) -> list[Incident]:
        named = {name for m in manifests for name in m.tenants} - {UNNAMED}
        if len(named) == 1:
            # Graph pages name no tenant: beside the logs of one tenant they are that one's.
            self.unnamed = next(iter(named))
        by_day: dict[int, list[DayPart]] = {}
        for part in (p for m in manifests for p in m.parts):
            by_day.setdefault(part.day, []).append(part)
        days, lonely = main_stretch(
            self._asked({d: sum(p.rows for p in ps) for d, ps in by_day.items()})
        )
        self.facts.lonely = lonely
        stages = Stages(self.config)
        exposures = Exposures()
        data_end = self._data_end(by_day, days)
        newest: dict[str, Incident] = {}
        began = time.monotonic()
        with unit_of_work(self.log, "judge") as work, BlockOutputs(self.request.out) as outputs:
            self.progress.start("judging", total=len(days), unit="days")
            for day in days:
                events = self._events(by_day.get(day, []))
                start = from_us(day * DAY_US)
                outcome = stages.advance(
                    events,
                    start=start,
                    until=start + timedelta(days=1),
                    data_end=data_end,
                    advisories=advisories if day == days[0] else (),
                )
                outputs.add(outcome)
                exposures.take(outcome.judged.block)
                self.facts.take(outcome, events)
                newest.update({i.incident_id: i for i in outcome.incidents})
                self.progress.advance()
            last = stages.drain()
            outputs.add_incidents(last)
            newest.update({i.incident_id: i for i in last})
            self.progress.finish()
            work["days"], work["incidents"] = len(days), len(newest)
        self.facts.seconds["judge"] = time.monotonic() - began
        self.facts.finish(stages)
        self.facts.exposure = exposures.result(stages)
        return list(newest.values())

    def _asked(self, rows: dict[int, int]) -> dict[int, int]:
        since, until = self.request.since, self.request.until
        first = to_us(since) // DAY_US if since else min(rows, default=0)
        last = (to_us(until) - 1) // DAY_US if until else max(rows, default=0)
        return {day: n for day, n in rows.items() if first <= day <= last}

    def _data_end(self, by_day: dict[int, list[DayPart]], days: range) -> datetime | None:
        newest = [p.newest_us for d, parts in by_day.items() if d in days for p in parts]
        return from_us(max(newest)) if newest else None

    def _events(self, parts: Sequence[DayPart]) -> pa.Table:
        table = with_tenant(load_day(self.spool, parts), self.unnamed)
        since, until, tenant = self.request.since, self.request.until, self.request.tenant
        moments = table.schema.field("event_time").type
        if since is not None:
            table = table.filter(pc.greater_equal(table["event_time"], pa.scalar(since, moments)))
        if until is not None:
            table = table.filter(pc.less(table["event_time"], pa.scalar(until, moments)))
        if tenant is not None:
            names = pc.cast(table.column("tenant"), pa.string())
            table = table.filter(pc.equal(names, tenant))
        return table

    def _conclude(
        self, manifests: list[Manifest], advisories: list[Advisory], incidents: list[Incident]
    ) -> BackfillResult:
        out = self.request.out
        newest = {a.advisory_id: a for a in advisories}
        write_lines(out / "advisories.ndjson", advisories)
        write_lines(
            out / "impacts.ndjson",
            [impact(a, incidents, self.facts.exposure) for a in newest.values()],
        )
        write_lines(out / "ledger.ndjson", ledger(incidents, advisories))
        rejects = [
            *self.facts.plan_rejects,
            *self.facts.advisory_rejects,
            *(reject for m in manifests for reject in m.rejects),
        ]
        write_lines(out / "rejects.ndjson", rejects)
        # Names that an earlier run was asked for do not outlive this one.
        (out / "users.ndjson").unlink(missing_ok=True)
        if self.request.reveal_users:
            names = {k: v for m in manifests for k, v in m.revealed.items()}
            write_lines(out / "users.ndjson", [{"user": k, "name": v} for k, v in names.items()])
        summary = summarise(self.facts, manifests, incidents)
        write_json(out / "summary.json", summary)
        unread = int(summary["unread_files"]["files"])
        named = {name for m in manifests for name in m.tenants} - {UNNAMED}
        return BackfillResult(
            summary, tuple(incidents), bool(summary["blind"]), out, unread, tuple(sorted(named))
        )
