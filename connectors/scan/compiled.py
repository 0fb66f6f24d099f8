"""The one way in which functions of this package are compiled."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numba.extending

if TYPE_CHECKING:
    from collections.abc import Callable

_F = TypeVar("_F", bound="Callable[..., Any]")


def _keeps_code() -> bool:
    """Name the folder for machine code; False if this process can keep none.

    A function is kept with the code of those it calls, and the compiler looks at its own
    file only to see whether it is stale: so each state of the package has a folder. What
    lies there is run, so it must be ours alone.
    """
    state = hashlib.blake2b(digest_size=8)
    for source in sorted(Path(__file__).parent.glob("*.py")):
        state.update(source.read_bytes())
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(cache) / "outrider" / f"compiled-{state.hexdigest()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid() or not os.access(folder, os.W_OK):
            return False
    except (OSError, RuntimeError):
        return False
    setattr(numba.config, "CACHE_DIR", str(folder))  # noqa: B010 # a setting that its types lack
    return True


_KEEPS_CODE = _keeps_code()


def compiled(function: _F) -> _F:
    """Compile at the first call, and keep the machine code on disk for later processes.

    The code behaves like C: integers overflow in silence and no index is checked. Callers
    see to it that 64 bytes are readable behind everything that they hand in.
    """
    return cast("_F", numba.njit(cache=_KEEPS_CODE, nogil=True)(function))


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is written in the compiler's own terms; its callers omit the context."""
    return numba.extending.intrinsic(function)
