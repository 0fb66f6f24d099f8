"""Files of the output tree: plain, gzip or zstd, the same bytes for the same content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

import zstandard
from isal import igzip

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SUFFIX: Final = {"none": "", "gzip": ".gz", "zstd": ".zst"}


@dataclass(slots=True)
class Tally:
    """What was written so far."""

    files: int = 0
    bytes: int = 0


def write(path: Path, compression: str, chunks: Iterable[str], tally: Tally) -> None:
    """Write ``chunks`` of text to ``path`` plus the suffix of ``compression``, streaming."""
    target = path.with_name(path.name + SUFFIX[compression])
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as raw:
        stream = _compressor(raw, compression)
        for chunk in chunks:
            stream.write(chunk.encode("utf-8", "surrogatepass"))
        if stream is not raw:
            stream.close()
    tally.files += 1
    tally.bytes += target.stat().st_size


def _compressor(raw: IO[bytes], compression: str) -> Any:
    if compression == "gzip":
        # No time and no name in the header: the same spec gives the same bytes.
        return igzip.IGzipFile(  # type: ignore[no-untyped-call] # isal ships no types here
            filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0
        )
    if compression == "zstd":
        return zstandard.ZstdCompressor(level=1).stream_writer(raw, closefd=False)
    return raw


def array(parts: Iterable[list[str]], head: str = "[", tail: str = "]\n") -> Iterable[str]:
    """One JSON array over all parts, record by record on its own line."""
    glue = head
    for part in parts:
        if part:
            yield glue + ",\n".join(part)
            glue = ",\n"
    yield tail if glue != head else head + tail


def lines(parts: Iterable[list[str]]) -> Iterable[str]:
    """One record a line."""
    for part in parts:
        if part:
            yield "\n".join(part) + "\n"
