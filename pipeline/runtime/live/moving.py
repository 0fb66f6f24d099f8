"""A tenant's whole state as one file, to take it to another machine.

The file is a ZIP archive: ``manifest.json`` says whose state it is and of when, ``ground``,
``issued`` and ``parts/NAME`` are the bytes that a ledger and the state topic hold. It holds no
names, only hashes under the privacy key of the run; whoever goes on with it needs the same key,
else all people look new.
"""

from __future__ import annotations

import json
import os
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 # named in an annotation of a public class
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.clock import parse_rfc3339, rfc3339
from pipeline.model.errors import ConfigError, FatalError, StateError
from pipeline.runtime.live.engine import freeze_issued, restored
from pipeline.runtime.live.freezing import freeze, parts_of
from pipeline.runtime.live.held import revived

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.ledger.store import Ledger, Stored
    from pipeline.model.clock import Clock
    from pipeline.runtime.judging import Settings
    from pipeline.runtime.live.held import Held
    from pipeline.runtime.live.parts import IssuedPart

VERSION: Final = "outrider.state-export/1"
_PART: Final = "parts/"


@dataclass(frozen=True, slots=True)
class Export:
    """A tenant's state on its way.

    Attributes:
        tenant: whose.
        exported_at: when it was written.
        clock: newest moment that any of its records speaks of; None before the first one.
        ground, issued: the two parts.
        parts: large parts of the ground, by name.
    """

    tenant: str
    exported_at: datetime
    clock: datetime | None
    ground: bytes
    issued: bytes
    parts: dict[str, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return len(self.ground) + len(self.issued) + sum(map(len, self.parts.values()))


def exported(settings: Settings, held: Held, clock: Clock) -> Export:
    """A tenant's state with the messages since taken in.

    Raises:
        StateError: the state is damaged or of another version.
    """
    tenant = revived(settings, held)
    frozen = freeze(tenant.ground)
    issued = freeze_issued(tenant.issued)
    return Export(held.tenant, clock.now(), tenant.clock, frozen.body, issued, frozen.parts)


def write_export(path: Path, export: Export, *, force: bool = False) -> None:
    """Write a state to a file that only its owner can read; whole or not at all.

    Raises:
        ConfigError: the file exists, and ``force`` is not given.
        FatalError: it cannot be written.
    """
    if path.exists() and not force:
        raise ConfigError(f"{path} exists; name another file, or give --force to write over it")
    manifest = {
        "schema": VERSION,
        "tenant": export.tenant,
        "exported_at": rfc3339(export.exported_at),
        "clock": None if export.clock is None else rfc3339(export.clock),
    }
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:  # all of it is compressed already
                archive.writestr("manifest.json", json.dumps(manifest, indent=2))
                archive.writestr("ground", export.ground)
                archive.writestr("issued", export.issued)
                for name, part in export.parts.items():
                    archive.writestr(_PART + name, part)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise FatalError(f"{path}: cannot be written ({error.strerror}); choose another") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def read_export(path: Path) -> Export:
    """Read what :func:`write_export` wrote.

    Raises:
        ConfigError: there is no such file.
        StateError: it is damaged, of another version or no state.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest: dict[str, Any] = json.loads(archive.read("manifest.json"))
            if manifest["schema"] != VERSION:
                raise StateError(f"{path} is {manifest['schema']}, needed is {VERSION}")
            names = [n for n in archive.namelist() if n.startswith(_PART)]
            clock = manifest["clock"]
            return Export(
                str(manifest["tenant"]),
                parse_rfc3339(manifest["exported_at"]),
                None if clock is None else parse_rfc3339(clock),
                archive.read("ground"),
                archive.read("issued"),
                {n.removeprefix(_PART): archive.read(n) for n in names},
            )
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError) as error:
        raise StateError(
            f"{path}: is no state that 'outrider state export' wrote, or damaged "
            f"({type(error).__name__}); export it again"
        ) from error


def import_state(
    ledger: Ledger, export: Export, settings: Settings, *, force: bool = False
) -> None:
    """Put a state into a ledger on which no run works, instead of what it holds of the tenant.

    Args:
        ledger: to go on with.
        export: the state.
        settings: of the stages, to see that the state can be read.
        force: write over a state of that tenant.

    Raises:
        ConfigError: the ledger has a state of that tenant, and ``force`` is not given.
        FatalError: a run works on the ledger.
        StateError: the state cannot be read, or the ledger has told more than it knows of.
    """
    tenant = restored(settings, export.ground, export.parts, export.issued)
    ledger.hold()
    with ledger.transaction():
        if export.tenant in ledger.tenants() and not force:
            raise ConfigError(
                f"{ledger.path}: has a state of tenant {export.tenant}; --force writes over it"
            )
        more = _told_since(ledger.documents(tenant=export.tenant), tenant.issued)
        if more:
            raise StateError(
                f"{ledger.path}: has told {more} revisions of tenant {export.tenant} that the "
                "file does not know of, and would tell them again; choose another folder"
            )
        needed = parts_of(export.ground)
        parts = {n: p for n, p in export.parts.items() if n in needed}
        ledger.put_state(export.tenant, ledger.newest(), export.ground, parts, needed)
        ledger.put_issued(export.tenant, export.issued)


def _told_since(documents: list[Stored], issued: IssuedPart) -> int:
    """How many documents were told after a state was written down."""
    known = {f.flag_id: f.revision for f in issued.flags.last.values()}
    known |= {p.incident_id: p.revision for p in issued.matched.history}
    known |= {i: t.published.revision for i, t in issued.matched.tracked.items()}
    count = 0
    for told in documents:
        if told.id in known:
            count += told.revision > known[told.id]
            continue
        # What was over long ago is forgotten; what came since is not known at all.
        moment = told.document["raised_at" if told.kind == "flag" else "published_at"]
        count += issued.judged_to is None or parse_rfc3339(moment) > issued.judged_to
    return count
