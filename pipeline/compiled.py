"""The one way in which functions are compiled to machine code."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_F = TypeVar("_F", bound="Callable[..., Any]")


def compiler(sources: Iterable[Path]) -> Callable[[_F], _F]:
    """A decorator that compiles at the first call and keeps the code for later processes.

    A function is kept with the code of those it calls, and numba looks at its own file only
    to see whether it is stale: so each state of ``sources``, the files that are compiled
    together, has a folder.

    The code behaves like C: integers overflow in silence and no index is checked.
    """
    folder = _folder(sources)

    def compiled(function: _F) -> _F:
        if folder is not None:
            # Read by numba as it meets the function; others may have set it for theirs.
            setattr(numba.config, "CACHE_DIR", str(folder))  # noqa: B010 # a setting that its types lack
        return cast("_F", numba.njit(cache=folder is not None, nogil=True)(function))

    return compiled


def _folder(sources: Iterable[Path]) -> Path | None:
    """Where machine code is kept; None if this process can keep none.

    What lies there is run, so it must be ours alone.
    """
    state = hashlib.blake2b(digest_size=8)
    for source in sorted(sources):
        state.update(source.read_bytes())
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(cache) / "outrider" / f"compiled-{state.hexdigest()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid() or not os.access(folder, os.W_OK):
            return None
    except (OSError, RuntimeError):
        return None
    return folder
