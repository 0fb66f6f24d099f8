"""The ledgers in the folder of the state: they open, and their pages hang together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.ledger.checking import check_pages, version_of
from pipeline.ledger.hold import is_held
from pipeline.ledger.versions import LEDGER_VERSION
from pipeline.model.errors import OutriderError, RetriableError
from pipeline.runtime.checking.finding import Finding, State, of_error, skipped

if TYPE_CHECKING:
    from pathlib import Path

_WHERE: Final = "state"
# Of a run, of 'serve' on Kafka, and of 'deliver'.
_NAMES: Final = ("ledger.sqlite", "followed.sqlite", "notices.sqlite")
# A GB lies in memory and is looked at within this, or comes from a slow disk and is not.
SECONDS: Final = 10.0


def ledgers(folder: Path) -> list[Finding]:
    """Look at each ledger that is there; nothing is changed, and a run goes on meanwhile."""
    return [found for name in _NAMES for found in _looked(folder / name)]


def _looked(path: Path) -> list[Finding]:
    try:
        if path.exists():
            return [_well(path) if path.stat().st_size else _empty(path)]
    except RetriableError as error:
        return [skipped(_WHERE, "ledger", str(error))]
    except OutriderError as error:
        return [of_error(_WHERE, "ledger", error)]
    except OSError:
        pass  # the look at the folder tells of it
    return []


def _well(path: Path) -> Finding:
    whole, version = check_pages(path, SECONDS), version_of(path)
    told = f"{path}: can be read" + (", and a run works on it" if is_held(path) else "")
    if version > LEDGER_VERSION:
        told = f"{path}: ledger of version {version}, needed is {LEDGER_VERSION}"
        remedy = "run the version that wrote it, or name another --state"
        return Finding(_WHERE, "ledger", State.FAIL, told, remedy)
    if not whole:
        told += f"; it is large: not all pages were looked at within {SECONDS:.0f} s"
    if version < LEDGER_VERSION:
        told += f"; its next start makes one of version {LEDGER_VERSION} of it"
    return Finding(_WHERE, "ledger", State.OK, told)


def _empty(path: Path) -> Finding:
    told = f"{path}: is empty, and the next start takes it for a new one"
    remedy = "if there was a ledger here, put a backup of the folder in its place before the start"
    return Finding(_WHERE, "ledger", State.WARN, told, remedy)
