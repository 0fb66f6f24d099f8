"""Messages of syslog: strict RFC 5424, the same each time, short enough and whole in their form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.syslog_frame import LEAST_OCTETS, SEVERITIES, Messages, framed
from pipeline.model.vocabulary import Client, Service
from tests.services.syslog import parse, unframe
from tests.unit.connectors.encoded import (
    LONG,
    TURNING,
    hostile_flag,
    hostile_incident,
    incident,
)

EACH = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def test_the_same_revision_is_the_same_message_each_time():
    made = [Messages(FORMS["json"], hostname="h").message(incident()) for _ in range(2)]
    assert made[0] == made[1]


def test_facility_enterprise_number_and_byte_order_mark_are_as_set():
    messages = Messages(FORMS["json"], facility="audit", enterprise=99999, hostname="h", mark=True)
    made = messages.message(incident(headline="Ausfall für alle"))
    assert parse(made).facility == 13
    assert list(parse(made).data) == ["outrider@99999"]
    assert b"] \xef\xbb\xbf{" in made
    assert b"\xef\xbb\xbf" not in messages.message(incident())


def test_a_host_name_of_odd_characters_breaks_no_header():
    for name, told in {"büro 7": "bro7", "": "-", "x" * 300: "x" * 255}.items():
        made = Messages(FORMS["json"], hostname=name).message(incident())
        assert parse(made).host == told


def test_an_odd_id_comes_back_whole_and_an_odd_tenant_breaks_nothing():
    odd = 'a]"\\ =b\n\u202e\ud800'
    told = parse(Messages(FORMS["json"]).message(incident() | {"incident_id": odd}))
    assert told.key == (odd, 4)
    values = parse(Messages(FORMS["json"]).message(hostile_incident())).data["outrider@32473"]
    assert "<U+202E>gpj.exe" in values["tenant"]
    assert len(values["tenant"].encode()) <= 255


@EACH
@pytest.mark.parametrize("text", [LONG, TURNING * 6_000, "\U0001f600" * 16_384, '"' * 65_536])
def test_what_is_too_long_is_shortened_and_stays_whole_in_its_form(form, text):
    for document in (hostile_incident(text), hostile_flag(text)):
        made = Messages(form, octets=8192).message(document)
        told = parse(made)
        assert len(made) <= 8192
        assert form.key(told.text) == key_of(document)
        lost = told.data["outrider@32473"].get("shortened", "").split()
        assert all(name in document for name in lost)
        assert "[cut]" in told.text
        if told.text.startswith("{"):
            assert lost
            json.loads(told.text)


def test_evidence_is_shortened_first_the_lightest_before_the_heaviest():
    item = incident()["evidence"][0]
    many = [{**item, "weight": w, "text": f"observation {w} " * 9} for w in range(60)]
    told = parse(Messages(FORMS["json"]).message(incident() | {"evidence": many}))
    assert told.data["outrider@32473"]["shortened"] == "evidence"
    kept = json.loads(told.text)
    assert [e["weight"] for e in kept["evidence"]] == list(range(52, 60))
    assert kept["shortened"] == ["evidence"]
    assert {k: v for k, v in kept.items() if k not in {"evidence", "shortened"}} == {
        k: v for k, v in incident().items() if k != "evidence"
    }


@EACH
def test_what_fits_is_not_touched(form):
    told = parse(Messages(form).message(incident()))
    assert told.text == form.line(incident())
    assert "shortened" not in told.data["outrider@32473"]


@EACH
def test_an_incident_about_every_client_fits_the_least_size_of_its_form(form):
    everything = incident() | {"clients": [*map(str, Client)], "services": [*map(str, Service)]}
    least = LEAST_OCTETS[form.name]
    assert len(Messages(form, octets=least).message(everything)) <= least


def test_the_page_tells_the_severities_and_the_least_sizes():
    page = (Path(__file__).parents[2] / "docs" / "outputs.md").read_text("utf-8")
    for name, number in SEVERITIES.items():
        assert f"`{name}` {number} " in page or (name == "flag" and f"a flag {number} " in page)
    wordy = {name: octets for name, octets in LEAST_OCTETS.items() if octets > 2048}
    assert wordy == {"ocsf": 8192, "ecs": 4096}
    assert "`ocsf` needs 8,192 octets or more,\n`ecs` 4,096, the others 2,048" in page


@pytest.mark.parametrize(
    "wrong",
    [b"<192>1 - h a - - - x", b"<13> - h a - - - x", b"<13>1 2026-03-19 h a - - - x",
     b"<13>1 - h a - - [x@1 a=b] x", b'<13>1 - h a - - [x@1 a="b\\n"] x', b"<13>1 - h\xff a - - - x",
     b'<13>1 - h a - - [x@1 a="b"]x', b'<13>1 - h a - - [x@1 a="b"][x@1 a="c"] x'],
)  # fmt: skip
def test_the_receiver_is_strict(wrong):
    with pytest.raises(ValueError, match=r"header|structured|element"):
        parse(wrong)


def test_the_receiver_reads_frames_strictly():
    assert unframe(b"") is None
    assert unframe(b"12") is None
    assert unframe(b"3 ab") is None
    assert unframe(framed(b"abc") + b"4 d") == (b"abc", b"4 d")
    for wrong in (b"<13>1 - - - - - -", b"03 abc", b"1234567 a", b"\n3 abc"):
        with pytest.raises(ValueError, match="no count"):
            unframe(wrong)
