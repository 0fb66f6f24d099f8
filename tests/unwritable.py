"""A folder that this process cannot write, also where the tests run as root."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of nobody. Permissions do not bind root, and bind whoever root becomes.
_NOBODY = 65534


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder that everybody may enter: those of pytest are for their user alone."""
    above = Path(tempfile.gettempdir())
    above.chmod(above.stat().st_mode | 0o011)
    path = Path(tempfile.mkdtemp(prefix="outrider-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        path.chmod(0o755)
        shutil.rmtree(path)


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Within the block, nothing can be made or changed in the folder."""
    held = os.geteuid()
    folder.chmod(0o555)
    try:
        if held == 0:
            os.seteuid(_NOBODY)
        yield
    finally:
        os.seteuid(held)
        folder.chmod(0o755)
