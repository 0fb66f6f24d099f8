"""Compiled code reads lines of sign-ins exactly as the parser does, or leaves them to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.normalise.identifiers import fold_id
from connectors.normalise.settings import NormaliseSettings
from connectors.normalise.tally import Tally
from connectors.normalise.times import parse_time
from connectors.scan.compiled import compiled
from connectors.scan.keys import key_tree, tree_view
from connectors.scan.lines import index_line, line_memory, line_view
from connectors.scan.texts import FULL, intern, text_of, texts
from connectors.scan.values import NO_TIME, guid, microseconds
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
from connectors.sources.files import plan, read_unit
from tests.unit.connectors.vendor_records import SETTINGS, envelope, sign_in

if TYPE_CHECKING:
    from pathlib import Path

PATHS = {"id": 0, "status.errorCode": 1, "status.note": 2, "place.inner.code": 3, "on": 4}
MEMORY = line_memory(len(PATHS))
TREE = key_tree(PATHS)


@compiled
def scan_line(data: Any, tree: Any, fields: int, memory: Any) -> tuple[bool, bool]:
    letters, line = pointer(data), line_view(memory)
    stop, sound, escapes = index_line(letters, 0, line)
    sound = sound and walk_line(letters, 0, stop, tree_view(tree), fields, line)
    return sound, sound and escapes and any_escaped(line, fields, 0)


def scan(line: bytes) -> tuple[bool, bool, dict[str, tuple[int, bytes]]]:
    """Whether the line is taken, whether a wanted text is escaped, and the wanted values."""
    data = np.frombuffer(line + b"\n" + bytes(range(64)), np.uint8)
    taken, escaped = scan_line(data, TREE, len(PATHS), MEMORY)
    values = {
        path: (int(MEMORY.kinds[n]), line[MEMORY.starts[n] : MEMORY.stops[n]])
        for path, n in PATHS.items()
        if MEMORY.kinds[n] != ABSENT
    }
    return bool(taken), bool(escaped), values


def wanted(value: Any) -> tuple[int, bytes | None]:
    if isinstance(value, bool):
        return (TRUE, b"true") if value else (FALSE, b"false")
    if isinstance(value, str):
        return TEXT, json.dumps(value, ensure_ascii=False)[1:-1].encode()
    if isinstance(value, int) and abs(value) < 10**17:
        return NUMBER, str(value).encode()
    return (NULL, b"null") if value is None else (OTHER, None)


def look(record: dict[str, Any], path: str) -> Any:
    value: Any = record
    for key in path.split("."):
        value = value[key] if isinstance(value, dict) and key in value else ...
    return value


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=80)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "status", "note", "x", 'q"', "\\"]), inner)
    ),
    max_leaves=12,
)
records = st.dictionaries(
    st.sampled_from(["id", "status", "place", "on", "other", "ix", "od", 'i"d', "longer key"]),
    values
    | st.fixed_dictionaries({}, optional={"errorCode": values, "note": values, "z": values})
    | st.fixed_dictionaries({"inner": st.fixed_dictionaries({"code": scalars, "a": values})}),
)


@given(record=records, blanks=st.integers(0, 130), spaced=st.booleans(), plain=st.booleans())
def test_the_wanted_values_of_any_object_are_found(
    record: dict[str, Any],
    blanks: int,
    spaced: bool,  # noqa: FBT001 # a parameter
    plain: bool,  # noqa: FBT001 # a parameter
) -> None:
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps(record, separators=separators, ensure_ascii=plain).encode()
    taken, escaped, found = scan(b" " * blanks + text)
    assert taken
    for path in PATHS:
        value = look(record, path)
        if value is ...:
            assert path not in found
            continue
        kind, raw = wanted(value)
        assert found[path][0] == kind
        if kind == TEXT:
            assert json.loads(b'"' + found[path][1] + b'"') == value
            assert escaped or found[path][1] == value.encode()
        elif raw is not None:
            assert found[path][1] == raw


@given(record=records, cut=st.integers(0, 400), flip=st.integers(0, 255), keep=st.booleans())
def test_a_line_cut_short_is_never_taken_and_a_damaged_one_harms_nothing(
    record: dict[str, Any],
    cut: int,
    flip: int,
    keep: bool,  # noqa: FBT001 # a parameter
) -> None:
    text = json.dumps(record).encode()
    place = cut % len(text)
    if keep:
        scan(text[:place] + bytes([flip]) + text[place + 1 :])
    else:
        assert not scan(text[:place])[0]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"null",
        b'{"id":1,}',
        b'{"id":1 "on":2}',
        b'{"id" 1}',
        b'{"id":}',
        b'{"id":1}}',
        b'{"id":1}{"id":2}',
        b'{"id":[1,2}',
        b'{"id":"a',
        b'{"id":"a\\"}',
        b'{"id":1,"id":2}',
        b'{"id":"\xff"}',
        b'{"id":"\xc3"}',
        b'{"id":"\xed\xa0\x80"}',
        b'{"id":"\xf4\x90\x80\x80"}',
        b'{"id":"a\tb"}',
        b'{"id":"\x00"}',
        b'\xef\xbb\xbf{"id":1}',
        b'{"id":' + b"x" * (1 << 18) + b"}",
    ],
)
def test_a_line_that_is_not_one_plain_object_is_left_to_the_parser(line: bytes) -> None:
    assert not scan(line)[0]
    assert not scan(b" " * 61 + line)[0]


@pytest.mark.parametrize("back", range(12))
def test_backslashes_count_wherever_a_block_of_64_ends(back: int) -> None:
    for pad in range(50, 70):
        text = "a" * pad + "\\" * back + '"' * (back % 3) + "ü€😀"
        taken, escaped, found = scan(json.dumps({"id": text, "on": True}).encode())
        assert taken
        assert found["on"] == (TRUE, b"true")
        assert escaped == (json.dumps(text)[1:-1] != text)
        raw = json.dumps({"id": text}, ensure_ascii=False).encode()
        assert json.loads(b'"' + scan(raw)[2]["id"][1] + b'"') == text


@compiled
def microseconds_of(data: Any, length: int) -> int:
    return microseconds(pointer(data), 0, length)


@compiled
def guid_of(data: Any, length: int, out: Any) -> bool:
    return guid(pointer(data), 0, length, pointer(out), 0)


def letters(text: str) -> tuple[Any, int]:
    raw = text.encode()
    return np.frombuffer(raw + bytes(64), np.uint8), len(raw)


@given(
    moment=st.datetimes(),
    fraction=st.from_regex(r"(\.[0-9]{1,12})?", fullmatch=True),
    damage=st.sampled_from(["", "", "z", "+00:00", " ", "-", "x"]),
)
def test_times_agree_with_the_general_reader(moment: Any, fraction: str, damage: str) -> None:
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + fraction + (damage or "Z")
    value = microseconds_of(*letters(text))
    if damage:
        assert value == NO_TIME
    else:
        assert (None if value == NO_TIME else value) == parse_time(text)


@pytest.mark.parametrize(
    "text", ["2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "Z" * 20]
)
def test_no_time_is_no_time(text: str) -> None:
    assert microseconds_of(*letters(text)) == NO_TIME


@given(st.uuids(), st.booleans(), st.integers(0, 60))
def test_ids_agree_with_the_general_reader(value: Any, upper: bool, place: int) -> None:  # noqa: FBT001 # a parameter
    text = str(value).upper() if upper else str(value)
    out = np.zeros(16, np.uint8)
    assert guid_of(*letters(text), out)
    assert out.tobytes() == fold_id(text)
    if place < len(text):
        assert not guid_of(*letters(text[:place] + "g" + text[place + 1 :]), out)
        assert not guid_of(*letters(text[:place]), out)


def test_texts_keep_their_numbers_until_there_is_no_room() -> None:
    table = texts(100, 4000)
    words = [b"", *(f"text {n}".encode() * (n % 5 + 1) for n in range(99))]
    assert [intern(table, w) for w in words] == list(range(100))
    assert [intern(table, w) for w in words] == list(range(100))
    assert [text_of(table, n) for n in range(100)] == words
    assert intern(table, b"one more") == FULL
    assert intern(texts(100, 40), b"x" * 60) == FULL


# Some cannot be used; the last three, and that with a blank before it, can.
ODD_TENANTS = [
    "a\0b",
    "a\x7fb",
    "a\x85b",
    " ",
    "  a",
    "x" * 257,
    "ß" * 129,
    "Contoso",
    "x" * 256,
    "Größe",
]


def odd_records() -> list[dict[str, Any]]:
    """Records each of which is unusual in one way, in either shape."""
    odd: list[dict[str, Any]] = [
        {"id": "not a guid"},
        {"id": None},
        {"createdDateTime": "2026-03-19T08:00:00+02:00"},
        {"createdDateTime": "3/19/2026 8:00:00 AM"},
        {"createdDateTime": "0001-01-01T00:00:00Z"},
        {"createdDateTime": None},
        {"userId": ""},
        {"userId": None},
        {"userId": "Ünïcode-User"},
        {"userId": 'quoted "user"'},
        {"status": {"errorCode": 2**40, "failureReason": "x"}},
        {"status": {"errorCode": "50126"}},
        {"status": {"errorCode": -7}},
        {"status": None},
        {"status": []},
        {"isInteractive": None},
        {"isInteractive": "true"},
        {"autonomousSystemNumber": 0},
        {"autonomousSystemNumber": -1},
        {"autonomousSystemNumber": "3320"},
        {"autonomousSystemNumber": None, "ipAddress": "2001:db8::7"},
        {"autonomousSystemNumber": None, "ipAddress": None},
        {"autonomousSystemNumber": 1.5},
        {"location": None},
        {"location": {"countryOrRegion": ""}},
        {"location": {"countryOrRegion": "Österreich"}},
        {"deviceDetail": None},
        {"deviceDetail": {"operatingSystem": "", "browser": None}},
        {"userAgent": "a \\ b"},
        {"userAgent": None},
        {"appId": "11111111-aaaa-4bbb-8ccc-222222222222", "appDisplayName": "Our own app"},
        {"appId": "", "resourceId": None, "resourceDisplayName": "Office 365 Exchange Online"},
        {"processingTimeInMilliseconds": 2**33},
        {"processingTimeInMilliseconds": "12"},
        {"processingTimeInMilliseconds": -5},
        {"servicePrincipalId": "33333333-aaaa-4bbb-8ccc-222222222222"},
        {"homeTenantId": None, "resourceTenantId": None, "userType": None},
        {"userType": "guest", "resourceTenantId": "99999999-2222-4333-8444-555555555555"},
        *({"homeTenantId": t, "resourceTenantId": t} for t in ODD_TENANTS),
        {"signInEventTypes": ["servicePrincipal"], "userId": "", "userPrincipalName": ""},
        {"signInEventTypes": ["managedIdentity"], "userId": None, "userPrincipalName": None},
        {"signInEventTypes": ["servicePrincipal"]},
        {"signInEventTypes": ["somethingNew"], "userId": "", "userPrincipalName": ""},
        {"unread": '\u2028 😀 {["}]\\'},
    ]
    return odd


def both(path: Path, settings: NormaliseSettings) -> list[Any]:
    """What a file gives without compiled code and with it, in comparable form."""
    given = []
    for compiled_code in (False, True):
        tally, rejects, rows, counts = Tally(), [], [], [0, 0]
        for unit in plan([str(path)]).units:
            for part in read_unit(unit, settings, batch_rows=400, scan=compiled_code):
                rows += part.batch.to_pylist()
                rejects += part.rejects
                tally.merge(part.tally)
                counts[0] += part.received
                counts[1] += part.ignored
        given.append((sorted(rows, key=repr), sorted(rejects, key=repr), tally, counts))
    return given


@pytest.mark.parametrize("shape", ["flat", "envelope"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("sites", [False, True])
def test_a_file_gives_the_same_events_with_compiled_code(
    tmp_path: Path,
    shape: str,
    ending: str,
    sites: bool,  # noqa: FBT001 # a parameter
) -> None:
    lines = []
    odd = odd_records()
    for number in range(2400):  # the first 256 KiB always go to the parser
        record = inner = sign_in(number)
        if shape == "envelope":
            record = envelope(record)
            inner = record["properties"]
            if number % 29 == 0:
                record |= {"time": "2026-03-19T09:00:00Z"}
            if number % 31 == 0:
                record |= {"category": "ServicePrincipalSignInLogs"}
            if number % 37 == 0:
                record |= {"tenantId": ODD_TENANTS[number // 37 % len(ODD_TENANTS)]}
        if number % 13 == 0:
            inner |= odd[number // 13 % len(odd)]
        lines.append(json.dumps(record, ensure_ascii=number % 2 == 0))
        if number % 200 == 7:
            lines += ["", "{broken", '{"id": 1', "[]", '"text"', lines[-1][:-1]]
    path = tmp_path / "signins.jsonl"
    path.write_text(ending.join(lines) + ending, "utf-8")
    settings = SETTINGS
    if sites:
        names = {"203.0.113.0/24": "Bonn", "2001:db8::/32": "Köln"}
        settings = NormaliseSettings(b"another key", tenant="t", site_names=names)
    plainly, compiledly = both(path, settings)
    assert plainly == compiledly
    assert len(plainly[0]) > 2000
    assert plainly[1]


def test_compiled_code_took_the_lines_of_that_test(tmp_path: Path) -> None:
    """Else equality would say nothing."""
    from connectors.normalise.intake import Intake

    taken = []

    class Watched(Intake):
        def scan(self, data: Any, begin: int, end: int) -> tuple[int, int]:
            stop, lines = super().scan(data, begin, end)
            taken.append(lines)
            return stop, lines

    path = tmp_path / "signins.jsonl"
    path.write_text("".join(json.dumps(sign_in(n)) + "\n" for n in range(2000)), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("connectors.sources.files.Intake", Watched)
        (unit,) = plan([str(path)]).units
        rows = sum(p.batch.num_rows for p in read_unit(unit, SETTINGS, scan=True))
    assert rows == 2000
    assert sum(taken) > 1000


def test_a_full_table_of_texts_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.normalise.scanned._ROWS", 256)
    monkeypatch.setattr("connectors.normalise.scanned._spare", [])  # no other test gets this one
    path = tmp_path / "signins.jsonl"
    lines = (
        json.dumps(sign_in(n) | {"userId": f"user {n}", "userAgent": f"agent {n}"})
        for n in range(3000)
    )
    path.write_text("\n".join(lines), "utf-8")
    plainly, compiledly = both(path, SETTINGS)
    assert plainly == compiledly
