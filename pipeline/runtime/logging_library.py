"""structlog, imported without rich.

It draws tracebacks with rich wherever that is installed, as it is beside typer; ours are plain
lines. Rich and what it needs are 75 modules, 0.1 s of every process.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING or "rich" in sys.modules:
    import structlog
else:
    # An entry of None makes an import fail as if nothing were installed.
    sys.modules["rich"] = None
    try:
        import structlog
    finally:
        del sys.modules["rich"]

__all__ = ["structlog"]
