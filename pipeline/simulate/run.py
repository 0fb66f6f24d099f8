"""Simulate a labelled tenant, day by day, into a folder of exports."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.model.clock import rfc3339, to_us
from pipeline.model.errors import ConfigError
from pipeline.simulate.activity import day_uses
from pipeline.simulate.delivery import deliver_audit, deliver_signins
from pipeline.simulate.directory import directory_pages
from pipeline.simulate.disturb import disturb
from pipeline.simulate.formats.audit_writers import AUDIT_WRITERS
from pipeline.simulate.formats.container import Tally, write
from pipeline.simulate.formats.signin_writers import SIGNIN_WRITERS
from pipeline.simulate.intruders import day_others
from pipeline.simulate.mailbox import day_audit
from pipeline.simulate.population import GUEST
from pipeline.simulate.rows import AUDIT, SIGNIN, Rows, take
from pipeline.simulate.spec import PARTS, SimulationResult, stream
from pipeline.simulate.tokens import day_signins
from pipeline.simulate.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from pathlib import Path

    from pipeline.simulate.formats.writers import Writer
    from pipeline.simulate.spec import SimulationSpec

LABELS_SCHEMA: Final = "outrider.labels/1"


def simulate(
    spec: SimulationSpec, out: Path, progress: Callable[[int, int], None] | None = None
) -> SimulationResult:
    """Write the tenant of ``spec`` under ``out``.

    ``out/signins``, ``out/audit`` and ``out/directory`` hold the logs, ``out/advisories``
    the service health issues, ``out/labels.json`` the truth about the incidents
    (``outrider.labels/1``) and ``out/truth.json`` every name and address used, for privacy
    checks. ``progress`` is told (days done, days in all).

    An earlier simulation under ``out`` is replaced; any other content is left alone.

    Raises:
        ConfigError: ``out`` holds something that is no simulation.
        OSError: ``out`` cannot be written.
    """
    _clear(out)
    world = World(spec)
    tally = Tally()
    out.mkdir(parents=True, exist_ok=True)
    counts = {"signins": 0, "audit": 0, "directory": 0, "advisories": 0}
    signins = _Outbox(
        "signins", SIGNIN, SIGNIN_WRITERS[spec.signin_form](world, out / "signins", tally)
    )
    audit = _Outbox("audit", AUDIT, AUDIT_WRITERS[spec.audit_form](world, out / "audit", tally))
    days = 7 * spec.weeks
    for number, day in enumerate(_days(spec)):
        signin_rows, audit_rows = simulate_day(world, day)
        for box, rows in ((signins, signin_rows), (audit, audit_rows)):
            if spec.wants(box.part):
                # The next local day begins up to two hours before midnight UTC.
                box.add(rows, world.begin + (number - 1) * 86_400_000_000)
        if progress is not None:
            progress(min(number, days), days)
    for box in (signins, audit):
        box.finish()
        counts[box.part] = box.written
    _write_parts(world, out, tally, counts)
    return SimulationResult(
        out=out,
        tenant=spec.tenant,
        begin=spec.begin,
        end=spec.end,
        labels=out / "labels.json",
        records=counts,
        files=tally.files,
        bytes=tally.bytes,
    )


def _clear(out: Path) -> None:
    """Remove an earlier simulation: rest files of another form would mix with the new."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(f"{out} is a file: name a folder")
    found = {entry.name for entry in out.iterdir()}
    if found and not {"labels.json", "truth.json"} <= found:
        raise ConfigError(f"{out} is not empty and holds no simulation: name another folder")
    for part in PARTS:
        shutil.rmtree(out / part, ignore_errors=True)


def simulate_day(world: World, day: date) -> tuple[Rows, Rows]:
    """Sign-in and audit rows of one local day, with their times of delivery."""
    rng = stream(world.spec.seed, "day", day.toordinal())
    used = disturb(world, day_uses(world, day), rng)
    signins = [*day_signins(world, used, rng), *day_others(world, day)]
    audit = day_audit(world, used.uses, used.works, day, rng)
    return (
        deliver_signins(_within(world, signins), rng),
        deliver_audit(_within(world, audit), rng),
    )


def user_names(spec: SimulationSpec) -> list[str]:
    """Every name and mail address a person of the tenant bears; no output may hold one."""
    accounts = World(spec).people.accounts
    people = accounts.kind <= GUEST
    return sorted(
        {text for text, keep in zip(accounts.upn, people, strict=True) if keep}
        | {text for text, keep in zip(accounts.name, people, strict=True) if keep}
    )


def _days(spec: SimulationSpec) -> Iterator[date]:
    """Local days that touch the period: the evening before it begins, too."""
    for number in range(-1, 7 * spec.weeks + 1):
        yield (spec.begin + timedelta(days=number)).date()


def _within(world: World, parts: list[Rows]) -> Rows:
    rows = np.concatenate(parts)
    return take(rows, (rows["t"] >= world.begin) & (rows["t"] < world.end))


class _Outbox:
    """Holds rows until their day of delivery is complete, then has them written."""

    def __init__(self, part: str, dtype: np.dtype[np.void], writer: Writer) -> None:
        self.part = part
        self._writer = writer
        self._waiting = np.zeros(0, dtype)

    @property
    def written(self) -> int:
        """Records written so far, those delivered twice counted twice."""
        return self._writer.written

    def add(self, rows: Rows, midnight: int) -> None:
        """Take rows; write what is delivered before ``midnight``, one UTC day at a time."""
        self._waiting = np.concatenate([self._waiting, rows])
        due = self._waiting["avail"] < midnight
        ready = take(self._waiting, due)
        self._waiting = take(self._waiting, ~due)
        self._write(ready)

    def finish(self) -> None:
        """Write whatever is left."""
        rows, self._waiting = self._waiting, self._waiting[:0]
        self._write(rows)

    def _write(self, rows: Rows) -> None:
        rows = rows[np.argsort(rows["avail"], kind="stable")]
        days = rows["avail"] // 86_400_000_000
        for day in np.unique(days).tolist():
            self._writer.day(take(rows, days == day))


def _write_parts(world: World, out: Path, tally: Tally, counts: dict[str, int]) -> None:
    spec = world.spec
    if spec.wants("directory"):
        for name, page in directory_pages(world):
            counts["directory"] += len(page["value"])
            write(out / "directory" / name, "none", [_json(page)], tally)
    if spec.wants("advisories"):
        for name, page in advisory_pages(world):
            counts["advisories"] += len(page["value"])
            write(out / "advisories" / name, "none", [_json(page)], tally)
    write(out / "labels.json", "none", [_json(labels(world))], tally)
    write(out / "truth.json", "none", [_json(_truth(world))], tally)


def advisory_pages(world: World) -> list[tuple[str, dict[str, Any]]]:
    """What polling serviceAnnouncement/issues brought, one page a change, as (name, page)."""
    by_moment: dict[str, list[dict[str, Any]]] = {}
    for version in world.plan.advisories:
        by_moment.setdefault(str(version["lastModifiedDateTime"]), []).append(version)
    context = "https://graph.microsoft.com/v1.0/$metadata#admin/serviceAnnouncement/issues"
    return [
        (
            f"issues-{moment.replace('-', '').replace(':', '')}.json",
            {"@odata.context": context, "value": versions},
        )
        for moment, versions in sorted(by_moment.items())
    ]


def labels(world: World) -> dict[str, Any]:
    """The document ``outrider.labels/1``."""
    spec = world.spec
    return {
        "schema": LABELS_SCHEMA,
        "tenant": spec.tenant,
        "seed": spec.seed,
        "users": spec.users,
        "from": rfc3339(spec.begin),
        "to": rfc3339(spec.end),
        "labels": [
            label.to_json() for label in world.plan.labels if to_us(label.start) < world.end
        ],
    }


def _truth(world: World) -> dict[str, Any]:
    accounts = world.people.accounts
    return {
        "schema": "outrider.truth/1",
        "tenant": world.spec.tenant,
        "user_principal_names": accounts.upn,
        "display_names": accounts.name,
        "user_ids": accounts.object_id,
        "mailbox_guids": accounts.mailbox,
        "ip_addresses": world.people.addresses,
    }


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"
