"""How a process that judges day after day holds the memory that it frees.

Judging a busy day fills and frees the same few hundred MB each time. Given back to the kernel in
between, it is cleared anew page by page: a sixth of a worker's processor time (``perf record``).
So Arrow takes its buffers from the C library too, not from a pool of its own beside it, and
glibc keeps what was freed, up to a bound, in one heap for all threads: what the connection's thread
reads and the judging thread frees would make a heap of 64 MB come and go with each portion (3 % of
a worker's time, and 45 MB).
"""

from __future__ import annotations

import ctypes
import gc
from typing import Any, Final

import pyarrow as pa

# Of mallopt(3), in malloc.h of glibc.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
# The most that glibc takes; what is larger comes from the kernel and goes back to it.
_LARGEST_KEPT: Final = 32 * 2**20
# Arrays of a day of a million records.
_MOST_KEPT: Final = 256 * 2**20


def keep_freed() -> None:
    """Use one allocator for all, and let it keep freed memory; elsewhere than on glibc, do nothing.

    Affects what is allocated from now on.
    """
    mallopt = _of_c("mallopt")
    if mallopt is None:
        return
    pa.set_memory_pool(pa.system_memory_pool())
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_TRIM_THRESHOLD, _MOST_KEPT)
    mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Hand to the kernel what is free: for when others go on with a part of the work.

    Elsewhere than on glibc it is for the C library to do.
    """
    gc.collect()
    malloc_trim = _of_c("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_c(name: str) -> Any:
    """A function of glibc, None in another C library: musl, macOS, Windows."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, TypeError, AttributeError):
        return None
