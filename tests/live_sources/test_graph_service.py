"""The stand-in for Microsoft Graph's reports behaves as the documents say, on a real wire."""

from __future__ import annotations

import ssl
from datetime import timedelta

import pytest
import requests
import trustme

from connectors.auth import Application, ClientSecret, Identity
from connectors.http.client import HttpClient
from connectors.sources.graph_signins import GraphSignins
from pipeline.model.errors import AuthError
from tests.live_sources.graph_tenant import HOUR, MINUTE, START, changed, signed_in, tenant
from tests.services.entra import CLIENT, GRAPH_ROLES, SECRET, TENANT, Entra
from tests.services.graph import AUDIENCE, SCOPE, Graph
from tests.services.server import ServiceClock, serving
from tests.unit.connectors import vendor_records as v


def ask(world, path="beta/auditLogs/signIns", url=None, **query):
    token = world.graph.entra.grant(TENANT, AUDIENCE)["access_token"]
    return requests.get(
        url or f"{world.graph.root}/{path}",
        params={f"${name}": str(value) for name, value in query.items()},
        headers={"Authorization": f"Bearer {token}"},
        timeout=5,
    )


def seen(answer):
    return [record["id"] for record in answer.json()["value"]]


def test_it_filters_by_time_and_kind_and_gives_the_newest_first():
    with tenant(limit=None) as world:
        for number in range(12):
            kinds = ["interactiveUser" if number % 2 else "nonInteractiveUser"]
            record = signed_in(number, START + number * MINUTE, signInEventTypes=kinds)
            world.graph.add("signIns", record)
        world.clock.advance(HOUR)
        both = "signInEventTypes/any(t: t eq 'interactiveUser' or t eq 'nonInteractiveUser')"
        window = (
            "createdDateTime ge 2026-03-19T08:03:00Z and createdDateTime lt 2026-03-19T08:08:00Z"
        )
        assert seen(ask(world, filter=f"{window} and {both}")) == [
            v.guid(n) for n in (7, 6, 5, 4, 3)
        ]
        assert seen(ask(world, filter=window)) == [v.guid(n) for n in (7, 5, 3)]
        closed = window.replace("lt", "le")
        assert seen(ask(world, filter=f"{closed} and ({both})"))[0] == v.guid(8)
        assert seen(ask(world, "v1.0/auditLogs/signIns", filter=window)) == [
            v.guid(n) for n in (7, 5, 3)
        ]


def test_it_refuses_what_graph_refuses():
    with tenant(limit=None) as world:
        for query, words in (
            ({"filter": "createdDateTime ge '2026-03-19'"}, "Invalid filter clause"),
            ({"filter": "ipAddress ne 'x'"}, "Invalid filter clause"),
            ({"top": 1001}, "page size"),
            ({"select": "id,nothing"}, "Could not find a property named 'nothing'"),
            ({"skip": 3}, "not allowed"),
        ):
            answer = ask(world, **query)
            assert answer.status_code == 400
            assert words in answer.json()["error"]["message"]
        kinds = "signInEventTypes/any(t: t eq 'interactiveUser')"
        assert ask(world, "v1.0/auditLogs/signIns", filter=kinds).status_code == 400
        assert ask(world, "v1.0/auditLogs/signIns", select="userAgent").status_code == 400
        assert ask(world, "beta/auditLogs/nothing").status_code == 404


def test_it_pages_by_links_that_expire():
    with tenant(limit=None, links_live=60.0) as world:
        for number in range(5):
            world.graph.add("directoryAudits", changed(number, START + number * MINUTE))
        world.clock.advance(HOUR)
        first = ask(world, "v1.0/auditLogs/directoryAudits", top=2, select="id")
        assert seen(first) == [v.guid(4), v.guid(3)]
        assert all(set(record) == {"id"} for record in first.json()["value"])
        link = first.json()["@odata.nextLink"]
        second = ask(world, url=link)
        assert seen(second) == [v.guid(2), v.guid(1)]
        last = ask(world, url=second.json()["@odata.nextLink"])
        assert seen(last) == [v.guid(0)]
        assert "@odata.nextLink" not in last.json()
        world.clock.advance(2 * MINUTE)
        gone = ask(world, url=link)
        assert (gone.status_code, gone.json()["error"]["message"]) == (400, "Invalid Skip Token")


def test_it_answers_five_requests_in_ten_seconds_of_its_own_clock():
    with tenant() as world:
        for _ in range(5):
            assert ask(world).status_code == 200
            world.clock.advance(timedelta(seconds=1))
        late = ask(world)
        assert late.status_code == 429
        assert late.headers["Retry-After"] == "6"
        world.clock.advance(timedelta(seconds=5.1))
        assert ask(world).status_code == 200


def test_it_shows_records_late_and_keeps_them_for_a_while():
    with tenant(limit=None) as world:
        world.graph.add("signIns", signed_in(0, START), late=10 * MINUTE)
        world.clock.advance(9 * MINUTE)
        assert not seen(ask(world))
        world.clock.advance(2 * MINUTE)
        assert seen(ask(world)) == [v.guid(0)]
        world.clock.advance(timedelta(days=30))
        assert not seen(ask(world))


@pytest.fixture
def cloud(tmp_path):
    """Entra and Graph over TLS, by authorities of their own."""
    ca, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(tls)
    (tmp_path / "ca.pem").write_bytes(ca.cert_pem.bytes())
    clock = ServiceClock(START)
    entra = Entra(clock, roles={AUDIENCE: GRAPH_ROLES})
    graph = Graph(clock, entra)
    with serving(entra, tls), serving(graph, tls):
        yield graph, tmp_path / "ca.pem"


def source_of(graph, ca_file, secret=SECRET):
    sign_in = Application(
        tenant=TENANT,
        client_id=CLIENT,
        credential=ClientSecret(lambda: secret),
        authority=graph.entra.root,
        ca_file=ca_file,
    )
    client = HttpClient(
        "Microsoft Graph",
        graph.root,
        tokens=Identity(sign_in, clock=graph.clock),
        scope=SCOPE,
        ca_file=ca_file,
        clock=graph.clock,
    )
    return client, GraphSignins(client, v.SETTINGS, lookback=HOUR, clock=graph.clock)


def test_sign_ins_come_over_tls_with_a_token_of_an_application(cloud):
    graph, ca_file = cloud
    for number in range(40):
        graph.add("signIns", signed_in(number, START - 50 * MINUTE + number * MINUTE / 2))
    client, source = source_of(graph, ca_file)
    poll = source.poll(None)
    assert poll.received == 40
    assert len(graph.entra.issued) == 1
    shown = repr([source, client, poll.cursor])
    assert not [s for s in (SECRET, *graph.entra.issued) if s in shown]
    client.close()


def test_a_wrong_secret_is_told_by_the_sign_in(cloud):
    graph, ca_file = cloud
    client, source = source_of(graph, ca_file, "another-secret-4711")
    with pytest.raises(AuthError, match="the client secret is wrong") as caught:
        source.poll(None)
    assert "4711" not in repr(caught.value)
    client.close()
