"""The saved objects for Kibana: each field is mapped, each reference is in the file."""

from __future__ import annotations

import json
import re

import pytest

from tests.unit.packs.test_elastic import PACK, TEMPLATES, mapped


def saved():
    return [json.loads(line) for line in (PACK / "kibana.ndjson").read_text("utf-8").splitlines()]


def indices():
    """Fields of each data view, by its id."""
    found = {}
    for item in saved():
        if item["type"] == "index-pattern":
            title = item["attributes"]["title"]
            kind = "flag" if "flag" in title else "incident"
            found[item["id"]] = mapped(kind)
            assert item["attributes"]["timeFieldName"] in mapped(kind)
            assert title in {*(p for t in TEMPLATES.values() for p in t["index_patterns"])}
    return found


GROUPED = {"keyword", "long", "double", "date", "constant_keyword"}
NUMBERS = {"sum", "max", "median", "average", "min"}


def saved_problems(items):
    """What is wrong with saved objects: fields, references, columns."""
    views = indices()
    known = {(i["type"], i["id"]) for i in items}
    if len(known) != len(items):
        yield "an id stands twice"
    for item in items:
        for reference in item["references"]:
            if (reference["type"], reference["id"]) not in known:
                yield f"{item['id']}: {reference['id']} is not in the file"
        if item["type"] == "lens":
            fields = views[item["references"][0]["id"]]
            yield from (
                f"{item['id']}: {told}" for told in _lens(item["attributes"]["state"], fields)
            )
        if item["type"] == "dashboard":
            yield from _dashboard(item)


def _lens(state, fields):
    (layer,) = state["datasourceStates"]["formBased"]["layers"].values()
    columns = layer["columns"]
    if set(layer["columnOrder"]) != set(columns):
        yield "columnOrder names other columns"
    for name in _accessors(state["visualization"]):
        if name not in columns:
            yield f"shows {name}, which is no column"
    for column in columns.values():
        yield from _column(column, columns, fields)
    filters = [c.get("filter", {}).get("query", "") for c in columns.values()]
    for name in re.findall(r"([\w.@]+)\s*:", " ".join([state["query"]["query"], *filters])):
        if name not in fields:
            yield f"there is no field {name}"


def _column(column, columns, fields):
    field = column["sourceField"]
    kind = fields.get(field, {}).get("type")
    if field == "___records___":
        return
    if kind is None:
        yield f"there is no field {field}"
    elif kind not in GROUPED:
        yield f"{field} is {kind}, which cannot be counted by"
    elif column["operationType"] in NUMBERS and kind not in {"long", "double"}:
        yield f"{field} is {kind}, no number"
    order = column["params"].get("sortField")
    if order is not None and fields.get(order, {}).get("type") != "date":
        yield f"{order} is no date"
    by = column["params"].get("orderBy", {}).get("columnId")
    if by is not None and by not in columns:
        yield f"ordered by {by}, which is no column"


def _accessors(told):
    for key, value in told.items():
        if key in {"metricAccessor", "xAccessor", "splitAccessor"}:
            yield value
        elif key == "accessors":
            yield from value
        elif key == "columns":
            yield from (c["columnId"] for c in value)
        elif key == "layers":
            for layer in value:
                yield from _accessors(layer)


def _dashboard(item):
    panels = json.loads(item["attributes"]["panelsJSON"])
    named = {r["name"] for r in item["references"]}
    wanted = {f"{p['panelIndex']}:{p['panelRefName']}" for p in panels}
    if named != wanted:
        yield f"panels and references differ: {sorted(named ^ wanted)}"
    for n, panel in enumerate(panels):
        place = panel["gridData"]
        if place["x"] + place["w"] > 48:
            yield f"{panel['panelIndex']} is wider than the page"
        for other in (p["gridData"] for p in panels[:n]):
            beside = place["x"] >= other["x"] + other["w"] or other["x"] >= place["x"] + place["w"]
            apart = place["y"] >= other["y"] + other["h"] or other["y"] >= place["y"] + place["h"]
            if not beside and not apart:
                yield f"{panel['panelIndex']} lies over another panel"


def test_the_dashboard_reads_fields_that_are_mapped():
    assert list(saved_problems(saved())) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"outrider.incident.affected_users"', '"outrider.incident.users"', "no field outrider"),
        ("outrider.incident.verdict: service", "outrider.incident.verdikt: service", "verdikt"),
        (
            '"outrider.incident.headline.keyword"',
            '"outrider.incident.headline"',
            "cannot be counted",
        ),
        ('"outrider.incident.user_minutes_lost"', '"outrider.incident.state"', "no number"),
        ('"metricAccessor": "m"', '"metricAccessor": "x"', "shows x"),
        ('"xAccessor": "x"', '"xAccessor": "z"', "shows z"),
        ('"columnId": "u"', '"columnId": "q"', "q, which is no column"),
        ('"id": "outrider-latest", "name"', '"id": "gone", "name"', "gone is not in the file"),
        ('\\"x\\": 12', '\\"x\\": 40', "wider than the page"),
        ('\\"y\\": 23', '\\"y\\": 8', "lies over another panel"),
        ("panel_outrider-open", "panel_outrider-opened", "differ"),
    ],
)
def test_a_broken_dashboard_is_told(old, new, told):
    text = (PACK / "kibana.ndjson").read_text("utf-8")
    assert old in text
    broken = [json.loads(line) for line in text.replace(old, new, 1).splitlines()]
    found = []
    try:
        found = list(saved_problems(broken))
    except KeyError as error:
        found.append(f"{error.args[0]} is not in the file")
    assert told in "\n".join(found)
