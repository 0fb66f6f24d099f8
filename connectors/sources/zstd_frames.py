"""Whether a zstd file ends where its last frame ends (RFC 8878, section 3.1)."""

from __future__ import annotations

from typing import IO, Final

_MAGIC: Final = 0xFD2FB528
_SKIPPABLE: Final = 0x184D2A50
_RLE: Final = 1


def is_complete(file: IO[bytes]) -> bool:
    """Walk the frame and block headers of a seekable file; its position is lost."""
    size = file.seek(0, 2)
    position = 0
    while position < size:
        following = _frame_end(file, position)
        if following is None or following > size:
            return False
        position = following
    return True


def _frame_end(file: IO[bytes], position: int) -> int | None:
    file.seek(position)
    head = file.read(18)
    if len(head) < 8:
        return None
    magic = int.from_bytes(head[:4], "little")
    if magic & 0xFFFFFFF0 == _SKIPPABLE:
        return position + 8 + int.from_bytes(head[4:8], "little")
    if magic != _MAGIC:
        return None
    descriptor = head[4]
    single_segment = descriptor >> 5 & 1
    content_size = (single_segment, 2, 4, 8)[descriptor >> 6]
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    position += 5 + (1 - single_segment) + dictionary + content_size
    checksum = 4 * (descriptor >> 2 & 1)
    while True:
        file.seek(position)
        block = file.read(3)
        if len(block) < 3:
            return None
        header = int.from_bytes(block, "little")
        last, kind, length = header & 1, header >> 1 & 3, header >> 3
        position += 3 + (1 if kind == _RLE else length)
        if last:
            return position + checksum
