"""The one way in which functions are compiled to machine code."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import numba
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps
from numba.core.types import unliteral

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.context import SpawnProcess

_DIGEST_BYTES: Final = 16
_folders: Final[list[Path]] = []
_elsewhere: Final[list[SpawnProcess]] = []

_F = TypeVar("_F", bound="Callable[..., Any]")


def compiler(sources: Iterable[Path]) -> Callable[[_F], _F]:
    """A decorator that compiles at the first call and keeps the code for later processes.

    A function is kept with the code of those it calls: so each state of ``sources``, the files
    that are compiled together, of this one and of the compiler has a folder.

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
            dispatcher._cache = _Kept(function)  # noqa: SLF001 # it has no setter
        return cast("_F", dispatcher)

    return compiled


def compile_elsewhere(work: Callable[[], None]) -> None:
    """Have another process do ``work`` and keep the code that it compiles, while this one goes on.

    Whoever needs code first waits until it is done. It does nothing where some code of each
    module so far imported is kept already, or where none can be.
    """
    if _folders and not all(any(folder.rglob("*.nbc")) for folder in _folders):
        process = multiprocessing.get_context("spawn").Process(target=work, daemon=True)
        process.start()
        _elsewhere.append(process)


def _forget_values(dispatcher: Any) -> None:
    """Have one version for all whole numbers that callers write out.

    Numba makes one for each: of the sign-in reader's smallest function it made twelve.
    """
    template = dispatcher.get_call_template

    def one_for_all(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        plain = {name: unliteral(kind) for name, kind in kws.items()}
        return template(tuple(map(unliteral, args)), plain)

    dispatcher.get_call_template = one_for_all


class _Kept(FunctionCache):
    """Machine code that is loaded without the compiler.

    Numba's own cache makes the whole compiler ready before it looks: 230 modules and 0.5 s of
    every process, for code that needs no more than memory for arrays. Where the code is not
    kept yet, the compiler makes itself ready.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call] # of numba
        versions = _Versions(Path(self._cache_path), self._impl.filename_base)
        self._cache_file = versions  # type: ignore[assignment] # what of numba's own is asked for

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kept code for one signature, or None."""
        while _elsewhere:
            _elsewhere.pop().join()
        rtsys.initialize(target_context)
        return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call] # of numba

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code for one signature; where there is no space, the next process makes it."""
        with suppress(OSError):
            self._save_overload(sig, data)  # type: ignore[no-untyped-call] # of numba


class _Versions:
    """What is kept of one function: a file for each signature and processor, named by them.

    Numba numbers its files and keeps an index. Two processes that compile at once then give one
    number to both of theirs, and a later one runs code that was made for other types.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name

    def load(self, key: Any) -> Any:
        """What was saved for ``key``; None if nothing was, or it has come to harm since."""
        try:
            kept = self._path(key).read_bytes()
        except OSError:
            return None
        digest, packed = kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]
        return pickle.loads(packed) if digest == _digest(packed) else None  # noqa: S301 # written by us, in a folder that is ours alone

    def save(self, key: Any, data: Any) -> None:
        """Keep ``data`` for ``key``: whole or not at all, whoever does so at the same time.

        Raises:
            OSError: there is no space.
        """
        packed = dumps(data)
        path = self._path(key)
        part = path.with_suffix(f".{os.getpid()}")
        try:
            part.write_bytes(_digest(packed) + packed)
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def _path(self, key: Any) -> Path:
        return self._folder / f"{self._name}.{_digest(repr(key).encode()).hex()}.nbc"


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _folder(sources: Iterable[Path]) -> Path | None:
    """Where machine code is kept; None if this process can keep none.

    What lies there is run, so it must be ours alone.
    """
    state = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
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
