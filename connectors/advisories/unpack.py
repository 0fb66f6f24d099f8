"""Files, folders and globs of advisories to text: unpacked, decoded, bounded."""

from __future__ import annotations

import glob
import gzip
import os
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import zstandard

from pipeline.model.reject import Reject, RejectReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Ten years of every advisory with all posts are about 100 MB; more is no advisory file,
# or a compressed bomb.
MAX_BYTES: Final = 256 * 1024 * 1024

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SUFFIXES: Final = (".json", ".jsonl", ".ndjson", ".gz", ".zst", ".zstd", ".txt", ".log")


class InputError(Exception):
    """One file that cannot be read: the reason, and the remedy."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def find_files(paths: Sequence[str], rejects: list[Reject]) -> Iterator[str]:
    """Give the files that ``paths`` name, in a stable order, each once.

    Of a folder only names that can hold advisories (.json, .jsonl, .ndjson, .txt, .log, and
    .gz, .zst) are taken; a file or pattern given outright is taken whatever its name. A
    path that names nothing, or may not be listed, becomes a reject.
    """
    seen: set[str] = set()
    for path in paths:
        found = _expand(path, rejects)
        if not found:
            rejects.append(
                Reject(
                    path,
                    RejectReason.UNREADABLE,
                    "no such file or no advisory in it; check the path",
                )
            )
        for name in found:
            real = os.path.realpath(name)
            if real not in seen:
                seen.add(real)
                yield name


def _expand(path: str, rejects: list[Reject]) -> list[str]:
    place = Path(path)
    if place.is_dir():

        def refuse(error: OSError) -> None:
            detail = f"{error.strerror}; make the folder readable"
            rejects.append(Reject(str(error.filename), RejectReason.UNREADABLE, detail))

        return sorted(
            str(Path(folder) / name)
            for folder, _, names in os.walk(place, onerror=refuse)
            for name in names
            if name.lower().endswith(_SUFFIXES)
        )
    if place.exists():
        return [path]
    return sorted(p for p in glob.glob(path, recursive=True) if Path(p).is_file())  # noqa: PTH207 # absolute patterns


def read_text(path: str) -> str:
    """Return the whole text of a file, unpacked from gzip or zstd, by content.

    Raises:
        InputError: unreadable, truncated, larger than MAX_BYTES, or not Unicode.
    """
    try:
        with Path(path).open("rb") as file:
            data = _read(file)
    except OSError as error:
        raise InputError(
            RejectReason.UNREADABLE, f"{error.strerror or 'damaged gzip'}; check the file"
        ) from error
    except (EOFError, zlib.error, zstandard.ZstdError) as error:
        raise InputError(
            RejectReason.TRUNCATED, "the compressed file is cut off or damaged; copy it again"
        ) from error
    if len(data) > MAX_BYTES:
        raise InputError(
            RejectReason.TOO_LARGE, f"more than {MAX_BYTES} bytes unpacked; split the file"
        )
    return _to_text(data)


def _read(file: IO[bytes]) -> bytes:
    head = file.read(4)
    file.seek(0)
    if head.startswith(_GZIP):
        with gzip.open(file) as unpacked:
            return unpacked.read(MAX_BYTES + 1)
    if head == _ZSTD:
        return _read_zstd(file)
    return file.read(MAX_BYTES + 1)


def _read_zstd(file: IO[bytes]) -> bytes:
    """Unpack all frames; the stream readers end silently where a frame is cut off."""
    out = bytearray()
    frame: zstandard.ZstdDecompressionObj | None = None
    left = b""
    while len(out) <= MAX_BYTES and (left := left or file.read(1 << 16)):
        if frame is None:
            frame = zstandard.ZstdDecompressor().decompressobj(write_size=1 << 20)
        out += frame.decompress(left)
        left = frame.unused_data
        if frame.eof:
            frame = None
    if frame is not None and len(out) <= MAX_BYTES:
        raise EOFError
    return bytes(out)


def _to_text(data: bytes) -> str:
    # PowerShell's ">" writes UTF-16 with a byte order mark.
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            RejectReason.BAD_ENCODING, f"not Unicode at byte {error.start}; save it as UTF-8"
        ) from error
