"""Lines of sign-ins to rows of numbers: the loop that reads a million records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from connectors.scan.compiled import compiled
from connectors.scan.keys import KeyTree, key_tree, tree_view
from connectors.scan.lines import Line, index_line, line_memory, line_view
from connectors.scan.signin_paths import (
    ADDRESS,
    CATEGORY,
    CODE,
    COUNTRY,
    CREATED,
    ENVELOPE,
    EVENT_TYPES,
    FIELDS,
    FLAT,
    HOME,
    ID,
    INTERACTIVE,
    LATENCY,
    NETWORK,
    PLACE,
    PRINCIPAL,
    REACHED,
    TENANT,
    TIME,
    USER,
    USER_TYPE,
)
from connectors.scan.texts import Texts, number_of, texts, texts_view
from connectors.scan.values import NO_TIME, guid, integer, microseconds, plain
from connectors.scan.walk import (
    ABSENT,
    FALSE,
    NULL,
    NUMBER,
    OTHER,
    TEXT,
    TRUE,
    any_escaped,
    walk_line,
)
from connectors.scan.wide import pointer
from pipeline.model.tenants import MOST_CHARACTERS

if TYPE_CHECKING:
    from numpy.typing import NDArray


# What the context of a record is made of, in this order; see ``Scan.contexts``.
CONTEXT: Final = 8
NONE: Final = -1  # number of a text that the record does not have

NO_TEXT: Final = -2  # the field is something else, or the table is full
NO_NUMBER: Final = 1 << 40
ROW: Final = 7

_TRAITS: Final = 8
_LARGEST: Final = (1 << 31) - 1


class Scan(NamedTuple):
    """Everything that reading lines needs and fills; of fixed size, some 30 MB.

    Attributes:
        line: scratch memory of one line.
        texts: texts of all fields, under one numbering.
        profiles: eight int64 as one text each: text numbers of the fields 0 to 7.
        contexts: eight int64 as one text each: number of the source (or of the category's
            text), of tenant, home tenant, reached tenant, user type and country, then
            error code and AS number (0 if there is none).
        key: int64: where such a text is put together.
        rows: int64, shape (rows, 7): event time and received time in microseconds since
            1970 (or NO_TIME), profile, context, text number of the user, text number of
            the address where the network is to be told by it, else NONE, latency in ms or -1.
        ids: uint8, shape (rows, 16).
        filled: int64, shape (1,): number of rows.
        passed: int64, by the number of the text: records of machines that were passed over.
    """

    line: Line
    texts: Texts
    profiles: Texts
    contexts: Texts
    key: NDArray[np.int64]
    rows: NDArray[np.int64]
    ids: NDArray[np.uint8]
    filled: NDArray[np.int64]
    passed: NDArray[np.int64]


def new_scan(rows: int) -> Scan:
    """Room for so many rows and for the texts that they are likely to hold."""
    return Scan(
        line=line_memory(FIELDS),
        texts=texts(1 << 17, 1 << 23),
        profiles=texts(1 << 14, 8 * _TRAITS << 14),
        contexts=texts(1 << 14, 8 * CONTEXT << 14),
        key=np.zeros(max(_TRAITS, CONTEXT) + 1, np.int64),
        rows=np.zeros((rows, ROW), np.int64),
        ids=np.zeros((rows, 16), np.uint8),
        filled=np.zeros(1, np.int64),
        passed=np.zeros(64, np.int64),
    )


TREES: Final[tuple[KeyTree, KeyTree]] = (key_tree(FLAT), key_tree(ENVELOPE))


@compiled
def take_lines(
    data: Any,
    begin: int,
    end: int,
    tree: Any,
    categories: int,
    machines: int,
    sites: bool,
    scan: Any,
) -> tuple[int, int]:
    """Read lines into rows, up to one that is unusual or finds no room.

    Args:
        data: uint8, C-contiguous, at least 64 bytes behind ``end``.
        begin: first byte of the first line.
        end: newline of the last line.
        tree: of ``FLAT``, or of ``ENVELOPE``.
        categories: texts below this number are categories of users' sign-ins; 0 for flat
            records, which say of themselves whether they were interactive.
        machines: texts from ``categories`` up to this number are the ``signInEventTypes`` of
            sign-ins without a user; there are no more than 64 below it.
        sites: whether the address tells the network even where an AS number does.
        scan: what is filled.

    Returns:
        Where it stopped: behind the last line, or at the first byte of a line that it did
        not take; and how many it took.
    """
    letters, keys, line = pointer(data), tree_view(tree), line_view(scan.line)
    words = texts_view(scan.texts)
    out = (
        words,
        texts_view(scan.profiles),
        texts_view(scan.contexts),
        pointer(scan.key),
        pointer(scan.key.view(np.uint8)),
        pointer(scan.rows),
        pointer(scan.ids),
    )
    row, most, lines, at = scan.filled[0], len(scan.rows), 0, begin
    while at <= end and row < most:
        stop, sound, escapes = index_line(letters, at, line)
        if not sound or not walk_line(letters, at, stop, keys, FIELDS, line):
            break
        if escapes and any_escaped(line, FIELDS, at):
            break
        machine = _machine(letters, line, machines, words)
        if machine >= 0:
            scan.passed[machine] += 1
        elif _take(letters, line, categories, sites, row, out):
            row += 1
        else:
            break
        lines += 1
        at = stop + 1
    scan.filled[0] = row
    return at, lines


@compiled
def _take(data: Any, line: Any, categories: int, sites: bool, row: int, out: Any) -> bool:
    """Write one record's row, if nothing about it is unusual and the tables have room."""
    words, _, _, _, _, rows, ids = out
    starts, stops, kinds = line.starts, line.stops, line.kinds
    if kinds[ID] != TEXT or not guid(data, starts[ID], stops[ID], ids, 16 * row):
        return False
    if kinds[USER] != TEXT or starts[USER] == stops[USER] or not _absent_or_empty(line, PRINCIPAL):
        return False
    created = _time(data, line, CREATED)
    received = NO_TIME if _missing(line, TIME) else _time(data, line, TIME)
    if created == NO_TIME or (received == NO_TIME and not _missing(line, TIME)):
        return False
    system = 0 if _missing(line, NETWORK) else _number(data, line, NETWORK, NO_NUMBER)
    if system == NO_NUMBER:
        return False
    profile = _profile(data, line, out)
    context = _context(data, line, categories, max(system, 0), out)
    address = NONE
    if sites or system <= 0:
        address = _text(data, line, ADDRESS, words)
        if address == NONE:
            return False
    user = _text(data, line, USER, words)
    if profile < 0 or context < 0 or user < 0 or address < NONE:
        return False
    base = ROW * row
    rows[base], rows[base + 1] = created, received
    rows[base + 2], rows[base + 3] = profile, context
    rows[base + 4], rows[base + 5] = user, address
    rows[base + 6] = max(_number(data, line, LATENCY, -1), -1)
    return True


@compiled
def _machine(data: Any, line: Any, machines: int, words: Any) -> int:
    """Number of the event type of a sign-in without a user, negative of any other record."""
    if line.kinds[EVENT_TYPES] != OTHER or not _absent_or_empty(line, USER):
        return NONE
    number = number_of(words, data, line.starts[EVENT_TYPES], line.stops[EVENT_TYPES])
    return number if number < machines else NONE


@compiled
def _profile(data: Any, line: Any, out: Any) -> int:
    """Number of the eight texts that tell client and service, negative if there is none."""
    words, profiles, _, key, key_bytes, _, _ = out
    for trait in range(_TRAITS):
        key[trait] = _text(data, line, trait, words)
        if key[trait] < NONE:
            return NO_TEXT
    return number_of(profiles, key_bytes, 0, 8 * _TRAITS)


@compiled
def _context(data: Any, line: Any, categories: int, system: int, out: Any) -> int:
    """Number of what :class:`Scan` calls the context, negative if there is none."""
    words, _, contexts, key, key_bytes, _, _ = out
    kinds = line.kinds
    for field in (TENANT, HOME, REACHED):
        if kinds[field] == TEXT and not plain(
            data, line.starts[field], line.stops[field], MOST_CHARACTERS
        ):
            return NO_TEXT
    if categories > 0:
        key[0], key[1] = _text(data, line, CATEGORY, words), _text(data, line, TENANT, words)
        if key[0] < 0 or key[0] >= categories or key[1] < 0:
            return NO_TEXT
    elif kinds[INTERACTIVE] == TRUE or kinds[INTERACTIVE] == FALSE:
        key[0], key[1] = kinds[INTERACTIVE] == TRUE, NONE
    else:
        return NO_TEXT
    key[2], key[3] = _text(data, line, HOME, words), _text(data, line, REACHED, words)
    key[4] = _text(data, line, USER_TYPE, words)
    key[5] = _text(data, line, PLACE if _absent_or_empty(line, COUNTRY) else COUNTRY, words)
    for place in range(2, 6):
        if key[place] < NONE:
            return NO_TEXT
    key[6], key[7] = _number(data, line, CODE, NO_NUMBER), system
    if key[6] == NO_NUMBER:
        return NO_TEXT
    return number_of(contexts, key_bytes, 0, 8 * CONTEXT)


@compiled
def _text(data: Any, line: Any, field: int, words: Any) -> int:
    """Number of a field's text; NONE if it is missing, NO_TEXT if it is none or has no room."""
    if line.kinds[field] == TEXT:
        number = number_of(words, data, line.starts[field], line.stops[field])
        return number if number >= 0 else NO_TEXT
    return NONE if _missing(line, field) else NO_TEXT


@compiled
def _number(data: Any, line: Any, field: int, otherwise: int) -> int:
    """A field's whole number, if it has one that 32 bits hold."""
    if line.kinds[field] != NUMBER:
        return otherwise
    value = integer(data, line.starts[field], line.stops[field])
    return value if -_LARGEST <= value <= _LARGEST else otherwise


@compiled
def _time(data: Any, line: Any, field: int) -> int:
    if line.kinds[field] != TEXT:
        return NO_TIME
    return microseconds(data, line.starts[field], line.stops[field])


@compiled
def _missing(line: Any, field: int) -> bool:
    kind = line.kinds[field]
    return kind == ABSENT or kind == NULL


@compiled
def _absent_or_empty(line: Any, field: int) -> bool:
    empty = line.kinds[field] == TEXT and line.starts[field] == line.stops[field]
    return empty or _missing(line, field)
