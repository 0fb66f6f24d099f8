"""Records of the events topic: what is a message of ours, and that all else is told as unreadable."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipeline.model.feed import FeedNotice, FeedState
from pipeline.model.vocabulary import Source
from pipeline.runtime.live.messages import (
    Kind,
    Message,
    UnreadableMessageError,
    pack_advisories,
    pack_notice,
    unpack_advisories,
    unpack_notice,
)
from tests.contracts.hostile_feeds import VERSIONS

CLOCK = [("kind", b"clock"), ("read_at", b"1773043200000000")]
MOMENT = datetime(2026, 3, 9, 8, tzinfo=UTC)
DEEP = b"[" * 200_000
NOTICE = FeedNotice("graph", (Source.ENTRA_SIGNIN,), FeedState.FAILING, MOMENT, MOMENT, MOMENT, 60)


def test_a_message_comes_back_from_its_record():
    message = Message("contoso", Kind.CLOCK, MOMENT)
    assert message.headers() == CLOCK
    assert Message.of_record(b"contoso", message.headers(), None) == message


@pytest.mark.parametrize(
    "key", [None, b"", b" ", b"\xff\xfe", b"a\0b", b"a\x85", b"x" * 257, "a\u2028".encode()]
)
def test_a_record_that_names_no_tenant_is_no_message(key):
    with pytest.raises(UnreadableMessageError) as caught:
        Message.of_record(key, CLOCK, b"")
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("kind", b"nonsense")],
        [("kind", None)],
        [("kind", b"\xff")],
        [("kind", b"clock"), ("read_at", b"soon")],
        [("kind", b"clock"), ("read_at", b"9" * 30)],
        [("kind", b"clock"), ("read_at", b"9" * 5000)],
    ],
)
def test_a_record_with_odd_headers_is_no_message(headers):
    with pytest.raises(UnreadableMessageError):
        Message.of_record(b"contoso", headers, b"")


NO_DOCUMENT = [DEEP, b"null", b"[]", b"17", b'"text"', b"\xff", b"{}", b'{"at": ' + DEEP]
ODD_FIELDS = ["0001-01-01T00:00:00+23:00", "soon", 5, [], "\ud800"]


def test_advisories_come_back():
    several = [VERSIONS[0], replace(VERSIONS[1], title="Größe")]
    assert unpack_advisories(pack_advisories(several)) == several


@pytest.mark.parametrize("body", NO_DOCUMENT)
def test_what_is_no_advisory_is_unreadable(body):
    with pytest.raises(UnreadableMessageError):
        unpack_advisories(pack_advisories([VERSIONS[0]]) + b"\n" + body)


@pytest.mark.parametrize("field", ["start_at", "client_weights"])
@pytest.mark.parametrize("value", ODD_FIELDS)
def test_an_advisory_with_an_odd_field_is_unreadable(field, value):
    told = json.loads(pack_advisories([VERSIONS[0]])) | {field: value}
    with pytest.raises(UnreadableMessageError):
        unpack_advisories(json.dumps(told).encode())


def test_a_notice_comes_back():
    assert unpack_notice(pack_notice(NOTICE)) == NOTICE


@pytest.mark.parametrize("body", NO_DOCUMENT)
def test_what_is_no_notice_is_unreadable(body):
    with pytest.raises(UnreadableMessageError):
        unpack_notice(body)


@pytest.mark.parametrize("value", ODD_FIELDS)
def test_a_notice_with_an_odd_field_is_unreadable(value):
    told = json.loads(pack_notice(NOTICE)) | {"at": value}
    with pytest.raises(UnreadableMessageError):
        unpack_notice(json.dumps(told).encode())


@pytest.mark.parametrize("unpack", [unpack_advisories, unpack_notice])
def test_a_text_that_can_be_written_nowhere_is_unreadable(unpack):
    packed = pack_notice(NOTICE) if unpack is unpack_notice else pack_advisories([VERSIONS[0]])
    told = json.loads(packed) | {"problem": "\ud800", "title": "\ud800"}
    with pytest.raises(UnreadableMessageError):
        unpack(json.dumps(told).encode())
