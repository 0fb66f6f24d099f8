"""The pack for Splunk: stanzas, searches and the dashboard, held to events that the sink sends."""

from __future__ import annotations

import configparser
import re
from datetime import datetime

import pytest
from defusedxml import ElementTree

from connectors.sinks.encoders.plain import JSON
from tests.unit.packs.sent import PACKS, documents, paths, splunk_events
from tests.unit.packs.spl import Search

PACK = PACKS / "splunk" / "default"
VIEW = PACK / "data" / "ui" / "views" / "outrider.xml"


def stanzas(name):
    """A .conf file; a line that ends with a backslash goes on, and nothing may stand twice."""
    reader = configparser.RawConfigParser(
        strict=True, delimiters=("=",), comment_prefixes=("#",), default_section="\0"
    )
    reader.optionxform = str
    text = re.sub(r"\\\n\s*", " ", (PACK / name).read_text("utf-8"))
    reader.read_string(text)
    return {section: dict(reader[section]) for section in reader.sections()}


MACROS = {name: told["definition"] for name, told in stanzas("macros.conf").items()}
SEARCHES = {name: told["search"] for name, told in stanzas("savedsearches.conf").items()}


def panels():
    tree = ElementTree.fromstring(VIEW.read_text("utf-8"))
    return {
        panel.find("title").text: panel.find("search/query").text
        for kind in ("single", "table", "chart")
        for panel in tree.iter(kind)
    }


@pytest.fixture(scope="module")
def sent():
    """Fields by sourcetype, as Splunk names those of JSON and those that come with an event."""
    found = {}
    for kind in ("incident", "flag"):
        for event in splunk_events(kind):
            names = paths(event["event"], "{}") | set(event["fields"])
            found.setdefault(event["sourcetype"], set()).update(names)
    return found


def problems(text, sent, macros=MACROS):
    # Tokens of a dashboard stand for a value each.
    return Search(re.sub(r"\$[\w.]+\$", "any", text), macros, sent).problems


ALL = {**SEARCHES, **panels(), **{f"macro {n}": f"`{n}`" for n in MACROS if n != "outrider_index"}}


@pytest.mark.parametrize("name", ALL)
def test_a_search_reads_fields_that_are_sent(name, sent):
    assert problems(ALL[name], sent) == []


BROKEN = {
    "no such field in where": ('verdict="service', 'verdikt="service', "no field verdikt"),
    "no such field in eval": ("lead_seconds / 60", "lead_second / 60", "no field lead_second"),
    "no such field in rename": ("advisory.lead_seconds", "advisory.lead", "no field advisory.lead"),
    "no such field in a table": ("headline, incident_id", "title, incident_id", "no field title"),
    "no such field in sort": ("-raised_at", "-raised", "no field raised"),
    "no such macro": ("`outrider_incidents`", "`outrider_incident`", "no macro outrider_incident"),
    "a bracket too few": (
        "round(lead_seconds / 60, 1)",
        "round(lead_seconds / 60, 1",
        "not closed",
    ),
    "a bracket too many": ("60, 1)", "60, 1))", "closes nothing"),
    "an open quote": ('"our logs"', '"our logs', "cannot be read"),
    "no such command": ("| table", "| tabel", "tabel is no command"),
    "no such function": ("round(", "rounded(", "rounded is no function"),
}


@pytest.mark.parametrize(("old", "new", "told"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_search_is_told(old, new, told, sent):
    text = SEARCHES["Outrider - lead times"]
    assert old in text
    assert told in "\n".join(problems(text.replace(old, new, 1), sent))


def test_a_broken_group_and_filter_are_told(sent):
    text = SEARCHES["Outrider - flags by client"]
    assert "no field klient" in "\n".join(problems(text.replace("BY client", "BY klient"), sent))
    assert "no field scores" in "\n".join(problems(text.replace("max(score)", "max(scores)"), sent))
    text = SEARCHES["Outrider - an incident was opened"]
    broken = text.replace("reason IN", "reasons IN")
    assert "no field reasons" in "\n".join(problems(broken, sent))
    other = {
        **MACROS,
        "outrider_incidents": MACROS["outrider_incidents"].replace(":incident", ":x"),
    }
    assert "no sourcetype" in "\n".join(problems(SEARCHES["Outrider - lead times"], sent, other))


def test_values_that_are_asked_for_are_sent(sent):
    told = " ".join(ALL.values())
    kinds = {"incident": set(), "flag": set()}
    for kind, found in documents().items():
        for document in found:
            kinds[kind] |= {v for v in document.values() if isinstance(v, str)}
    asked = set(re.findall(r'\b(?:state|reason)(?:=|!=)"(\w+)"', told)) - {"retracted"}
    assert asked <= kinds["incident"] | kinds["flag"]
    assert {"resolved", "open"} <= asked


def prop_problems(props, sent):
    """What is wrong with the stanzas of sourcetypes."""
    for name in sorted(props.keys() ^ sent.keys()):
        yield f"{name} is on one side only"
    for name in props.keys() & sent.keys():
        for key, value in props[name].items():
            if key.startswith("FIELDALIAS-"):
                field = value.split(" AS ")[0]
                if field not in sent[name]:
                    yield f"{name}: there is no field {field}"
        yield from _time_problems(name, props[name])


def _time_problems(name, told):
    kind = name.rpartition(":")[2]
    for document in documents().get(kind, ()):
        line = JSON.line(document)
        found = re.search(told["TIME_PREFIX"], line)
        if found is None:
            yield f"{name}: no time behind {told['TIME_PREFIX']}"
            continue
        text = line[found.end() :][: int(told["MAX_TIMESTAMP_LOOKAHEAD"])]
        try:
            datetime.strptime(text[:19], told["TIME_FORMAT"])  # noqa: DTZ007 # TZ is Splunk's
        except ValueError:
            yield f"{name}: {text} is no time"


def test_each_sourcetype_has_a_stanza_that_finds_the_time(sent):
    assert list(prop_problems(stanzas("props.conf"), sent)) == []


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("TIME_PREFIX", '"publish_at":', "no time behind"),
        ("TIME_FORMAT", "%d.%m.%Y", "is no time"),
        ("FIELDALIAS-x", "verdikt AS signature", "no field verdikt"),
    ],
)
def test_a_broken_stanza_is_told(key, value, told, sent):
    props = stanzas("props.conf")
    props["outrider:incident"][key] = value
    assert told in "\n".join(prop_problems(props, sent))
    props["outrider:incidents"] = props.pop("outrider:incident")
    assert "outrider:incident is on one side only" in list(prop_problems(props, sent))


def test_the_alert_comes_once_for_each_incident():
    told = stanzas("savedsearches.conf")["Outrider - an incident was opened"]
    assert told["alert.digest_mode"] == "0"
    assert told["alert.suppress.fields"] == "incident_id,revision"
    assert 'reason IN ("opened", "reopened")' in told["search"]


def test_the_dashboard_asks_within_its_time():
    tree = ElementTree.fromstring(VIEW.read_text("utf-8"))
    tokens = {i.get("token") for i in tree.iter("input")}
    for search in tree.iter("search"):
        assert search.find("earliest").text == "$time.earliest$"
        assert search.find("latest").text == "$time.latest$"
        used = set(re.findall(r"\$(\w+)", search.find("query").text))
        assert used <= tokens
    nav = ElementTree.fromstring((PACK / "data" / "ui" / "nav" / "default.xml").read_text("utf-8"))
    assert VIEW.stem in {v.get("name") for v in nav.iter("view")}
