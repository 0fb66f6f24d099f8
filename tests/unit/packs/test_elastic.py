"""The pack for Elastic: mappings, pipeline, transform and dashboard, held to what is stored."""

from __future__ import annotations

import copy
import fnmatch
import json
import re
from pathlib import Path

import pytest

from pipeline.model.clock import parse_rfc3339
from tests.unit.packs.sent import PACKS, ecs_events

PACK = PACKS / "elastic"
STREAMS = {"incident": "logs-outrider.incident-default", "flag": "logs-outrider.flag-default"}
PAGE = Path(__file__).parents[3] / "docs" / "outputs.md"
# Set by the pipeline, not by the encoder.
INGESTED = "event.ingested"


def part(folder, name):
    return json.loads((PACK / folder / f"{name}.json").read_text("utf-8"))


def leaves(properties, prefix=""):
    """Every mapped field by its name, with its sub-fields."""
    found = {}
    for name, told in properties.items():
        path = f"{prefix}{name}"
        if "properties" in told:
            found |= leaves(told["properties"], f"{path}.")
        else:
            found[path] = told
            for inner, more in told.get("fields", {}).items():
                found[f"{path}.{inner}"] = more
    return found


def mapping(template):
    """Fields of an index by name, as its template puts them together; the later part wins."""
    found = {}
    for component in template["composed_of"]:
        inner = part("component_template", component)["template"].get("mappings", {})
        found |= leaves(inner.get("properties", {}))
    return found | leaves(template.get("template", {}).get("mappings", {}).get("properties", {}))


TEMPLATES = {path.stem: json.loads(path.read_text("utf-8"))
             for path in sorted((PACK / "index_template").glob("*.json"))}  # fmt: skip


def mapped(kind):
    return mapping(TEMPLATES[f"logs-outrider.{kind}"])


def fits(told, value):
    """Whether a value can be stored in a field."""
    kind = told["type"]
    if kind == "flattened":
        return isinstance(value, dict)
    if kind == "date":
        return isinstance(value, str) and bool(parse_rfc3339(value))
    if kind == "long":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "double":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)


def values(event, fields, prefix=""):
    """(name, value) of each field of an event; what is flattened is one field."""
    for name, item in event.items():
        path = f"{prefix}{name}"
        for one in item if isinstance(item, list) else [item]:
            if isinstance(one, dict) and fields.get(path, {}).get("type") != "flattened":
                yield from values(one, fields, f"{path}.")
            else:
                yield path, one


def mapping_problems(fields, events):
    """How a mapping and what is stored differ."""
    seen = set()
    for event in events:
        for name, value in values(event, fields):
            seen.add(name)
            if name not in fields:
                yield f"{name} is not mapped"
            elif not fits(fields[name], value):
                yield f"{name} is mapped as {fields[name]['type']}, and holds {value!r}"
    inner = {n for n in fields if any(n.startswith(f"{m}.") and m in fields for m in fields)}
    yield from (f"{name} is mapped and never sent" for name in fields.keys() - seen - inner
                if name != INGESTED)  # fmt: skip


@pytest.mark.parametrize("kind", STREAMS)
def test_each_field_is_mapped_as_it_is_sent(kind):
    assert list(mapping_problems(mapped(kind), ecs_events(kind))) == []


@pytest.mark.parametrize(
    ("name", "changed", "told"),
    [
        ("outrider.incident.verdict", None, "outrider.incident.verdict is not mapped"),
        ("event.severity", {"type": "keyword"}, "event.severity is mapped as keyword"),
        ("outrider.incident.onset_at", {"type": "long"}, "is mapped as long"),
        ("outrider.incident.confidence", {"type": "date"}, "is mapped as date"),
        ("outrider.incident.verdikt", {"type": "keyword"}, "verdikt is mapped and never sent"),
        ("outrider.incident.evidence.numbers", None, "evidence.numbers.users is not mapped"),
    ],
)
def test_a_broken_mapping_is_told(name, changed, told):
    fields = mapped("incident")
    fields.pop(name, None)
    if changed is not None:
        fields[name] = changed
    assert told in "\n".join(mapping_problems(fields, ecs_events("incident")))


def test_what_the_page_calls_flattened_is():
    told = re.search(r"map ([^:]*?) as `flattened`", PAGE.read_text("utf-8"), re.DOTALL)
    named = set(re.findall(r"`([\w.]+)`", told[1]))
    found = {
        name
        for kind in STREAMS
        for name, field in mapped(kind).items()
        if field["type"] == "flattened"
    }
    assert found == named


def test_the_longest_text_is_stored_and_the_longest_word_is_found():
    for kind in STREAMS:
        for name, field in mapped(kind).items():
            if field["type"] in {"keyword", "flattened"}:
                assert field["ignore_above"] == 1024, name  # beyond 32,766 bytes it is refused


def test_templates_take_the_streams_that_are_sent_to():
    for kind, stream in STREAMS.items():
        told = TEMPLATES[f"logs-outrider.{kind}"]
        assert any(fnmatch.fnmatch(stream, p) for p in told["index_patterns"])
        assert "data_stream" in told
        assert told["priority"] > 200  # Elastic's own for logs-*-* have 100 and 200
        for event in ecs_events(kind):
            assert "-".join(event["data_stream"].values()) == stream
    common = part("component_template", "outrider-common")["template"]["settings"]["index"]
    assert common["default_pipeline"] == "outrider"
    assert (PACK / "ingest_pipeline" / "outrider.json").exists()


def transform_problems(told, pipeline, fields):
    """What is wrong with a transform, given the pipeline and the mapping before it."""
    if not any(fnmatch.fnmatch(STREAMS["incident"], i) for i in told["source"]["index"]):
        yield "reads no stream of incidents"
    for name in told["latest"]["unique_key"]:
        if fields.get(name, {}).get("type") != "keyword":
            yield f"{name} is no keyword"
    for name in (told["latest"]["sort"], told["sync"]["time"]["field"]):
        if fields.get(name, {}).get("type") != "date":
            yield f"{name} is no date"
        set_here = [p["set"]["field"] for p in pipeline["processors"] if "set" in p]
        if name not in set_here:
            yield f"{name} is set by nobody"
    latest = TEMPLATES["outrider-incidents-latest"]["index_patterns"]
    if not any(fnmatch.fnmatch(told["dest"]["index"], p) for p in latest):
        yield "writes to an index without a template"


def test_the_transform_keeps_the_revision_that_came_last():
    told, pipeline = (
        part("transform", "outrider-incidents-latest"),
        part("ingest_pipeline", "outrider"),
    )
    assert list(transform_problems(told, pipeline, mapped("incident"))) == []
    for path, value, expected in (
        (("latest", "unique_key"), ["outrider.incident.id"], "outrider.incident.id is no keyword"),
        (("latest", "sort"), "event.sequence", "event.sequence is no date"),
        (("sync", "time", "field"), "@timestamp", "@timestamp is set by nobody"),
        (("dest", "index"), "elsewhere", "without a template"),
        (("source", "index"), ["logs-other-*"], "reads no stream"),
    ):
        broken = copy.deepcopy(told)
        place = broken
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        assert expected in "\n".join(transform_problems(broken, pipeline, mapped("incident")))


def test_the_state_of_all_namespaces_fits_one_index():
    fields = mapping(TEMPLATES["outrider-incidents-latest"])
    assert fields["data_stream.namespace"]["type"] == "keyword"
    assert list(mapping_problems(fields, ecs_events("incident"))) == []
