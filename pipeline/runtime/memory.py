"""How a process that judges day after day holds the memory that it frees.

Judging a busy day fills and frees the same few hundred MB each time. Given back to the kernel in
between, it is cleared anew page by page: a sixth of a worker's processor time (``perf record``).
So Arrow takes its buffers from the C library too, not from a pool of its own beside it, and
glibc keeps what was freed, up to a bound.
"""

from __future__ import annotations

import ctypes
from typing import Final

import pyarrow as pa

# Of mallopt(3), in malloc.h of glibc.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
# The most that glibc takes; what is larger comes from the kernel and goes back to it.
_LARGEST_KEPT: Final = 32 * 2**20
# Arrays of a day of a million records.
_MOST_KEPT: Final = 256 * 2**20


def keep_freed() -> None:
    """Use one allocator for all, and let it keep freed memory; elsewhere than on glibc, do nothing.

    Affects what is allocated from now on.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # another C library: musl, macOS, Windows
        return
    pa.set_memory_pool(pa.system_memory_pool())
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_TRIM_THRESHOLD, _MOST_KEPT)
