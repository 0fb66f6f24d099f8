"""How the functions of this package are compiled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numba.extending

from pipeline.compiled import compiler

if TYPE_CHECKING:
    from collections.abc import Callable

# Callers see to it that 64 bytes are readable behind everything that they hand in.
compiled: Final = compiler(Path(__file__).parent.glob("*.py"))


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is written in the compiler's own terms; its callers omit the context."""
    return numba.extending.intrinsic(function)
