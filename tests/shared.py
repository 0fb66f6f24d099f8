"""What takes long to make is made once for all workers of a run."""

from __future__ import annotations

import fcntl
import os
import pickle


def made_once(tmp_path_factory, name, make):
    """What ``make(folder)`` gives, made by whichever worker comes first.

    It must survive pickling, and nobody may change it or its folder.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # of all workers of this run
    folder = root / name
    folder.mkdir(exist_ok=True)
    kept = folder / "made.pickle"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            made = make(folder)
            draft = kept.with_suffix(".draft")
            draft.write_bytes(pickle.dumps(made))
            draft.rename(kept)
            return made
    return pickle.loads(kept.read_bytes())  # noqa: S301 # of this run's own
