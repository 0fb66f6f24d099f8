"""What the dashboard shows, over real HTTP: now, hours, advisories, leads, sources, search."""

from __future__ import annotations

import shutil
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from pipeline.ledger.store import Ledger
from tests.unit.web import large_ledger
from tests.unit.web.large_ledger import TENANT, advisory_id
from tests.unit.web.serving import site

API = "/api/v1"


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A site over a small ledger of two tenants."""
    folder = tmp_path_factory.mktemp("shown")
    made = large_ledger.build(
        folder / "made.sqlite", incidents=12, cells=8, days=3, tenants=2, advisories=6
    )
    made.close()
    shutil.move(folder / "made.sqlite", folder / "ledger.sqlite")
    with site(folder, count=0) as held:
        yield held


def get(held, path, **query):
    answer = held.ask(f"{API}/{path}?{urlencode(query, doseq=True)}")
    assert answer.status == 200, answer.body
    return answer.json


def walk(held, path, **query):
    """All items of a list, page by page."""
    found = []
    while True:
        answer = held.ask(f"{API}/{path}?{urlencode(query)}")
        assert answer.status == 200, answer.body
        found += answer.json["items"]
        if answer.json["next"] is None:
            return found
        link = answer.headers["Link"].removeprefix("<?").removesuffix('>; rel="next"')
        query = dict(parse_qsl(link))


def test_now_tells_each_cell_of_each_tenant(shown):
    first, second = walk(shown, "now", limit=1)
    assert [first["tenant"], second["tenant"]] == [TENANT, "tenant-0001"]
    states = {c["state"] for c in first["cells"]}
    assert {"low", "usual"} <= states
    low = next(c for c in first["cells"] if c["state"] == "low")
    users = {m["signal"]: m for m in low["measures"]}["active_users"]
    assert users["observed"] < users["low"] < users["expected"] < users["high"]
    assert len(low["hours"]) == 4
    assert sum(first["states"].values()) == len(first["cells"]) == 8
    assert get(shown, "now", tenant="tenant-0001")["items"] == [second]
    assert get(shown, "now", tenant="nobody") == {"items": [], "next": None}


def test_the_timeline_tells_the_hours_asked_for(shown):
    day = {"since": "2026-05-31T00:00:00Z", "until": "2026-06-01T00:00:00Z"}
    cell = {"source": "exchange_audit", "client": "outlook_ios", "signal": "active_users"}
    (series,) = get(shown, "timeline", tenant=TENANT, **day, **cell)["items"]
    assert series["hour"][0] == "2026-05-31T00:00:00Z"
    assert series["hour"][-1] == "2026-05-31T23:00:00Z"
    for name in ("observed", "expected", "low", "high", "completeness"):
        assert len(series[name]) == 24
    # Without a stretch, the newest week, the running hours too.
    (newest,) = get(shown, "timeline", tenant=TENANT, **cell)["items"]
    assert newest["hour"][-1] == "2026-06-01T09:00:00Z"
    assert len(newest["hour"]) == len(set(newest["hour"])) == 3 * 24 + 4
    assert len(get(shown, "timeline", limit=2)["items"]) == 2
    assert get(shown, "timeline", tenant="nobody")["items"] == []


def test_advisories_are_listed_with_what_they_mean(shown):
    found = walk(shown, "advisories", limit=4)
    assert [a["advisory_id"] for a in found] == [advisory_id(n) for n in (5, 4, 3, 2, 1, 0)]
    assert found[-1]["versions"] == 2
    # One tenant is affected, and it is the one that is shown.
    assert (found[-1]["impacts"], found[-1]["tenant"]) == (
        {"yes": 1, "no_sign": 1, "cannot_tell": 0},
        TENANT,
    )
    assert found[-1]["impact"]["answer"] == "yes"
    affecting = get(shown, "advisories", answer="yes")["items"]
    assert [a["advisory_id"] for a in affecting] == [advisory_id(0)]
    assert get(shown, "advisories", answer="yes", tenant="tenant-0001")["items"] == []


def test_one_advisory_is_told_whole(shown):
    told = get(shown, f"advisories/{advisory_id(0)}")
    assert len(told["versions"]) == 2
    assert [i["tenant"] for i in told["impacts"]] == [TENANT, "tenant-0001"]
    assert {row["advisory_id"] for row in told["leads"]} == {advisory_id(0)}
    assert shown.ask(f"{API}/advisories/nothing").status == 404


def test_the_ledger_tells_who_was_first(shown):
    rows = walk(shown, "ledger", limit=5)
    told = get(shown, "ledger")
    assert len(rows) == sum(told["summary"]["kinds"].values())
    assert told["summary"]["median_lead_seconds"] == 3600.0
    (first,) = get(shown, "ledger", kind="first")["items"]
    assert first["incident_id"] == "inc-000000000000"


def test_sources_tell_what_is_wrong(shown):
    first, _ = get(shown, "sources")["items"]
    feeds = {f["feed"]: f for f in first["feeds"]}
    assert feeds["activity"]["state"] == "behind"
    assert feeds["activity"]["late_seconds"] == 3 * 3600.0
    assert feeds["activity"]["problem"]
    logs = {log["source"]: log for log in first["logs"]}
    assert logs["exchange_audit"]["completeness"] == 0.1
    assert logs["exchange_audit"]["missing"][0]["expected"] == 2210.4
    assert get(shown, "status")["completeness"] == 0.1


def test_deliveries_tell_what_became_of_an_incident(shown):
    name = "inc-00000000000b"
    told = get(shown, f"incidents/{name}/deliveries")
    found = {(d["sink"], d["kind"], d["state"]) for d in told["items"]}
    assert found == {
        ("ndjson", "records", "handed"),
        ("pagerduty.soc", "notices", "refused"),
        ("sentinel.soc", "records", "waiting"),
        ("slack.oncall", "notices", "handed"),
        ("splunk.main", "records", "refused"),
    }
    lags = {s["sink"]: s["waiting"] for s in told["sinks"]}
    assert lags["ndjson"] == 0 < lags["splunk.main"]
    assert shown.ask(f"{API}/incidents/nothing/deliveries").status == 404


def test_search_finds_incidents_and_advisories(shown):
    found = get(shown, "search", q="outlook")["items"]
    assert {h["kind"] for h in found} == {"incident", "advisory"}
    assert [h["id"] for h in get(shown, "search", q="INC-00000000000b")["items"]] == [
        "inc-00000000000b"
    ]
    assert [h["id"] for h in get(shown, "search", q=advisory_id(3), kind="advisory")["items"]] == [
        advisory_id(3)
    ]
    mine = get(shown, "search", q="outlook", kind="incident", tenant="tenant-0001")["items"]
    assert {h["tenant"] for h in mine} == {"tenant-0001"}
    assert get(shown, "search")["items"] == []


@pytest.mark.parametrize(
    "text",
    [
        '"', '"" OR tenant : *', "told:x AND NOT (", "*", "^owa*", "NEAR(a b, 9)", "a'; DROP TABLE x",
        "{told} : x", "-", "\u202eowa", "\x00owa", "<script>", "x" * 999, "a " * 400, "\ud7ff\uffff", "²",
    ],
)  # fmt: skip
def test_hostile_words_break_nothing_and_find_what_they_say(shown, text):
    answer = shown.ask(f"{API}/search?q={quote(text)}")
    assert answer.status == 200, answer.body
    named = answer.json["items"]
    assert all("owa" in text or h["id"] for h in named)


def test_the_front_page_adds_up(shown):
    told = get(shown, "front")
    assert sum(told["states"].values()) == 12
    assert sum(told["open"].values()) == told["states"]["open"]
    assert told["tenants"] == 2
    assert sum(told["cells"].values()) == 16
    assert (told["feeds_unwell"], told["affecting"], told["sinks_waiting"]) == (2, 1, 2)
    assert get(shown, "front", tenant="nobody")["cells"] == {}


@pytest.mark.parametrize(
    "query",
    [
        "now?limit=0", "timeline?since=yesterday", "timeline?until=x", "timeline?signal=noise",
        "advisories?answer=perhaps", "advisories?cursor=eyJ4Ijo5fQ", "ledger?kind=none",
        "search?kind=flag", "front?limit=3", "timeline?tenant=a&tenant=b", f"search?q={'x' * 1001}",
    ],
)  # fmt: skip
def test_what_nobody_can_mean_is_refused_with_its_name(shown, query):
    answer = shown.ask(f"{API}/{query}")
    assert answer.status == 400
    assert answer.json["parameter"] == query.split("?")[1].split("=")[0]


def test_a_cursor_is_good_for_its_own_list_only(shown):
    cursor = get(shown, "now", limit=1)["next"]
    assert shown.ask(f"{API}/sources?cursor={cursor}").status == 400
    assert shown.ask(f"{API}/now?cursor={cursor}").status == 200


def test_a_ledger_of_which_nothing_was_judged_shows_nothing(tmp_path):
    Ledger(tmp_path / "ledger.sqlite").close()
    with site(tmp_path, count=0) as held:
        for path in ("now", "sources", "timeline"):
            assert get(held, path, tenant="nobody")["items"] == []
