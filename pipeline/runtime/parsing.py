"""Files to spooled event batches: in worker processes, task by task, resumable."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from connectors.normalise.tally import Tally
from connectors.sources.files import read_unit
from pipeline.model.documents import to_json
from pipeline.runtime.spool import Manifest, TaskWriter, finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from connectors.normalise.settings import NormaliseSettings
    from connectors.sources.units import FileUnit

# Compiled code takes a third of the time, and half a second in each worker to make ready,
# or several seconds on a machine that has never done it.
_SCAN_BYTES = 512 * 2**20
# A worker that starts costs about a second of imports; below this the parent does it all.
_ALONE_BYTES = 24 * 2**20
# Each process has this many tasks at least, so that none waits long for the last one of another;
# a task that is smaller than some MB is not worth its files.
_TASKS_EACH = 4
_LEAST_TASK = 4 * 2**20
# Tasks a worker has before it: one to work on, one that waits.
_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Task:
    """Units parsed together by one worker, with everything the worker needs."""

    folder: Path
    units: tuple[FileUnit, ...]
    settings: NormaliseSettings
    fingerprint: str
    scan: bool = False


def fingerprint(settings: NormaliseSettings, version: str) -> str:
    """Hash of everything that changes what parsing gives; shows nothing of the key."""
    hashed = hashlib.blake2b(digest_size=12, key=settings.key)
    hashed.update(
        repr(
            (version, settings.tenant, sorted(settings.site_names.items()), settings.reveal)
        ).encode()
    )
    return hashed.hexdigest()


def parse_task(task: Task) -> Manifest:
    """Parse one task's units into the spool; runs in a worker process."""
    writer = TaskWriter(task.folder, [u.unit_id for u in task.units], task.fingerprint)
    tally = Tally()
    manifest = writer.manifest
    for unit in task.units:
        for part in read_unit(unit, task.settings, scan=task.scan):
            writer.add(part.batch)
            manifest.rejects += [to_json(reject) for reject in part.rejects]
            manifest.received += part.received
            manifest.ignored += part.ignored
            manifest.bytes_read += part.bytes_read
            manifest.revealed.update({str(k): v for k, v in part.revealed.items()})
            tally.merge(part.tally)
    manifest.tally = _plain(tally)
    return writer.commit()


def _plain(tally: Tally) -> dict[str, Any]:
    return {
        "records": dict(tally.records),
        "unmatched_clients": [[*key, n] for key, n in tally.unmatched_clients.items()],
        "unknown_codes": list(tally.unknown_codes.items()),
        "ignored": dict(tally.ignored),
        "forms": dict(tally.forms),
        "partial_tails": tally.partial_tails,
        "empty_files": tally.empty_files,
    }


def tally_of(data: dict[str, Any]) -> Tally:
    """A manifest's tally, read back."""
    return Tally(
        records=Counter(data["records"]),
        unmatched_clients=Counter({(s, c): n for s, c, n in data["unmatched_clients"]}),
        unknown_codes=Counter(dict(data["unknown_codes"])),
        ignored=Counter(data["ignored"]),
        forms=Counter(data["forms"]),
        partial_tails=[(path, offset) for path, offset in data["partial_tails"]],
        empty_files=data["empty_files"],
    )


def tasks_of(
    units: Sequence[FileUnit],
    folder: Path,
    settings: NormaliseSettings,
    mark: str,
    task_bytes: int,
    *,
    scan: bool = False,
) -> Iterator[Task]:
    """Group units, in order, into tasks of about ``task_bytes`` of input."""
    held: list[FileUnit] = []
    size = 0
    for unit in units:
        held.append(unit)
        size += unit.stop - unit.start
        if size >= task_bytes:
            yield Task(folder, tuple(held), settings, mark, scan)
            held, size = [], 0
    if held:
        yield Task(folder, tuple(held), settings, mark, scan)


def parse_all(
    units: Sequence[FileUnit],
    folder: Path,
    settings: NormaliseSettings,
    *,
    mark: str,
    workers: int,
    task_bytes: int,
    done: Callable[[Manifest], None],
) -> list[Manifest]:
    """Parse every unit that no earlier run has finished; returns all manifests.

    Args:
        units: what to read, in a fixed order.
        folder: of the spool; what is stale in it is deleted.
        settings: of normalising.
        mark: fingerprint of the settings.
        workers: processes.
        task_bytes: packed input a task, at most.
        done: called after each task, the kept ones included.
    """
    manifests = finished(folder, {u.unit_id for u in units}, mark)
    for manifest in manifests:
        done(manifest)
    have = {unit for m in manifests for unit in m.units}
    todo = [u for u in units if u.unit_id not in have]
    size = sum(u.stop - u.start for u in todo)
    share = max(_LEAST_TASK, size // (_TASKS_EACH * workers))
    tasks = tasks_of(todo, folder, settings, mark, min(task_bytes, share), scan=size >= _SCAN_BYTES)
    alone = [u for u in todo if u.path == "-"]
    if workers == 1 or alone or size < _ALONE_BYTES:
        fresh: Iterator[Manifest] = map(parse_task, tasks)
    else:
        fresh = _in_workers(tasks, workers)
    for manifest in fresh:
        manifests.append(manifest)
        done(manifest)
    return sorted(manifests, key=lambda m: m.task_id)


def follow_parent() -> None:
    """Make a worker process end with its parent, and leave Ctrl-C to it.

    A worker waits for work on a pipe that it holds both ends of itself: it would wait for
    ever after a parent that was killed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _in_workers(tasks: Iterator[Task], workers: int) -> Iterator[Manifest]:
    """Parse in this process and in others, which take half a second to start."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers - 1, mp_context=context, initializer=follow_parent) as pool:
        try:
            pending: set[Future[Manifest]] = set()
            for task in tasks:
                if len(pending) < _AHEAD * (workers - 1):
                    pending.add(pool.submit(parse_task, task))
                    continue
                yield parse_task(task)
                ready = {future for future in pending if future.done()}
                pending -= ready
                yield from (future.result() for future in ready)
            for future in as_completed(pending):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
