"""LEEF 2.0 lines through a strict reader, written from IBM's guide to the format.

Header: ``LEEF:2.0`` and four fields and the delimiter (one character or ``x`` and its hexadecimal
code), split at pipes, which nothing can escape. Attributes: ``key=value`` between delimiters.
"""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from hypothesis import given

from connectors.sinks.encoders import leef
from connectors.sinks.encoders.encoder import key_of, key_text
from tests.unit.connectors.encoded import (
    DOCUMENTS,
    LONG,
    flag,
    hostile_flag,
    hostile_incident,
    incident,
)


def parse(line):
    """Header fields and attributes of a line; ValueError for whatever is irregular."""
    parts = line.split("|", 6)
    if len(parts) != 7 or parts[0] != "LEEF:2.0" or not all(parts[1:5]):
        raise ValueError("header")
    code = re.fullmatch(r"(?:0x|x)([0-9A-Fa-f]{2,4})", parts[5])
    if code is None and len(parts[5]) != 1:
        raise ValueError("delimiter")
    delimiter = chr(int(code[1], 16)) if code else parts[5]
    pairs = {}
    for pair in parts[6].split(delimiter):
        key, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", key) or key in pairs:
            raise ValueError(f"attribute {key!r}")
        if re.search(r"[\x00-\x1f\x7f-\x9f]", value):
            raise ValueError(f"control character in {key}")
        pairs[key] = value
    return parts[:5], pairs


def faults(line):
    header, pairs = parse(line)
    found = [] if re.fullmatch(r"[A-Za-z0-9._-]+", header[4]) else [header[4]]
    found += [] if pairs["sev"] in map(str, range(1, 11)) else ["sev"]
    found += [] if pairs["devTimeFormat"] == "yyyy-MM-dd'T'HH:mm:ss.SSSZ" else ["devTimeFormat"]
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", pairs["devTime"]):
        found.append("devTime")
    return found


@given(document=DOCUMENTS)
def test_any_document_is_strict_leef(document):
    line = leef.line(document)
    assert faults(line) == []
    assert parse(line)[1]["externalId"] == key_text(*key_of(document))


@pytest.mark.parametrize(
    "document",
    [hostile_incident(), hostile_flag(), hostile_incident(LONG), hostile_flag(LONG)],
)
def test_hostile_text_makes_no_attribute_and_no_header_of_its_own(document):
    line = leef.line(document)
    assert faults(line) == []
    header, pairs = parse(line)
    usual = parse(leef.line(incident() if "headline" in document else flag()))
    assert header == usual[0]
    assert set(pairs) <= set(usual[1])
    assert pairs["sev"] == usual[1]["sev"]


def test_pipes_equals_and_backslashes_are_kept_in_values_and_tabs_become_spaces():
    _, pairs = parse(leef.line(incident(headline="a|b=c\\d\te\nf", advisory=None)))
    assert pairs["msg"] == "a|b=c\\d e f. No advisory fits yet."


@pytest.mark.parametrize(
    "wrong",
    ["LEEF:1.0|a|b|c|d|x09|k=v", "LEEF:2.0|a|b|c|d|k=v", "LEEF:2.0|a|b|c|d|^^|k=v",
     "LEEF:2.0|a|b|c|d|x09|k=v\tnothing", "LEEF:2.0|a|b|c|d|x09|k=v\tk=w",
     "LEEF:2.0|a|b|c|d|x09|k=v\n"],
)  # fmt: skip
def test_the_reader_is_strict(wrong):
    with pytest.raises(ValueError, match=r"header|delimiter|attribute|control"):
        parse(wrong)


@pytest.mark.parametrize("told", ["2026-03-21T17:05:00Z", "2026-03-21T17:05:00.123456Z"])
def test_the_time_is_in_the_form_that_the_line_names(told):
    _, pairs = parse(leef.line(incident() | {"published_at": told}))
    read = datetime.strptime(pairs["devTime"], "%Y-%m-%dT%H:%M:%S.%f%z")
    assert abs((read - datetime.fromisoformat(told)).total_seconds()) < 0.001


def test_the_numbers_of_an_incident():
    header, pairs = parse(leef.line(incident()))
    assert header == ["LEEF:2.0", "Outrider", "Outrider", header[3], "incident.service_outage"]
    assert (pairs["sev"], pairs["affectedUsers"], pairs["confidence"]) == ("8", "341", "0.962")
    assert pairs["verdict"] == "service_outage"
