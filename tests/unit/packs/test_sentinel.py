"""The pack for Sentinel: its KQL runs over rows that the sink sends, its columns are those rows'."""

from __future__ import annotations

import copy
import json
import re

import duckdb_kql
import pytest

from connectors.sinks.sentinel import SentinelSink
from connectors.sinks.sentinel_rows import COLUMNS, row
from tests.unit.packs.sent import PACKS, documents

PACK = PACKS / "sentinel"
TABLES = {"incident": "OutriderIncident_CL", "flag": "OutriderFlag_CL"}
SQL = {
    "string": "VARCHAR", "datetime": "TIMESTAMP", "int": "INTEGER", "long": "BIGINT",
    "real": "DOUBLE", "dynamic": "JSON",
}  # fmt: skip
BASE = "OutriderIncidents"


def template(name):
    return json.loads((PACK / name).read_text("utf-8"))


def functions():
    return {p.stem: p.read_text("utf-8") for p in sorted((PACK / "functions").glob("*.kql"))}


def panels():
    items = template("workbook.json")["items"]
    return {i["name"]: i["content"]["query"] for i in items if i["type"] == 3}


def rule():
    (resource,) = template("rule.json")["resources"]
    return resource["properties"]


QUERIES = {**functions(), **panels(), "rule": rule()["query"]}


@pytest.fixture(scope="module")
def workspace():
    """Tables with every row twice, as Log Analytics keeps what came twice."""
    held = duckdb_kql.connect()
    for kind, table in TABLES.items():
        columns = COLUMNS[kind]
        names = ", ".join(f'"{c}" {SQL[sort]}' for c, sort in columns.items())
        held.execute(f"CREATE TABLE {table} ({names})")
        for document in documents()[kind] * 2:
            found = row(document)
            assert set(found) <= set(columns)
            values = [
                json.dumps(found[c]) if sort == "dynamic" and c in found else found.get(c)
                for c, sort in columns.items()
            ]
            marks = ", ".join("?" * len(values))
            held.execute(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608 # our words
    duckdb_kql.kql(held, functions()[BASE]).create(BASE)
    yield held
    held.close()


def run(workspace, query):
    """The rows of a query, by column. When a row came in is known to Azure alone: now."""
    relation = duckdb_kql.kql(workspace, query.replace("ingestion_time()", "now()"))
    return [dict(zip(relation.columns, values, strict=True)) for values in relation.fetchall()]


def problems(workspace, query):
    """What is wrong with a query: its grammar, its columns, and what it reads of dynamic ones."""
    told = []
    try:
        run(workspace, query)
    except Exception as error:  # noqa: BLE001 # each layer of the engine has errors of its own
        told.append(f"{type(error).__name__}: {error}")
    kind = "flag" if TABLES["flag"] in query else "incident"
    held = [row(document) for document in documents()[kind]]
    for column, field in re.findall(r"\b([A-Z]\w+)\.(\w+)", query):
        seen = [r[column] for r in held if isinstance(r.get(column), dict)]
        if not any(field in value for value in seen):
            told.append(f"{column} has no {field}")
    return told


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_runs_over_rows_that_the_sink_sends(name, workspace):
    assert problems(workspace, QUERIES[name]) == []


BROKEN = {
    "no such column": ("AffectedUsers", "AffectedUser", "AffectedUser"),
    "no such field of a dynamic column": ("Advisory.advisory_id", "Advisory.id", "has no id"),
    "no such table": ("OutriderIncident_CL", "OutriderIncidents_CL", "needs the input columns"),
    "a bracket too few": ("tostring(Services[0])", "tostring(Services[0]", "Error"),
    "a word that is no operator": ("| project", "| projekt", "Error"),
}


@pytest.mark.parametrize(("old", "new", "told"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_query_is_told(old, new, told, workspace):
    query = QUERIES["rule"]
    assert old in query
    assert told in "\n".join(problems(workspace, query.replace(old, new)))


def test_of_each_incident_the_last_revision_counts_once(workspace):
    found = run(workspace, QUERIES[BASE])
    assert {r["IncidentId"]: r["Revision"] for r in found} == {
        "inc-33c65910ec91c732": 4,
        "inc-late": 1,
    }
    assert len(found) == 2


def test_what_is_over_is_not_open(workspace):
    (found,) = run(workspace, QUERIES["OutriderOpenIncidents"])
    assert (found["IncidentId"], found["AdvisoryId"]) == ("inc-late", "EX2")
    assert found["UserHoursLost"] == 10.0


def test_lead_times_tell_who_was_first(workspace):
    found = {r["IncidentId"]: r for r in run(workspace, QUERIES["OutriderLeadTimes"])}
    assert {k: (r["Who"], r["LeadMinutes"]) for k, r in found.items()} == {
        "inc-33c65910ec91c732": ("our logs", 193.0),
        "inc-late": ("Microsoft", -10.0),
    }
    (median,) = run(workspace, QUERIES["median"])
    assert (median["Known"], median["Negative"], median["WithoutAdvisory"]) == (2, 1, 0)


def test_flags_are_counted_by_client(workspace):
    found = {r["Client"]: r for r in run(workspace, QUERIES["OutriderFlagsByClient"])}
    assert {c: (r["Flags"], r["Open"]) for c, r in found.items()} == {
        "outlook_ios": (1, 0),
        "owa": (1, 0),
    }
    assert found["owa"]["LogSource"] == "exchange_audit"


def test_each_incident_raises_one_alert(workspace):
    found = run(workspace, QUERIES["rule"])
    assert sorted((r["IncidentId"], r["Reason"], r["AlertSeverity"]) for r in found) == [
        ("inc-33c65910ec91c732", "opened", "Medium"),
        ("inc-late", "opened", "High"),
    ]


def columns_of_rule(workspace):
    query = rule()["query"].replace("ingestion_time()", "now()")
    return set(duckdb_kql.kql(workspace, query).columns)


def rule_problems(properties, columns):
    """Columns that a rule names and its query does not give, and what Sentinel refuses."""
    named = list(properties["customDetails"].values())
    named.append(properties["alertDetailsOverride"]["alertSeverityColumnName"])
    for text in properties["alertDetailsOverride"].values():
        named += re.findall(r"\{\{(\w+)\}\}", text)
    for mapping in properties["entityMappings"]:
        named += [m["columnName"] for m in mapping["fieldMappings"]]
    yield from (f"no column {name}" for name in named if name not in columns)
    if len(properties["customDetails"]) > 20:
        yield "more than 20 custom details"
    if properties["eventGroupingSettings"]["aggregationKind"] != "AlertPerResult":
        yield "alerts of several incidents in one"
    grouping = properties["incidentConfiguration"]["groupingConfiguration"]
    unknown = set(grouping["groupByCustomDetails"]) - set(properties["customDetails"])
    yield from (f"groups by {name}, which is no custom detail" for name in unknown)


def test_the_rule_names_columns_of_its_query(workspace):
    assert list(rule_problems(rule(), columns_of_rule(workspace))) == []


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("customDetails", "Verdict"), "Verdikt", "no column Verdikt"),
        (("alertDetailsOverride", "alertDisplayNameFormat"), "{{Title}}", "no column Title"),
        (("alertDetailsOverride", "alertSeverityColumnName"), "Level", "no column Level"),
        (("entityMappings", 0, "fieldMappings", 0, "columnName"), "App", "no column App"),
        (("eventGroupingSettings", "aggregationKind"), "SingleAlert", "several incidents"),
        (
            ("incidentConfiguration", "groupingConfiguration", "groupByCustomDetails"),
            ["Id"],
            "groups by Id",
        ),
    ],
)
def test_a_broken_rule_is_told(path, value, told, workspace):
    broken = copy.deepcopy(rule())
    place = broken
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert told in "\n".join(rule_problems(broken, columns_of_rule(workspace)))


def table_problems(told):
    """How tables and streams of a template differ from what the sink sends."""
    by_type = {}
    for resource in told["resources"]:
        by_type.setdefault(resource["type"], []).append(resource)
    (dcr,) = by_type["Microsoft.Insights/dataCollectionRules"]
    streams = dcr["properties"]["streamDeclarations"]
    flows = {f["streams"][0]: f for f in dcr["properties"]["dataFlows"]}
    tables = {
        t["properties"]["schema"]["name"]: t["properties"]["schema"]["columns"]
        for t in by_type["Microsoft.OperationalInsights/workspaces/tables"]
    }
    for kind, table in TABLES.items():
        stream = f"Custom-{table}"
        for where, columns in (("stream", streams[stream]["columns"]), ("table", tables[table])):
            found = {c["name"]: c["type"].lower() for c in columns}
            wanted = COLUMNS[kind]
            for name in sorted(found.keys() ^ wanted.keys()):
                yield f"{where} of {kind}: {name} is on one side only"
            for name in found.keys() & wanted.keys():
                if found[name] != wanted[name]:
                    yield f"{where} of {kind}: {name} is {found[name]}, sent as {wanted[name]}"
        if flows[stream]["outputStream"] != stream:
            yield f"{stream} flows to {flows[stream]['outputStream']}"
    if dcr.get("kind") != "Direct":
        yield "a rule that is not Direct has no endpoint of its own"


def test_tables_and_streams_have_the_columns_that_are_sent():
    assert list(table_problems(template("tables.json"))) == []
    sink = SentinelSink("http://127.0.0.1:1", "dcr-0", None, monitor="https://monitor.azure.com")
    assert sink._streams == {kind: f"Custom-{table}" for kind, table in TABLES.items()}
    sink.close()


def test_other_columns_are_told():
    for change, told in (
        (lambda c: c.pop(), "is on one side only"),
        (lambda c: c.append({"name": "TenantId", "type": "string"}), "TenantId is on one side"),
        (lambda c: c[0].update(type="string"), "TimeGenerated is string, sent as datetime"),
    ):
        for at in (0, 2):
            broken = template("tables.json")
            properties = broken["resources"][at]["properties"]
            streams = properties.get("streamDeclarations", {})
            place = streams.get("Custom-OutriderIncident_CL") or properties["schema"]
            change(place["columns"])
            assert told in "\n".join(table_problems(broken))
    broken = template("tables.json")
    broken["resources"][2]["properties"]["dataFlows"][0]["outputStream"] = "Custom-X_CL"
    assert "flows to Custom-X_CL" in "\n".join(table_problems(broken))


def reference_problems(told):
    """Parameters that a template names without having them."""
    text = json.dumps(told["resources"]) + json.dumps(told.get("outputs", {}))
    named = set(re.findall(r"parameters\('(\w+)'\)", text))
    yield from sorted(named ^ set(told["parameters"]))


@pytest.mark.parametrize("name", ["tables.json", "functions.json", "rule.json"])
def test_templates_name_the_parameters_that_they_have(name):
    told = template(name)
    assert list(reference_problems(told)) == []
    told["parameters"]["other"] = told["parameters"].popitem()[1]
    assert "other" in list(reference_problems(told))


def test_the_template_deploys_the_functions_as_their_files_have_them():
    told = {
        r["properties"]["functionAlias"]: r["properties"]["query"]
        for r in template("functions.json")["resources"]
    }
    assert told == functions()


def test_the_workbook_asks_within_its_time():
    items = template("workbook.json")["items"]
    (parameters,) = [i["content"]["parameters"] for i in items if i["type"] == 9]
    names = {p["name"] for p in parameters}
    asked = {i["content"]["timeContextFromParameter"] for i in items if i["type"] == 3}
    assert asked == names == {"TimeRange"}
    assert len({i["name"] for i in items}) == len(items)
