"""Damaged and hostile files: one clear reject each, the rest still read, memory bounded."""

from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest
import zstandard

from connectors.sources import json_documents, json_lines, unpacking
from pipeline.model.reject import RejectReason
from tests.unit.connectors import vendor_records as v

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = [json.dumps(v.sign_in(n)).encode() for n in range(6)]
BROKEN: dict[str, tuple[bytes, RejectReason]] = {
    "half a record": (GOOD[0][:200], RejectReason.NOT_JSON),
    "no json": (f"user {v.USER} from {v.ADDRESS}".encode(), RejectReason.NOT_JSON),
    "latin-1": (GOOD[0].replace(b"Berlin", "Köln".encode("latin-1")), RejectReason.BAD_ENCODING),
    "nul in a string": (GOOD[0].replace(b"Berlin", b"Ber\0lin"), RejectReason.NOT_JSON),
    "only nul": (b"\0" * 300, RejectReason.NOT_JSON),
    "deep": (b'{"a":' * 3000 + b"1" + b"}" * 3000, RejectReason.TOO_DEEP),
    "a number": (b"17", RejectReason.UNKNOWN_SHAPE),
    "another object": (b'{"hello": "world"}', RejectReason.UNKNOWN_SHAPE),
    "no time": (GOOD[0].replace(b"createdDateTime", b"created"), RejectReason.MISSING_FIELD),
    "no such day": (
        json.dumps(v.sign_in(1, createdDateTime="2026-02-30T08:00:00Z")).encode(),
        RejectReason.BAD_TIME,
    ),
    "the year one": (
        json.dumps(v.sign_in(1, createdDateTime="0001-01-01T00:00:00Z")).encode(),
        RejectReason.BAD_TIME,
    ),
    "a tenant with a nul": (
        json.dumps(v.sign_in(1, homeTenantId="a\0b", resourceTenantId="a\0b")).encode(),
        RejectReason.BAD_VALUE,
    ),
    "a tenant of a mailbox with a nul": (
        json.dumps(v.mail_access(1, OrganizationId="a\0b")).encode(),
        RejectReason.BAD_VALUE,
    ),
    "an error answer": (
        b'{"error": {"code": "AF50000", "message": "An internal server error occurred."}}',
        RejectReason.UNKNOWN_SHAPE,
    ),
}


def nobody_is_named(found: v.Read) -> None:
    told = repr(found.rejects) + repr(found.tally)
    for secret in (v.USER, "Adele", v.ADDRESS, "adele.vance"):
        assert secret not in told


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("place", [0, 2, 6])
def test_a_bad_line_costs_that_line_only(name: str, place: int, tmp_path: Path) -> None:
    bad, reason = BROKEN[name]
    lines = [*GOOD[:place], bad, *GOOD[place:]]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    found = v.Read(tmp_path)
    assert len(found.rows) == len(GOOD)
    (reject,) = found.rejects
    assert (reject.reason, reject.line) == (reason, place + 1)
    assert reject.offset == sum(len(line) + 1 for line in lines[:place])
    nobody_is_named(found)


@pytest.mark.parametrize(
    "name", [n for n in BROKEN if n not in ("half a record", "no json", "only nul")]
)
@pytest.mark.parametrize("place", [0, 3, 6])
@pytest.mark.parametrize("page", [b'{"@odata.context":"x","value":[%s]}', b"[%s]"])
def test_a_bad_record_of_an_array_costs_that_record_only(
    name: str, place: int, page: bytes, tmp_path: Path
) -> None:
    bad, reason = BROKEN[name]
    (tmp_path / "a").write_bytes(page % b",".join([*GOOD[:place], bad, *GOOD[place:]]))
    found = v.Read(tmp_path)
    assert len(found.rows) == len(GOOD)
    (reject,) = found.rejects
    assert reject.reason == reason
    nobody_is_named(found)


TENANTS = ["a\0b", "a\nb", "a\x7fb", "a\x85b", "a\u2028b", " ", "\u3000", "x" * 257, "ß" * 129]
CARRIERS = {
    "flat": lambda name: v.sign_in(1, homeTenantId=name, resourceTenantId=name),
    "envelope": lambda name: v.envelope(v.sign_in(1)) | {"tenantId": name},
    "mailbox": lambda name: v.mail_access(1, OrganizationId=name),
    "mailbox in a text": lambda name: {
        "AuditData": json.dumps(v.mail_access(1, OrganizationId=name))
    },
    "directory": lambda name: {
        "category": "AuditLogs",
        "tenantId": name,
        "properties": {"activityDateTime": "2026-03-19T08:00:00Z", "activityDisplayName": "x"},
    },
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_tenant_that_cannot_be_called_so_is_refused_and_never_shown(
    carrier: str, tmp_path: Path
) -> None:
    records = [CARRIERS[carrier](name) for name in TENANTS]
    (tmp_path / "a.jsonl").write_bytes(v.lines([CARRIERS[carrier]("Größe ½"), *records]))
    found = v.Read(tmp_path)
    assert [row["tenant"] for row in found.rows] == ["grösse ½"]
    assert {r.reason for r in found.rejects} == {RejectReason.BAD_VALUE}
    assert [r.line for r in found.rejects] == list(range(2, 2 + len(TENANTS)))
    assert len({r.detail for r in found.rejects}) == 1


@pytest.mark.parametrize("field", ["OrganizationId", "UserId", "MailboxGuid", "Id", "ResultStatus"])
def test_half_a_surrogate_pair_in_a_text_of_json_costs_that_record_only(
    field: str, tmp_path: Path
) -> None:
    """The file itself is UTF-8; the escape stands in the text that it holds."""
    texts = [json.dumps(v.mail_access(n)) for n in range(3)]
    texts[1] = json.dumps(v.mail_access(1) | {field: "\udc9f"})
    (tmp_path / "a.jsonl").write_bytes(v.lines([{"AuditData": text} for text in texts]))
    found = v.Read(tmp_path)
    assert len(found.rows) == 2
    assert [(r.reason, r.line) for r in found.rejects] == [(RejectReason.NOT_JSON, 2)]


def test_a_whole_surrogate_pair_in_a_text_of_json_is_a_letter(tmp_path: Path) -> None:
    text = json.dumps(v.mail_access(1, OrganizationId="Contoso \U0001f600"))
    assert "\\ud83d" in text
    (tmp_path / "a.jsonl").write_bytes(v.lines([{"AuditData": text}]))
    assert [row["tenant"] for row in v.Read(tmp_path).rows] == ["contoso \U0001f600"]


def test_an_array_record_that_never_ends_costs_that_record_only(tmp_path: Path) -> None:
    records = [json.dumps(v.sign_in(n)).encode() for n in range(400)]
    records[200] = records[200][:-40]
    records[300] = records[300].replace(b'"userId": "', b'"userId": ')
    (tmp_path / "a").write_bytes(b"[" + b",".join(records) + b"]")
    found = v.Read(tmp_path)
    ids = {row["event_id"].hex() for row in found.rows}
    lost = {v.guid(n).replace("-", "") for n in range(400)} - ids
    assert lost == {v.guid(n).replace("-", "") for n in (200, 300)}
    assert {r.reason for r in found.rejects} == {RejectReason.NOT_JSON}


@pytest.mark.parametrize("form", ["lines", "array"])
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_cut_off_packed_file_keeps_its_whole_records(
    form: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    records = [json.dumps(v.sign_in(n, token=os.urandom(300).hex())) for n in range(300)]
    text = "\n".join(records) if form == "lines" else "[" + ",".join(records) + "]"
    packed = pack(text.encode())
    (tmp_path / "a").write_bytes(packed[: len(packed) * 2 // 3])
    found = v.Read(tmp_path)
    (reject,) = found.rejects
    assert reject.reason == RejectReason.TRUNCATED
    assert reject.offset
    assert 150 < len(found.rows) < 300
    ordered = [row["event_id"].hex() for row in found.rows]
    assert ordered == [v.guid(n).replace("-", "") for n in range(len(ordered))]


def test_damage_inside_a_packed_file_is_told(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"\n".join(GOOD)))
    packed[len(packed) // 2] ^= 0xFF
    (tmp_path / "a").write_bytes(packed)
    found = v.Read(tmp_path)
    assert [r.reason for r in found.rejects][-1:] == [RejectReason.TRUNCATED]


def test_a_cut_off_plain_array_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"[" + b",".join(GOOD)[:-50])
    found = v.Read(tmp_path)
    assert len(found.rows) == len(GOOD) - 1
    assert [r.reason for r in found.rejects] == [RejectReason.TRUNCATED]


def test_a_line_without_end_is_one_reject(tmp_path: Path) -> None:
    size = 3 * json_lines.MAX_RECORD
    (tmp_path / "a").write_bytes(
        GOOD[0] + b"\n" + b'{"x": "' + b"y" * size + b'"}\n' + GOOD[1] + b"\n"
    )
    tracemalloc.start()
    found = v.Read(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.rows) == 2
    (reject,) = found.rejects
    assert (reject.reason, reject.line) == (RejectReason.TOO_LONG, 2)
    assert peak < 40e6


def test_a_record_without_end_inside_an_array_is_one_reject(tmp_path: Path) -> None:
    size = 3 * json_documents.MAX_RECORD
    parts = [b'{"x": [' + b'"}{",' * (size // 5) + b"1]}", *GOOD]
    (tmp_path / "a").write_bytes(b'{"value": [' + b",".join(parts) + b"]}")
    found = v.Read(tmp_path)
    assert len(found.rows) == len(GOOD)
    assert [r.reason for r in found.rejects] == [RejectReason.TOO_LONG]


def test_a_page_larger_than_any_record_is_taken_apart(tmp_path: Path) -> None:
    records = b",".join(json.dumps(v.sign_in(n)).encode() for n in range(6000))
    assert len(records) > 2 * json_documents.MAX_RECORD
    noise = json.dumps({"nested": [{"value": [1, 2]}] * 20000}).encode()
    (tmp_path / "a").write_bytes(
        b'{"@odata.count": 6000, "extra": ' + noise + b', "value": [' + records + b'], "z": null}'
    )
    tracemalloc.start()
    found = v.Read(tmp_path, batch_rows=500)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.rows) == 6000
    assert not found.rejects
    assert peak < 60e6  # of which the rows of this test are most


def bomb(piece: bytes, count: int) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
        for _ in range(count):
            file.write(piece)
    return out.getvalue()


@pytest.mark.parametrize("letter", [b"\n", b"\0", b" ", b"["])
def test_a_bomb_is_stopped(letter: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_PATIENCE", 8 * 1024 * 1024)
    head = b"" if letter == b"[" else GOOD[0] + b"\n"
    (tmp_path / "a").write_bytes(bomb(b"", 0) + gzip.compress(head) + bomb(letter * 2**20, 64))
    (tmp_path / "b").write_bytes(GOOD[1])
    tracemalloc.start()
    found = v.Read(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert RejectReason.TOO_LARGE in {r.reason for r in found.rejects}
    assert len(found.rejects) <= 3
    assert len(found.rows) == (2 if head else 1)
    assert peak < 60e6


def test_a_bomb_in_a_bomb_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(gzip.compress(b"\n" * 10**6)))
    found = v.Read(tmp_path)
    (reject,) = found.rejects
    assert reject.reason == RejectReason.UNKNOWN_SHAPE
    assert "twice" in reject.detail


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04rest", "zip"),
        (b"BZh91AY", "bzip2"),
        (b"\x89PNG\r\n\x1a\n\0\0", "neither"),
        (b"name,age\njo,3\n", "neither"),
        (b"PAR1 but no parquet", "parquet"),
        (gzip.compress(b"PAR1 and more", mtime=0), "parquet is read from plain files only"),
    ],
)
def test_files_of_other_kinds_are_refused_with_the_remedy(
    data: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(data)
    found = v.Read(tmp_path)
    (reject,) = found.rejects
    assert words in reject.detail.casefold()
    assert reject.loses_file


@pytest.mark.parametrize("data", [v.lines([v.sign_in(1)]), v.table([v.portal(v.sign_in(1))])])
@pytest.mark.parametrize("way", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_among_the_logs_costs_that_file_only(data: bytes, way: int, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(GOOD[0])
    with zipfile.ZipFile(tmp_path / "logs.zip", "w", way) as archive:
        archive.writestr("a\rb", data)  # a carriage return in its first line, as in packed bytes
    found = v.Read(tmp_path)
    assert len(found.rows) == 1
    (reject,) = found.rejects
    assert (reject.reason, reject.path) == (
        RejectReason.UNKNOWN_SHAPE,
        str(tmp_path / "logs.zip"),
    )
    assert "zip" in reject.detail


@pytest.mark.parametrize("place", [0, 1, 20])
@pytest.mark.parametrize("byte", [b"\r", b"\0", b'"', b"\x1a", b"\xff"])
def test_no_byte_of_a_first_line_keeps_other_files_from_being_read(
    byte: bytes, place: int, tmp_path: Path
) -> None:
    table = v.table([v.portal(v.sign_in(1))])
    (tmp_path / "a").write_bytes(table[:place] + byte + table[place:])
    (tmp_path / "b").write_bytes(byte * 3 + bytes(range(256)))
    (tmp_path / "good").write_bytes(GOOD[1])
    found = v.Read(tmp_path)
    assert [row["event_id"].hex() for row in found.rows][-1] == v.guid(1).replace("-", "")
    assert {r.path for r in found.rejects} >= {str(tmp_path / "b")}


def test_rows_of_a_csv_that_cannot_be_used(tmp_path: Path) -> None:
    rows = v.table([v.portal(v.sign_in(n)) for n in range(4)]).splitlines(keepends=True)
    rows[2] = rows[2].replace(b"Berlin", b"M\xfcnchen")
    rows.insert(4, b"too,few\r\n")
    (tmp_path / "a.csv").write_bytes(b"".join(rows))
    found = v.Read(tmp_path)
    assert len(found.rows) == 3
    assert {r.reason for r in found.rejects} == {
        RejectReason.BAD_ENCODING,
        RejectReason.WRONG_WIDTH,
    }


def test_a_quote_that_is_never_closed_does_not_end_the_csv(tmp_path: Path) -> None:
    row = v.table([v.portal(v.sign_in(1))]).splitlines(keepends=True)
    many = row[1] * 20000
    (tmp_path / "a.csv").write_bytes(row[0] + row[1] * 5 + b'"' + many)
    found = v.Read(tmp_path)
    assert len(found.rows) > 5000
    assert found.rejects
    assert {r.reason for r in found.rejects} <= {RejectReason.TOO_LONG, RejectReason.WRONG_WIDTH}


def test_an_audit_csv_with_a_cut_cell(tmp_path: Path) -> None:
    rows = [{"UserIds": v.USER, "AuditData": json.dumps(v.mail_access(n))} for n in range(5)]
    rows[3]["AuditData"] = rows[3]["AuditData"][:-9]
    rows.append({"UserIds": v.USER, "AuditData": ""})
    (tmp_path / "a.csv").write_bytes(v.table(rows))
    found = v.Read(tmp_path)
    assert len(found.rows) == 4
    assert len(found.rejects) == 2
    nobody_is_named(found)
