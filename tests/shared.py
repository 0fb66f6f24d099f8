"""What takes long to make is made once for all workers of a run."""

from __future__ import annotations

import fcntl
import os
import pickle
from contextlib import contextmanager


def made_once(tmp_path_factory, name, make):
    """What ``make(folder)`` gives, made by whichever worker comes first.

    It must survive pickling, and nobody may change it or its folder.
    """
    folder = _folder(tmp_path_factory, name)
    kept = folder / "made.pickle"
    with _alone(folder):
        if not kept.exists():
            made = make(folder)
            draft = kept.with_suffix(".draft")
            draft.write_bytes(pickle.dumps(made))
            draft.rename(kept)
            return made
    return pickle.loads(kept.read_bytes())  # noqa: S301 # of this run's own


@contextmanager
def held_together(tmp_path_factory, name, start, stop):
    """What ``start(folder)`` gives, for all workers of a run; who leaves last has ``stop`` end it.

    It must survive pickling: another worker may have to end it.
    """
    folder = _folder(tmp_path_factory, name)
    kept = folder / "held.pickle"
    with _alone(folder):
        others, held = pickle.loads(kept.read_bytes()) if kept.exists() else ([], None)  # noqa: S301 # of this run's own
        others = [pid for pid in others if _lives(pid)]
        if not others:
            held = start(folder)
        kept.write_bytes(pickle.dumps(([*others, os.getpid()], held)))
    try:
        yield held
    finally:
        with _alone(folder):
            all_of_us, held = pickle.loads(kept.read_bytes())  # noqa: S301 # of this run's own
            others = [pid for pid in all_of_us if pid != os.getpid() and _lives(pid)]
            kept.write_bytes(pickle.dumps((others, held)))
            if not others:
                stop(held)


def _folder(tmp_path_factory, name):
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # of all workers of this run
    folder = root / name
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def _alone(folder):
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
