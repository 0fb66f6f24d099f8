"""One unit's records to event tables: parsed JSON in, tables with their counts out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import simdjson

from connectors.normalise.arrivals import Arrivals
from connectors.normalise.audit import AuditFields, Audits
from connectors.normalise.columns import Rows
from connectors.normalise.counting import count_rows
from connectors.normalise.directory import Directories, DirectoryFields
from connectors.normalise.places import Places
from connectors.normalise.problems import NoEvidenceError, UnusableError
from connectors.normalise.pseudonyms import shared
from connectors.normalise.shapes import CONTAINERS, fields_of, fields_of_row, unwrapped
from connectors.normalise.signin import BlockKeys, Signins
from connectors.normalise.signin_fields import SigninFields
from connectors.normalise.tally import Tally
from pipeline.model.event import EVENT_SCHEMA
from pipeline.model.reject import Reject, RejectReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from connectors.normalise.pseudonyms import Pseudonyms
    from connectors.normalise.scanned import ScannedSignins
    from connectors.normalise.settings import NormaliseSettings
    from connectors.normalise.signin import Reader
    from pipeline.model.vocabulary import Source

_Reading = Callable[[Any], SigninFields | AuditFields | DirectoryFields]
_UNLIKELY: Final = (KeyError, TypeError, AttributeError, UnusableError)
_BAD_TIME: Final = "the event time is no time between 2000 and 2100; write it as RFC 3339"


class Kind(Enum):
    """Kinds of record that have a fast reader."""

    FLAT = auto()
    ENVELOPE = auto()
    AUDIT = auto()
    OTHER = auto()


_SCANNED: Final = frozenset({Kind.FLAT, Kind.ENVELOPE})


@dataclass(frozen=True, slots=True)
class Portion:
    """What a number of records gave: received = events + ignored + rejects."""

    table: pa.Table
    rejects: tuple[Reject, ...]
    received: int
    ignored: int
    tally: Tally
    revealed: dict[int, str] = field(default_factory=dict)


class Intake:
    """Takes the records of one input in order and gives them back as tables.

    Args:
        settings: key, tenant, sites.
        path: the input, for rejects.
        hint: source of sign-ins that do not tell whether they were interactive.
        scan: whether lines of sign-ins go to compiled code, which takes seconds to make ready
            and then a third of the time; the events are the same.
    """

    def __init__(
        self,
        settings: NormaliseSettings,
        path: str,
        hint: Source | None = None,
        *,
        scan: bool = False,
    ) -> None:
        self._path = path
        self._hint = hint
        self._pseudonyms = shared(settings)
        self._signins = Signins(settings, self._pseudonyms)
        self._audits = Audits(settings, self._pseudonyms)
        self._directories = Directories(settings, self._pseudonyms)
        # Names behind hashes are not kept by the compiled reader.
        self._scanned = (
            _scanner(settings, self._pseudonyms) if scan and not settings.reveal else None
        )
        self._all: tuple[Rows | ScannedSignins, ...] = (
            self._signins.rows,
            self._audits.rows,
            self._directories.rows,
            *(() if self._scanned is None else (self._scanned,)),
        )
        self._readers: dict[Kind, Reader] = {}
        self._kind = Kind.OTHER
        self._container = CONTAINERS[0]
        self._next = 0  # ordinal of the next record, within the input
        self._given = 0  # records handed out already
        self._places = Places()
        self._arrivals = Arrivals()
        self._rejects: list[Reject] = []
        self._ignored = 0
        self.tally = Tally()

    @property
    def pending(self) -> int:
        """Records taken and not yet given back."""
        return self._next - self._given

    @property
    def crowded(self) -> bool:
        """Whether memory asks for a portion now."""
        return any(rows.crowded for rows in self._all)

    @property
    def scans(self) -> bool:
        """Whether the kind met last is one that :meth:`scan` reads."""
        return self._scanned is not None and self._kind in _SCANNED

    def mark(self, line: int | None, step: int = 1, offsets: Sequence[int] | None = None) -> None:
        """Say where the next records stand."""
        self._places.mark(self._next, line, step, offsets)

    def arrived(self, moment: int) -> None:
        """Say when the next records became available to us, us since 1970, 0 = as they tell.

        It is for records that are taken, not scanned.
        """
        self._arrivals.mark(self._next, moment)

    def scan(self, data: NDArray[np.uint8], begin: int, end: int) -> tuple[int, int]:
        """Take lines of sign-ins, of the kind met last, without parsing them.

        Args:
            data: bytes, at least 64 of them behind ``end``.
            begin: first byte of the first line.
            end: newline of the last line.

        Returns:
            The first byte of the first line not taken, which is for :meth:`take`, or what
            follows ``end``; and how many lines were taken.
        """
        if self._scanned is None:
            return begin, 0
        envelope = self._kind is Kind.ENVELOPE
        stop, lines = self._scanned.take(data, begin, end, envelope=envelope)
        self._next += lines
        return stop, lines

    def take(self, values: Iterable[Any], data: bytes | bytearray | None = None) -> None:
        """Take parsed records; ``data`` is the JSON they were parsed from, to look keys up."""
        # A block that follows audit records is as a rule audit too: no use for the keys of
        # sign-ins, and looking for nine of them costs as much as reading the block.
        known = None if self._kind is Kind.AUDIT else data
        flat, envelope = self._signins.readers(BlockKeys(known))
        self._readers = {Kind.FLAT: flat, Kind.ENVELOPE: envelope, Kind.AUDIT: self._audits.flat}
        self._take(values)

    def take_row(self, names: dict[str, str]) -> None:
        """Take a row of a table by its folded column names."""
        self._take_read(fields_of_row, names)

    def _take_read(self, read: _Reading, record: Any) -> bool:
        try:
            fields = read(record)
        except NoEvidenceError as reason:
            self._ignore(reason)
        except UnusableError as problem:
            self._refuse(problem.reason, problem.detail, self._next)
        else:
            self.take_fields(fields)
            return True
        self._next += 1
        return False

    def take_fields(self, fields: SigninFields | AuditFields | DirectoryFields) -> None:
        """Take one record whose fields are known already."""
        try:
            if isinstance(fields, SigninFields):
                if (
                    self._hint is not None
                    and fields.category is None
                    and fields.interactive is None
                ):
                    fields = fields._replace(category=self._hint.value)
                self._signins.add(fields, self._next)
            elif isinstance(fields, AuditFields):
                self._audits.add(fields, self._next)
            else:
                self._directories.add(fields, self._next)
        except NoEvidenceError as reason:
            self._ignore(reason)
        except UnusableError as problem:
            self._refuse(problem.reason, problem.detail, self._next)
        self._next += 1

    def reject(
        self,
        reason: RejectReason,
        detail: str,
        *,
        line: int | None = None,
        offset: int | None = None,
    ) -> None:
        """Set aside one record that could not even be parsed."""
        self._rejects.append(Reject(self._path, reason, detail, line, self._next, offset))
        self._next += 1

    def close(self) -> None:
        """Say that nothing more will be taken: what was learned serves the next input."""
        if self._scanned is not None:
            from connectors.normalise.scanned import give_back  # noqa: PLC0415 # see _scanner

            give_back(self._scanned)

    def portion(self) -> Portion:
        """Everything taken since the last call."""
        self._count_passed()
        tables = [self._table(rows) for rows in self._all if len(rows)]
        table = (
            pa.concat_tables(tables).unify_dictionaries() if tables else EVENT_SCHEMA.empty_table()
        )
        if table.num_rows:
            table = table.combine_chunks()
        portion = Portion(
            table=table,
            rejects=tuple(self._rejects),
            received=self._next - self._given,
            ignored=self._ignored,
            tally=self.tally,
            revealed=dict(self._pseudonyms.revealed),
        )
        self._rejects.clear()
        self._pseudonyms.revealed.clear()
        self._ignored = 0
        self._given = self._next
        self._places.forget()
        self._arrivals.forget()
        self.tally = Tally()
        return portion

    def _take(self, values: Iterable[Any]) -> None:
        fast = self._readers.get(self._kind)
        at = self._next
        for value in values:
            try:
                if fast is None:
                    raise KeyError  # the same way out as a record of another kind
                fast(value, at)
            except NoEvidenceError as reason:
                self._ignore(reason)
            except _UNLIKELY:
                self._next = at
                self._unusual(value)
                fast = self._readers.get(self._kind)
                at = self._next
                continue
            at += 1
        self._next = at

    def _unusual(self, value: Any) -> None:
        """Take a page or message of records, or a record that no fast reader took."""
        if isinstance(value, simdjson.Object):
            held = self._held(value)
            if held is not None:
                self._inside(held)
                return
            value = value.as_dict()
        elif isinstance(value, simdjson.Array):
            value = value.as_list()
        for record in unwrapped(value):
            if self._take_read(fields_of, record):
                self._learn(value)

    def _learn(self, value: Any) -> None:
        """Try the fast reader of this kind on the records that follow."""
        if "properties" in value:
            self._kind = Kind.ENVELOPE
        elif "CreationTime" in value:
            self._kind = Kind.AUDIT
        elif "isInteractive" in value:
            self._kind = Kind.FLAT

    def _held(self, value: simdjson.Object) -> simdjson.Array | None:
        for key in (self._container, *CONTAINERS):
            held = value.get(key)
            if isinstance(held, simdjson.Array):
                self._container = key
                return held
        return None

    def _inside(self, held: simdjson.Array) -> None:
        """Take the records of a page or message, all of which stand in one line."""
        with self._places.one_line(lambda: self._next):
            self._take(held)

    def _ignore(self, reason: NoEvidenceError) -> None:
        self._ignored += 1
        self.tally.ignored[reason.kind] += 1

    def _refuse(self, reason: RejectReason, detail: str, ordinal: int) -> None:
        line, offset = self._places.find(ordinal)
        self._rejects.append(Reject(self._path, reason, detail, line, ordinal, offset))

    def _table(self, rows: Rows | ScannedSignins) -> pa.Table:
        table, bad, profile, context = (
            rows.table(self._arrivals) if isinstance(rows, Rows) else rows.table()
        )
        for ordinal in bad:
            self._refuse(RejectReason.BAD_TIME, _BAD_TIME, ordinal)
        count_rows(self.tally, rows, profile, context)
        rows.clear()
        return table

    def _count_passed(self) -> None:
        """Records without a user that compiled code has passed over."""
        if self._scanned is not None:
            for kind, count in self._scanned.passed():
                self._ignored += count
                self.tally.ignored[kind] += count
            if not len(self._scanned):
                self._scanned.clear()


def _scanner(settings: NormaliseSettings, pseudonyms: Pseudonyms) -> ScannedSignins:
    # Importing the compiler costs 0.3 s, which a few records do not pay back.
    from connectors.normalise.scanned import borrow  # noqa: PLC0415 # as said above

    return borrow(settings, pseudonyms)
