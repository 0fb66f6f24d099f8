"""The pack for Grafana: PromQL by the metrics that exist, tables by what the interface answers."""

from __future__ import annotations

import copy
import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.datastructures import QueryParams

from pipeline.web.app import ANSWERS
from pipeline.web.problems import ProblemError
from pipeline.web.query import read
from tests.docker.files import DOCKER
from tests.docker.watching import BUILT_IN, _overlap, exposed, query
from tests.unit.packs.sent import PACKS, documents, paths

BOARD = PACKS / "grafana" / "outrider-incidents.json"
SERVED = {"IncidentPage": "incident", "FlagPage": "flag"}


def board():
    return json.loads(BOARD.read_text("utf-8"))


def at(document, path):
    for step in path.split("."):
        document = document.get(step) if isinstance(document, dict) else None
    return document


def table_problems(target):
    """What is wrong with a query of the JSON interface."""
    asked = urlsplit(target["url"])
    served = {a.path: a for a in ANSWERS.values()}
    answer = served.get(asked.path)
    if answer is None or answer.schema not in SERVED:
        yield f"there is no list at {asked.path}"
        return
    plain = asked.query.replace("${__from:date:iso}", "2026-03-19T08:00:00.000Z")
    try:
        read(QueryParams(parse_qsl(plain)), answer.parameters)
    except ProblemError as error:
        yield f"{asked.query}: {error}"
    if target["root_selector"] != "items":
        yield "reads no items"
    held = documents()[SERVED[answer.schema]]
    names = {name for document in held for name in paths(document)}
    for column in target["columns"]:
        if column["selector"] not in names:
            yield f"there is no field {column['selector']}"
            continue
        found = [at(d, column["selector"]) for d in held]
        wanted = int | float if column["type"] == "number" else str
        if not all(isinstance(v, wanted) for v in found if v is not None):
            yield f"{column['selector']} is no {column['type']}"
        if column["type"] == "timestamp" and not column["selector"].endswith("_at"):
            yield f"{column['selector']} is no timestamp"


def problems(told):
    """What is wrong with a dashboard."""
    known = {**exposed(), **BUILT_IN}
    sources = {f"${{{v['name']}}}": v["query"] for v in told["templating"]["list"]}
    places, ids = [], [p["id"] for p in told["panels"]]
    if len(set(ids)) != len(ids):
        yield "an id stands twice"
    for panel in told["panels"]:
        title = panel["title"]
        yield from (f"{title}: {text}" for text in _overlap(panel["gridPos"], places))
        places.append(panel["gridPos"])
        shown = set()
        for target in panel["targets"]:
            source = target["datasource"]
            if sources.get(source["uid"]) != source["type"]:
                yield f"{title}: {source['uid']} is no variable of this kind"
            if "expr" in target:
                asked, found = query(target["expr"], known)
                yield from (f"{title}: {text}" for text in found or asked.problems)
            else:
                yield from (f"{title}: {text}" for text in table_problems(target))
                shown |= {c["text"] for c in target["columns"]}
        for override in panel["fieldConfig"]["overrides"]:
            if override["matcher"]["options"] not in shown:
                yield f"{title}: there is no column {override['matcher']['options']}"


def test_the_dashboard_shows_what_exists():
    assert list(problems(board())) == []


BROKEN = {
    "no such metric": ((0, "targets", 0, "expr"), "sum(outrider_open)", "no metric outrider_open"),
    "no PromQL": ((0, "targets", 0, "expr"), "sum(", "no PromQL"),
    "no such address": ((4, "targets", 0, "url"), "/api/v1/incident", "no list at"),
    "no such state": ((4, "targets", 0, "url"), "/api/v1/incidents?state=opn", "is none of"),
    "no such parameter": ((4, "targets", 0, "url"), "/api/v1/flags?verdict=x", "no parameter"),
    "no such field": ((4, "targets", 0, "columns", 0, "selector"), "level", "no field level"),
    "another kind of field": ((4, "targets", 0, "columns", 0, "type"), "number", "is no number"),
    "no time": ((4, "targets", 0, "columns", 0, "type"), "timestamp", "is no timestamp"),
    "another root": ((4, "targets", 0, "root_selector"), "rows", "reads no items"),
    "no such column": (
        (4, "fieldConfig", "overrides", 0, "matcher", "options"), "Level", "no column Level",
    ),
    "no such source": ((0, "targets", 0, "datasource", "uid"), "${x}", "is no variable"),
    "one over another": ((1, "gridPos", "x"), 0, "lies over another"),
    "one id twice": ((1, "id"), 1, "stands twice"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "value", "told"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_dashboard_is_told(path, value, told):
    broken = copy.deepcopy(board())
    place = broken["panels"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert told in "\n".join(problems(broken))


def test_it_leads_to_the_dashboard_of_the_run_and_doubles_none():
    told = board()
    other = json.loads((DOCKER / "grafana" / "dashboards" / "outrider.json").read_text("utf-8"))
    assert f"/d/{other['uid']}" in [link["url"] for link in told["links"]]
    assert told["uid"] != other["uid"]
