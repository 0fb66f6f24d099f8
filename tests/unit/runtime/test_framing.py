"""Batches in a frame: any LZ4 tool opens it, damage is told, and the form before it is read."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.model.event import EVENT_SCHEMA
from pipeline.runtime.live.framing import framed, unframed
from pipeline.runtime.live.messages import UnreadableMessageError, pack_events, unpack_events
from tests.live.small_tenant import table, usual

EVENTS = table([row for hour in range(9) for row in usual(hour)])
BODY = pack_events(EVENTS)


def stream_of(batch, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(batch.unify_dictionaries())
    return sink.getvalue()


@pytest.mark.parametrize("raw", [b"", b"a", b"ab" * 70_000])
def test_what_was_framed_comes_back(raw):
    assert pa.py_buffer(unframed(framed(pa.py_buffer(raw)))).to_pybytes() == raw


def test_another_reader_of_lz4_passes_over_the_size():
    """As ``lz4 -d`` does."""
    plain = pa.CompressedInputStream(pa.BufferReader(BODY), "lz4").read()
    assert pa.ipc.open_stream(plain).read_all().equals(unpack_events(BODY))
    assert unpack_events(BODY).equals(EVENTS.unify_dictionaries())


@pytest.mark.parametrize("options", [{}, {"compression": "lz4"}, {"compression": "zstd"}])
def test_a_stream_without_a_frame_is_read(options):
    assert unpack_events(stream_of(EVENTS, **options).to_pybytes()).equals(unpack_events(BODY))


def test_another_schema_is_told_in_a_frame_and_without():
    other = stream_of(EVENTS.drop_columns(["weight"]))
    for body in (framed(other), other.to_pybytes()):
        with pytest.raises(UnreadableMessageError, match="another schema"):
            unpack_events(body)


def test_metadata_alone_make_no_other_schema():
    told = EVENT_SCHEMA.with_metadata({b"outrider.schema": b"outrider.event/1", b"more": b"1"})
    assert unpack_events(framed(stream_of(EVENTS.cast(told)))).num_rows == len(EVENTS)


def with_size(size):
    return BODY[:8] + size.to_bytes(8, "little") + BODY[16:]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no arrow",
        BODY[:4],
        BODY[:16],
        BODY[:-1],
        BODY[: len(BODY) // 2],
        with_size(0),
        with_size(100),
        with_size(2**63),
        BODY[:16] + bytes(len(BODY) - 16),
    ],
)
def test_damage_is_told(body):
    with pytest.raises(UnreadableMessageError, match="damaged batch"):
        unpack_events(body)


def test_a_size_that_no_frame_can_have_asks_for_no_memory():
    before = pa.total_allocated_bytes()
    with pytest.raises(OSError, match="size of the stream"):
        unframed(with_size(2**40))
    assert pa.total_allocated_bytes() == before
