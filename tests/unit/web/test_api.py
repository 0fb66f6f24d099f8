"""The JSON interface over real HTTP: what it tells, page by page, and only what has changed."""

from __future__ import annotations

import json
import threading
from urllib.parse import parse_qsl, quote, urlencode

import jsonschema
import pytest
from openapi_spec_validator import validate

from pipeline.model.dead_letter import DeadLetter
from pipeline.model.incident import IncidentState
from pipeline.web.app import ANSWERS
from tests.unit.web.serving import TENANT, incident_row, site

API = "/api/v1"


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A site whose ledger no test changes."""
    with site(tmp_path_factory.mktemp("still")) as held:
        yield held


@pytest.fixture
def own(tmp_path):
    with site(tmp_path) as held:
        yield held


def ids(answer, kind="incident"):
    assert answer.status == 200, answer.body
    return [d[f"{kind}_id"] for d in answer.json["items"]]


def walk(held, path, **query):
    """All pages of a list."""
    found = []
    while True:
        answer = held.ask(f"{path}?{urlencode(query)}")
        found += ids(answer)
        if answer.json["next"] is None:
            assert "Link" not in answer.headers
            return found
        link = answer.headers["Link"].removeprefix("<?").removesuffix('>; rel="next"')
        query = dict(parse_qsl(link))
        assert query["cursor"] == answer.json["next"]


def names(*numbers):
    return [f"inc-{n:04}" for n in numbers]


def test_incidents_are_listed_by_their_last_revision_the_newest_first(still):
    answer = still.ask(f"{API}/incidents")
    assert ids(answer) == names(*range(11, -1, -1))
    states = {d["incident_id"]: (d["revision"], d["state"]) for d in answer.json["items"]}
    assert states["inc-0002"] == (2, "resolved")
    assert states["inc-0003"] == (1, "open")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=open", [11, 9, 7, 5, 3, 1]),
        ("state=open&state=resolved&limit=3", [11, 10, 9]),
        ("tenant=other-tenant", [9, 6, 3, 0]),
        ("client=owa", [10, 5, 0]),
        ("client=owa&client=outlook_android&limit=2", [11, 10]),
        ("verdict=attack&state=open", []),
        ("verdict=attack", [8, 4, 0]),
        ("since=2026-03-19T09:42:00Z", [11, 10]),
        ("since=2026-03-19T10:42:00%2B01:00", [11, 10]),
        ("since=2026-03-19T10:42:00+01:00", [11, 10]),
        ("tenant=nobody", []),
    ],
)
def test_filters_narrow_the_list(still, query, found):
    assert ids(still.ask(f"{API}/incidents?{query}")) == names(*found)


def test_flags_are_listed_too(still):
    answer = still.ask(f"{API}/flags?client=outlook_ios&state=open&limit=2")
    assert ids(answer, "flag") == ["flag-0011", "flag-0010"]
    assert ids(still.ask(f"{API}/flags?client=owa"), "flag") == []


def test_every_revision_of_an_incident_is_there(still):
    told = still.ask(f"{API}/incidents/inc-0004").json
    assert told["incident_id"] == "inc-0004"
    assert [d["revision"] for d in told["revisions"]] == [1, 2]
    assert len(still.ask(f"{API}/flags/flag-0004").json["revisions"]) == 1


@pytest.mark.parametrize("limit", [1, 5, 12, 200])
def test_pages_hold_everything_once(still, limit):
    assert walk(still, f"{API}/incidents", limit=limit) == names(*range(11, -1, -1))
    assert walk(still, f"{API}/incidents", limit=limit, state="open") == names(11, 9, 7, 5, 3, 1)


def test_pages_stay_of_one_moment_while_documents_arrive(own):
    wanted = names(11, 9, 7, 5, 3, 1)
    first = own.ask(f"{API}/incidents?state=open&limit=2")
    found, cursor = ids(first), first.json["next"]
    number = 100
    while cursor is not None:
        # Before each page all that is open is resolved, and something new is raised.
        rows = [incident_row(n, number, state=IncidentState.RESOLVED) for n in range(1, 12, 2)]
        own.ledger.add_documents("incident", [*rows, incident_row(number)])
        answer = own.ask(f"{API}/incidents?state=open&limit=2&cursor={cursor}")
        found += ids(answer)
        cursor, number = answer.json["next"], number + 1
    assert found == wanted
    assert ids(own.ask(f"{API}/incidents?state=open")) == names(*range(number - 1, 99, -1))


def test_what_the_asker_has_already_is_not_sent_again(own):
    target = f"{API}/incidents?limit=3"
    first = own.ask(target)
    tag = first.headers["ETag"]
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = own.ask(target, if_none_match=given)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["ETag"] == tag
    assert own.ask(target, if_none_match='"other"').status == 200
    own.ledger.add_documents("incident", [incident_row(500)])
    changed = own.ask(target, if_none_match=tag)
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


def test_head_tells_the_same_without_the_body(still):
    target = f"{API}/incidents?limit=1"
    whole, head = still.ask(target), still.ask(target, "HEAD")
    assert (head.status, head.body) == (200, b"")
    for name in ("ETag", "Content-Type", "Content-Length", "Link"):
        assert head.headers[name] == whole.headers[name]


def test_tenants_are_listed_with_what_there_is_of_them(still):
    first, second = still.ask(f"{API}/tenants").json["items"]
    assert (first["tenant"], first["incidents"]) == (TENANT, {"open": 4, "resolved": 4})
    assert first["flags"] == {"open": 12}
    assert second["tenant"] == "other-tenant"
    assert second["newest_raised_at"] == "2026-03-19T09:41:00Z"


def test_dead_letters_are_summed_up(own):
    letters = [DeadLetter(0, 10**15 + n, "t", "not_json", "d", "p", "k") for n in range(3)]
    own.ledger.bury(letters)
    told = own.ask(f"{API}/dead/summary").json
    assert told["letters"] == 3
    assert told["items"][0]["reason"] == "not_json"
    assert told["items"][0]["waiting"] == 3


def test_status_tells_how_far_the_ledger_is(own):
    own.ledger.put_delivered("ndjson", 4)
    told = own.ask(f"{API}/status").json
    assert told["lag"] == {"ndjson": told["newest_document"] - 4}
    assert (told["mode"], told["version"], told["ready"]) == ("embedded", "1.2.3", True)
    own.health.problem = "the disk is full"
    assert own.ask(f"{API}/status").json["problem"] == "the disk is full"


def test_health_is_told_without_its_reasons(own):
    assert own.ask("/readyz").json == {"alive": True, "ready": True}
    own.health.problem = "/var/lib/somewhere is full"
    answer = own.ask("/readyz")
    assert answer.status == 503
    assert b"somewhere" not in answer.body
    assert own.ask("/healthz").status == 200
    own.health.turned_at -= 1000.0
    assert own.ask("/healthz").status == 503


def test_requests_are_counted_by_route_and_never_by_what_was_asked(own):
    own.ask(f"{API}/incidents/inc-0001")
    own.ask(f"{API}/incidents/<script>")
    own.ask("/nowhere/to/be/found")
    text = own.ask("/metrics").body.decode()
    assert 'outrider_http_requests_total{route="/api/v1/incidents/{id}",status="200"} 1.0' in text
    assert 'outrider_http_requests_total{route="none",status="404"} 1.0' in text
    assert "script" not in text
    assert "nowhere" not in text


def named(path):
    """An address about something that there is."""
    kinds = {"incidents": "inc-0001", "flags": "flag-0001", "advisories": "EX1200000"}
    return path.replace("{id}", kinds.get(path.split("/")[3], ""))


def test_the_openapi_document_is_valid_and_whole(still):
    described = still.ask(f"{API}/openapi.json").json
    validate(described)
    assert set(described["paths"]) == {a.path for a in ANSWERS.values()}
    for path in described["paths"]:
        target = named(path)
        assert still.ask(target).status == 200, path


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_every_answer_is_what_the_openapi_document_says(own, name):
    own.ledger.bury([DeadLetter(0, 10**15, "t", "not_json", "d", "p", "k")])
    own.ledger.put_delivered("ndjson", 4)
    described = own.ask(f"{API}/openapi.json").json
    path = ANSWERS[name].path
    reply = described["paths"][path]["get"]["responses"]["200"]
    schema = {**reply["content"]["application/json"]["schema"], **described}
    check = jsonschema.Draft202012Validator(schema)
    target = named(path)
    told = own.ask(f"{target}?q=outlook" if name == "search" else target).json
    check.validate(told)
    with pytest.raises(jsonschema.ValidationError):
        check.validate({**told, "more": 1})
    whole = json.dumps(told)
    assert whole.count("{") > 1  # it is about something


def test_parameters_in_the_openapi_document_are_those_that_are_read(still):
    described = still.ask(f"{API}/openapi.json").json
    for path, item in described["paths"].items():
        target = named(path)
        for parameter in item["get"]["parameters"]:
            if parameter["in"] == "query" and parameter["name"] != "cursor":
                schema = parameter["schema"].get("items", parameter["schema"])
                value = {"integer": "3"}.get(schema["type"], "x")
                value = schema.get("enum", [value])[-1]
                value = "2026-03-01" if schema.get("format") else value
                answer = still.ask(f"{target}?{parameter['name']}={quote(value)}")
                assert answer.status == 200, (path, parameter["name"])


def test_many_may_ask_at_a_time(still):
    answers = []

    def work():
        answers.extend(still.ask(f"{API}/incidents?limit=5").status for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 120
