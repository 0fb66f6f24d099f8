"""CEF lines through a strict reader, written from ArcSight's implementation standard.

Header: ``CEF:Version`` and six fields, pipe and backslash escaped. Extension: ``key=value``
pairs with a space between; in values backslash and equals are escaped, line ends are ``\\n`` and
``\\r``, and nothing else may follow a backslash. Lengths are those of the extension dictionary.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from connectors.sinks.encoders import cef
from connectors.sinks.encoders.encoder import key_of, key_text
from tests.unit.connectors.encoded import (
    DOCUMENTS,
    HOSTILE,
    LONG,
    flag,
    hostile_flag,
    hostile_incident,
    incident,
)

TEXTS = {
    "cat": 1023, "outcome": 63, "reason": 1023, "msg": 1023, "destinationServiceName": 1023,
    "flexString1": 1023, "flexString2": 1023, **{f"cs{n}": 4000 for n in range(1, 7)},
}  # fmt: skip
WHOLE = {"rt", "start", "end", "deviceCustomDate1", "cn1", "cn2", "cn3"}
FLOATS = {"cfp1", "cfp2"}
LABELLED = re.compile(r"cs\d|cn\d|cfp\d|flexString\d|deviceCustomDate\d")


def parse(line):
    """Header fields and extension of a line, unescaped; ValueError for whatever is irregular."""
    if not line.startswith("CEF:") or re.search(r"[\x00-\x1f\x7f-\x9f]", line):
        raise ValueError("no line of CEF")
    header, rest = [], line
    for _ in range(7):
        found = re.match(r"((?:[^|\\]|\\[|\\])*)\|", rest)
        if found is None:
            raise ValueError(f"header: {rest[:40]!r}")
        header.append(re.sub(r"\\(.)", r"\1", found[1]))
        rest = rest[found.end() :]
    pairs = {}
    while rest:
        found = re.match(r"(\w+)=((?:[^\\=]|\\[\\=nr])*?)(?: (?=\w+=)|$)", rest)
        if found is None:
            raise ValueError(f"extension: {rest[:40]!r}")
        if found[1] in pairs:
            raise ValueError(f"{found[1]} twice")
        pairs[found[1]] = re.sub(
            r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), found[2]
        )
        rest = rest[found.end() :]
    return header, pairs


def faults(line):
    header, pairs = parse(line)
    version, vendor, product, product_version, event_class, name, severity = header
    found = [] if version == "CEF:0" else [version]
    for part, longest in [(vendor, 63), (product, 63), (product_version, 31), (name, 512)]:
        found += [part] if len(part) > longest else []
    # Some receivers escape = % # in the class: none of them may be there.
    found += [] if re.fullmatch(r"[A-Za-z0-9._-]+", event_class) else [event_class]
    found += [] if severity in map(str, range(11)) else [severity]
    for key, value in pairs.items():
        base = key.removesuffix("Label")
        if base != key:
            good = LABELLED.fullmatch(base) and base in pairs and len(value) <= 1023
        elif key in TEXTS:
            good = 0 < len(value) <= TEXTS[key]
        elif key in WHOLE:
            good = re.fullmatch(r"-?\d+", value)
        elif key in FLOATS:
            good = isinstance(float(value), float)
        else:
            good = key == "externalId"
        if LABELLED.fullmatch(key):
            good = good and f"{key}Label" in pairs
        found += [] if good else [(key, value)]
    return found


@given(document=DOCUMENTS)
def test_any_document_is_strict_cef(document):
    line = cef.line(document)
    assert faults(line) == []
    assert parse(line)[1]["externalId"] == key_text(*key_of(document))


@pytest.mark.parametrize(
    "document",
    [hostile_incident(), hostile_flag(), hostile_incident(LONG), hostile_flag(LONG)],
)
def test_hostile_text_makes_no_pair_and_no_header_of_its_own(document):
    line = cef.line(document)
    assert faults(line) == []
    header, pairs = parse(line)
    usual = parse(cef.line(incident() if "headline" in document else flag()))
    assert header == usual[0]
    assert set(pairs) <= set(usual[1])
    assert pairs["rt"] == usual[1]["rt"]


def test_text_comes_back_as_it_was():
    text = "a|b=c\\d\\n e\nf\rg \\= \\"
    _, pairs = parse(cef.line(incident(headline=text, advisory=None)))
    assert pairs["msg"] == f"{text}. No advisory fits yet."


def test_what_hides_is_told_by_its_number():
    _, pairs = parse(cef.line(hostile_incident(HOSTILE)))
    assert "<U+202E>gpj.exe<U+2066>" in pairs["msg"]


@pytest.mark.parametrize(
    "wrong",
    ["CEF:0|a|b|c|d|e|", "CEF:0|a|b|c|d|e|1|k=a=b", "CEF:0|a|b|c|d|e|1|k=a\\b",
     "CEF:0|a\\b|b|c|d|e|1|k=v", "CEF:0|a|b|c|d|e|1|k=v k=w", "CEF:0|a|b|c|d|e|1|k=v\nx=y"],
)  # fmt: skip
def test_the_reader_is_strict(wrong):
    with pytest.raises(ValueError, match=r"header|extension|twice|no line"):
        parse(wrong)


def test_the_numbers_of_an_incident():
    header, pairs = parse(cef.line(incident()))
    assert header[4:] == ["incident.service_outage", "Incident: Microsoft 365 outage", "8"]
    assert (pairs["start"], pairs["cn1"], pairs["cn3"], pairs["cfp1"]) == (
        "1773906060000", "341", "4", "0.962",
    )  # fmt: skip


def test_a_cut_takes_the_lightest_evidence():
    _, pairs = parse(cef.line(incident()))
    weights = [abs(float(w)) for w in re.findall(r"[a-z_]+ ([+-]\d\.\d):", pairs["cs4"])]
    assert weights == sorted(weights, reverse=True)
    assert len(weights) == 6
