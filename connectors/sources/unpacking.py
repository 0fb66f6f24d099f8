"""Bytes of one input, unpacked and in UTF-8, with what went wrong at its end.

Forms are told by content: gzip (RFC 1952, several members), zstd (RFC 8878, several
frames), UTF-8 with or without a byte order mark, UTF-16.
"""

from __future__ import annotations

import codecs
import sys
from typing import IO, TYPE_CHECKING, Final, Protocol, Self

import zstandard
from isal import isal_zlib

from connectors.sources.zstd_frames import is_complete
from pipeline.model.reject import RejectReason

if TYPE_CHECKING:
    from types import TracebackType

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = b"\x2a\x4d\x18"  # after one byte 0x50 to 0x5f
STDIN: Final = "-"
PIECE: Final = 256 * 1024  # larger blocks leave the second-level cache: 1.65 times slower
# JSON logs pack 10 to 60 times; a thousand times over a quarter GB without one record is
# an attack on memory and time.
_ABSURD_RATIO: Final = 200
_PATIENCE: Final = 256 * 1024 * 1024
_WIDEST_WINDOW: Final = 64 * 1024 * 1024
_UTF16: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_DAMAGED: Final = "the compressed data is damaged; copy the file again"
_CUT: Final = "the compressed data ends early; copy the file again"

_GZIP_ERRORS: Final[tuple[type[Exception], ...]] = (isal_zlib.error,)  # type: ignore[assignment] # its stubs take the class for an object

Problem = tuple[RejectReason, str]


class _Stream(Protocol):
    """Gives unpacked bytes, b"" at the end."""

    problem: Problem | None

    def read(self, size: int) -> bytes: ...


class _Plain:
    problem: Problem | None = None

    def __init__(self, file: IO[bytes]) -> None:
        self.read = file.read


class _Gzip:
    """Members one after another; output is bounded however well they are packed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._member = isal_zlib.decompressobj(wbits=31)
        self._input = b""
        self._begun = False
        self.problem: Problem | None = None

    def read(self, size: int) -> bytes:
        while self.problem is None:
            if not self._input:
                self._input = self._file.read(64 * 1024)
                if not self._input:
                    if self._begun:
                        self.problem = (RejectReason.TRUNCATED, _CUT)
                    return b""
            try:
                out: bytes = self._member.decompress(self._input, size)
            except _GZIP_ERRORS:
                self.problem = (RejectReason.TRUNCATED, _DAMAGED)
                return b""
            self._begun = True
            if self._member.eof:
                # Zeros may pad the end of a member (RFC 1952 leaves it open; tapes do).
                self._input = self._member.unused_data.lstrip(b"\0")
                self._member = isal_zlib.decompressobj(wbits=31)
                self._begun = False
            else:
                self._input = self._member.unconsumed_tail
            if out:
                return out
        return b""


class _Zstd:
    def __init__(self, file: IO[bytes], *, seekable: bool) -> None:
        self._file = file
        self._seekable = seekable
        unpack = zstandard.ZstdDecompressor(max_window_size=_WIDEST_WINDOW)
        self._reader = unpack.stream_reader(file, read_across_frames=True, closefd=False)
        self.problem: Problem | None = None

    def read(self, size: int) -> bytes:
        if self.problem is not None:
            return b""
        try:
            out: bytes = self._reader.read(size)
        except zstandard.ZstdError as error:
            wide = "window" in str(error) or "memory" in str(error)
            self.problem = (
                (RejectReason.TOO_LARGE, "needs a window above 64 MB; pack it without --long")
                if wide
                else (RejectReason.TRUNCATED, _DAMAGED)
            )
            return b""
        # The library ends silently where the file is cut off.
        if not out and self._seekable:
            here = self._file.tell()
            if not is_complete(self._file):
                self.problem = (RejectReason.TRUNCATED, _CUT)
            self._file.seek(here)
        return out


class Input:
    """One input from ``start`` to ``stop`` (packed bytes), read as unpacked UTF-8.

    Attributes:
        position: unpacked bytes given so far, counted from the start of the file.
        problem: why the input ended early, if it did.
    """

    def __init__(self, path: str, start: int = 0, stop: int | None = None) -> None:
        """Open the input.

        Raises:
            OSError: it cannot be opened.
        """
        self._file: IO[bytes] = sys.stdin.buffer if path == STDIN else open(path, "rb", buffering=0)  # noqa: SIM115, PTH123 # closed by __exit__
        self._own = path != STDIN
        self._limit = stop
        self._start = start
        self._stream: _Stream = _Plain(self._file)
        self._decoder: codecs.IncrementalDecoder | None = None
        self._held = b""
        self._taken = 0
        self._quiet_since = 0
        self.packed = False
        self.position = start
        self.problem: Problem | None = None
        if start:
            self._file.seek(start)
        else:
            self._recognise()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._own:
            self._file.close()

    @property
    def bytes_read(self) -> int:
        """Packed bytes taken from the input so far."""
        return self._taken

    @property
    def recoded(self) -> bool:
        """Whether the input is in another encoding than UTF-8."""
        return self._decoder is not None

    @property
    def head(self) -> bytes:
        """The first unpacked bytes, up to 64 KB, without taking them."""
        while len(self._held) < 64 * 1024:
            more = self._pull(64 * 1024)
            if not more:
                break
            self._held += more
        return self._held

    def progress(self) -> None:
        """Say that a record was found: a reader that never says so meets a bomb."""
        self._quiet_since = self.position

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes or somewhat more; b"" at the end, then see ``problem``."""
        if self._held:
            out, self._held = self._held[:size], self._held[size:]
        else:
            out = self._pull(size)
        self.position += len(out)
        quiet = self.position - self._quiet_since
        absurd = self.packed and quiet > max(_PATIENCE, _ABSURD_RATIO * self._taken)
        if absurd:
            self.problem = (
                RejectReason.TOO_LARGE,
                "unpacks to hundreds of times its size without a record; not a log",
            )
            self._held = b""
            return b""
        return out

    def read_into(self, buffer: bytearray, at: int, spare: int = 0) -> int:
        """Read into the free end of ``buffer`` and return how many bytes; 0 at the end.

        At most PIECE bytes of a plain input, and ``spare`` bytes of the buffer stay free;
        the buffer grows by what does not fit.
        """
        room = min(len(buffer) - at - spare, PIECE)
        if self._held or self.packed or self._decoder is not None or not self._own:
            piece = self.read(room)
            buffer[at : at + len(piece)] = piece
            return len(piece)
        if self._limit is not None:
            room = max(0, min(room, self._limit - self.position))
        with memoryview(buffer) as view:
            try:
                count: int = self._file.readinto(view[at : at + room])  # type: ignore[attr-defined] # a raw file
            except OSError as error:
                self._fail(error)
                return 0
        self.position += count
        self._taken += count
        return count

    def _fail(self, error: OSError) -> None:
        self.problem = (
            RejectReason.UNREADABLE,
            f"reading stopped: {error.strerror or 'input/output error'}; check the disk",
        )

    def _pull(self, size: int) -> bytes:
        if self.problem is not None:
            return b""
        while True:
            raw = self._raw(size)
            if self._decoder is None:
                return raw
            text = self._decoder.decode(raw, final=not raw)
            if text or not raw:
                return text.encode("utf-8", "surrogatepass")

    def _raw(self, size: int) -> bytes:
        try:
            if not self.packed and self._limit is not None:
                size = max(0, min(size, self._limit - self._file.tell()))
            out = self._stream.read(size)
            self._taken = self._file.tell() - self._start if self._own else self._taken + len(out)
        except OSError as error:
            self._fail(error)
            return b""
        self.problem = self.problem or self._stream.problem
        return out

    def _recognise(self) -> None:
        if not self._own:
            self._file = _Peeked(self._file)  # type: ignore[assignment] # reads are all it needs
        start = _peek(self._file, 4)
        if start.startswith(GZIP):
            self.packed, self._stream = True, _Gzip(self._file)
        elif start == ZSTD or (start[1:] == _SKIPPABLE and start[0] >> 4 == 5):
            self.packed = True
            self._stream = _Zstd(self._file, seekable=self._own)
        else:
            self._stream = _Plain(self._file)
        self._decode()

    def _decode(self) -> None:
        head = self._raw(PIECE)
        encoding = next((e for bom, e in _UTF16.items() if head.startswith(bom)), None)
        if encoding is not None:
            head = head[2:]
        elif len(head) > 1 and head[:1] in b"{[" and head[1] == 0:
            encoding = "utf-16-le"
        elif len(head) > 1 and head[0] == 0 and head[1:2] in b"{[":
            encoding = "utf-16-be"
        elif head.startswith(codecs.BOM_UTF8):
            head = head[3:]
            self.position += 3
        if encoding is not None:
            self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
            head = self._decoder.decode(head).encode("utf-8", "surrogatepass")
        self._held = head


class _Peeked:
    """A pipe whose first bytes were looked at."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._first = file.read(64 * 1024)

    def read(self, size: int = -1) -> bytes:
        if not self._first:
            return self._file.read(size)
        if size < 0:
            size = len(self._first)
        out, self._first = self._first[:size], self._first[size:]
        return out

    def peek(self, size: int) -> bytes:
        return self._first[:size]


def _peek(file: IO[bytes] | _Peeked, size: int) -> bytes:
    if isinstance(file, _Peeked):
        return file.peek(size)
    out = file.read(size)
    file.seek(0)
    return out
