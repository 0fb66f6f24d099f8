"""The one way in which functions are compiled to machine code."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import numba
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys
from numba.core.types import unliteral

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.context import SpawnProcess

_folders: Final[list[Path]] = []
_elsewhere: Final[list[SpawnProcess]] = []

_F = TypeVar("_F", bound="Callable[..., Any]")


def compiler(sources: Iterable[Path]) -> Callable[[_F], _F]:
    """A decorator that compiles at the first call and keeps the code for later processes.

    A function is kept with the code of those it calls, and numba looks at its own file only
    to see whether it is stale: so each state of ``sources``, the files that are compiled
    together, and of this one has a folder.

    The code behaves like C: integers overflow in silence, no index is checked, and a number
    divided by zero is infinite.
    """
    folder = _folder(sources)
    if folder is not None:
        _folders.append(folder)

    def compiled(function: _F) -> _F:
        if folder is not None:
            # Read by numba as it meets the function; others may have set it for theirs.
            setattr(numba.config, "CACHE_DIR", str(folder))  # noqa: B010 # a setting that its types lack
        dispatcher: Any = numba.njit(nogil=True, error_model="numpy")(function)
        _forget_values(dispatcher)
        if folder is not None:
            # What cache=True does, with a cache of our own.
            dispatcher._cache = _Kept(function)  # type: ignore[no-untyped-call] # noqa: SLF001
        return cast("_F", dispatcher)

    return compiled


def compile_elsewhere(work: Callable[[], None]) -> None:
    """Have another process do ``work`` and keep the code that it compiles, while this one goes on.

    Whoever needs code first waits until it is done. It does nothing where some code of each
    module so far imported is kept already, or where none can be.
    """
    if _folders and not all(any(folder.rglob("*.nbi")) for folder in _folders):
        process = multiprocessing.get_context("spawn").Process(target=work, daemon=True)
        process.start()
        _elsewhere.append(process)


def _forget_values(dispatcher: Any) -> None:
    """Have one version for all whole numbers that callers write out.

    Numba makes one for each: of the sign-in reader's smallest function it made twelve.
    """
    template = dispatcher.get_call_template

    def one_for_all(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        plain = {name: unliteral(kind) for name, kind in kws.items()}  # type: ignore[no-untyped-call]
        return template(tuple(map(unliteral, args)), plain)

    dispatcher.get_call_template = one_for_all


class _Kept(FunctionCache):
    """Machine code that is loaded without the compiler.

    Numba's own cache makes the whole compiler ready before it looks: 230 modules and 0.5 s of
    every process, for code that needs no more than memory for arrays. Where the code is not
    kept yet, the compiler makes itself ready.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kept code for one signature, or None."""
        while _elsewhere:
            _elsewhere.pop().join()
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]


def _folder(sources: Iterable[Path]) -> Path | None:
    """Where machine code is kept; None if this process can keep none.

    What lies there is run, so it must be ours alone.
    """
    state = hashlib.blake2b(digest_size=8)
    for source in sorted({*sources, Path(__file__)}):
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
