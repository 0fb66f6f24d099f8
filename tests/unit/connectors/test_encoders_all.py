"""Every form of flags and incidents: one line, told by its key, whatever the text in it."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sinks.encoders import text
from connectors.sinks.encoders.encoder import key_of, key_text, read_key
from connectors.sinks.encoders.forms import FORMS
from connectors.sinks.encoders.words import LEVELS, event_class, told_at
from pipeline.model.incident import Severity
from pipeline.runtime.config_deliver import Deliver
from tests.unit.connectors.encoded import (
    DOCUMENTS,
    HOSTILE,
    LONG,
    TURNING,
    flag,
    hostile_flag,
    hostile_incident,
    incident,
)

EACH = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
SIEM = pytest.mark.parametrize(
    "form", [f for n, f in FORMS.items() if n != "json"], ids=lambda f: f.name
)
ODD = [hostile_incident(), hostile_flag(), hostile_incident(LONG), hostile_flag(LONG)]


@EACH
@given(document=DOCUMENTS)
def test_any_document_is_one_line_that_tells_its_key(form, document):
    before = copy.deepcopy(document)
    line = form.line(document)
    assert "\n" not in line
    assert form.key(line) == key_of(document)
    assert document == before
    assert form.line(document) == line


@EACH
@pytest.mark.parametrize("document", ODD, ids=["incident", "flag", "long incident", "long flag"])
def test_hostile_text_neither_ends_the_line_nor_changes_the_key(form, document):
    line = form.line(document)
    assert line.count("\n") == 0
    assert form.key(line) == key_of(document)


@SIEM
@pytest.mark.parametrize("document", ODD, ids=["incident", "flag", "long incident", "long flag"])
def test_nothing_hides_or_turns_in_a_siem(form, document):
    line = form.line(document)
    told = line if line[0] != "{" else json.dumps(json.loads(line), ensure_ascii=False)
    assert not set(TURNING) & set(told)
    # What JSON would write as an escape is no such character after reading either.
    assert "\\ud800" not in told
    assert "\\u0000" not in told
    assert "<U+202E>" in told
    told.encode("utf-8")


@SIEM
@pytest.mark.parametrize("document", [hostile_incident(LONG), hostile_flag(LONG)])
def test_long_text_is_cut_with_a_mark(form, document):
    line = form.line(document)
    assert text.MARK in line
    assert len(line.encode()) < (8_193 if form.suffix.endswith(".log") else 400_000)


@pytest.mark.parametrize("form", [FORMS["cef"], FORMS["leef"]], ids=["cef", "leef"])
@pytest.mark.parametrize("piece", ["=", "|", "\\", "\U0001f600", "\n", "\u202e", "a"])
def test_a_line_of_syslog_keeps_to_8_kib_whatever_fills_it(form, piece):
    for document in (hostile_incident(piece * 65_536), hostile_flag(piece * 65_536)):
        assert len(form.line(document).encode()) <= 8192


@SIEM
def test_what_an_operator_needs_is_in_every_form(form):
    told = form.line(incident())
    for needed in (
        "85% fewer users than usual",
        "Outlook for iOS", "Outlook for Android", "new Outlook for Mac",
        "341", "412300", "0.962", "service_outage", "EX1256020", "EX1268771",
        "clients: Outlook mobile and new Outlook for Mac are named",
        "3 clients fell together within 12 min", "no network holds more than 14 %",
        "90033", "4.2610.0", "188", "9a3f1c52-7d1e-4a55-8f10-5d2c1b0a9f8e", "resolved",
    ):  # fmt: skip
        if form.name in {"ocsf", "ecs"} and needed.endswith(("iOS", "Android", "Mac")):
            assert needed in told or needed.lower().replace(" ", "_") in told
            continue
        assert needed in told, needed


@SIEM
def test_without_an_advisory_that_is_said(form):
    assert "No advisory fits yet" in form.line(incident(advisory=None))


@EACH
def test_what_is_no_document_of_ours_is_refused(form):
    with pytest.raises(ValueError, match="neither a flag nor an incident"):
        form.line({"advisory_id": "EX1", "revision": 1})


@EACH
@pytest.mark.parametrize("line", ["", "no json", "[1]", "CEF:0|a|b|c|d|e|1|rt=1", "{}", "null"])
def test_a_line_of_others_has_no_key(form, line):
    with pytest.raises((ValueError, TypeError, KeyError)):
        form.key(line)


@given(st.text(st.characters()), st.integers(1, 10**9))
def test_a_key_is_one_word_and_comes_back(name, revision):
    word = key_text(name, revision)
    assert not set(word) & set(" |=\\\t\n\"'")
    assert word.isascii()
    assert read_key(word) == (name, revision)


@given(st.text(st.characters()), st.integers(7, 200))
def test_text_that_is_fitted_never_exceeds_its_octets(value, octets):
    fitted = text.fit(value, octets, lambda char: {"=": "\\="}.get(char, char))
    assert len(fitted.encode()) <= octets
    assert not fitted.removesuffix(text.MARK).replace("\\=", "").count("=")


@pytest.mark.parametrize(
    "char", "\xad\u034f\u115f\u1160\u180e\u200b\u202e\u3164\uffa0\U000e0041\U000e0100\U000e01ef"
)
def test_what_has_no_shape_is_told_by_its_number(char):
    assert text.visible(f"a{char}b") == f"a<U+{ord(char):04X}>b"


def test_what_languages_are_written_with_stays():
    usual = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f469\u200d\U0001f4bb \u2764\ufe0f b\xfcro"
    assert text.visible(usual) == usual


def test_severities_rise_on_every_scale_and_a_flag_is_lowest():
    levels = [LEVELS[name] for name in ("flag", *Severity)]
    for scale in zip(*levels, strict=True):
        numbers = [int(step) for step in scale]
        assert numbers == sorted(set(numbers))


def test_a_correction_is_told_at_the_time_of_the_correction():
    assert told_at(flag()) == "2026-03-19T09:32:00Z"
    document = flag() | {"corrected_at": "2026-03-20T00:00:00Z"}
    assert told_at(document) == "2026-03-20T00:00:00Z"
    assert told_at(incident()) == "2026-03-21T17:05:00Z"


def test_every_name_in_the_configuration_is_a_form():
    named = Deliver.model_json_schema()["properties"]["files_format"]["enum"]
    assert named == list(FORMS)
    assert all(HOSTILE not in event_class(d) for d in ODD)
