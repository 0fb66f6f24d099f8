"""Who may ask for what, and what strangers, browsers and made-up queries get."""

from __future__ import annotations

import json
import os
import socket
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.ledger.store import Ledger
from pipeline.model.errors import ConfigError
from pipeline.runtime.config_serve import Serve
from pipeline.runtime.listening import Address
from pipeline.web.access import Access
from pipeline.web.guard import HEADERS
from tests.unit.web.serving import site

API = "/api/v1"
TOKEN = "a token of the tests, not of the world".replace(" ", "-")


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    with site(tmp_path_factory.mktemp("guarded")) as held:
        yield held


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A site that needs a token."""
    folder = tmp_path_factory.mktemp("locked")
    (folder / "token").write_text(TOKEN + "\n")
    with site(folder, serve=Serve(token_file=folder / "token"), host="0.0.0.0") as held:  # noqa: S104 # the rules for everybody, on loopback
        yield held


def is_problem(answer, status):
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = answer.json
    assert told["status"] == status
    assert told["title"]
    assert told["detail"]
    return told


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ODD"])
def test_nothing_but_reading_is_there(still, method):
    for target in (f"{API}/incidents", "/healthz", "/nowhere"):
        answer = still.ask(target, method, body=b'{"a": 1}')
        is_problem(answer, 405)
        assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "target",
    [
        "/api",
        f"{API}/incidents/",
        f"{API}/incidents/none",
        f"{API}/incidents/inc-0001/more",
        f"{API}/incidents/..%2f..%2fetc%2fpasswd",
        f"{API}/incidents/inc-0001%00",
        f"{API}/incidents/%ff%fe",
        f"{API}/incidents/' OR '1'='1".replace(" ", "%20"),
        f"{API}/flags/inc-0001",
        "/metrics/",
        "//healthz",
    ],
)
def test_what_is_not_there_is_a_problem_document(still, target):
    is_problem(still.ask(target), 404)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("state=opened", "state"),
        ("state=open&state=", "state"),
        ("client=OWA", "client"),
        ("verdict=%3Cscript%3E", "verdict"),
        ("since=yesterday", "since"),
        ("since=9999999999999", "since"),
        ("since=2026-03-19&since=2026-03-20", "since"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=1e2", "limit"),
        ("limit=%D9%A3", "limit"),  # a digit of another script
        ("limit=" + "9" * 300, "limit"),
        ("tenant=" + "t" * 300, "tenant"),
        ("&".join(["tenant=t"] * 51), "tenant"),
        ("sort=asc", "sort"),
        ("STATE=open", "STATE"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=bnVsbA", "cursor"),
        ("cursor=WzEsMiwzXQ", "cursor"),
        ("cursor=WzEsOTk5OTk5OTk5OTk5OTk5OTk5OTk5OSwwLCJ4IiwieSJd", "cursor"),
        ("cursor=%F0%9F%92%A3", "cursor"),
    ],
)
def test_a_wrong_parameter_is_named(still, query, parameter):
    told = is_problem(still.ask(f"{API}/incidents?{query}"), 400)
    assert told["parameter"] == parameter


def test_a_cursor_is_good_for_its_own_list_only(still):
    cursor = still.ask(f"{API}/incidents?limit=1").json["next"]
    assert still.ask(f"{API}/incidents?limit=5&cursor={cursor}").status == 200
    is_problem(still.ask(f"{API}/incidents?state=open&cursor={cursor}"), 400)
    is_problem(still.ask(f"{API}/flags?cursor={cursor}"), 400)


def test_answers_without_parameters_take_none(still):
    for target in ("tenants", "status", "dead/summary", "incidents/inc-0001"):
        is_problem(still.ask(f"{API}/{target}?a=1"), 400)


def test_a_query_without_end_is_refused(still):
    is_problem(still.ask(f"{API}/incidents?tenant=" + "x" * 5000), 414)


@settings(max_examples=int(os.environ.get("OUTRIDER_TEST_EXAMPLES", "60")))
@given(
    st.sampled_from(["incidents", "flags", "incidents/", "flags/", "tenants", "", "../"]),
    st.binary(max_size=40),
    st.lists(
        st.tuples(
            st.sampled_from(["state", "tenant", "cursor", "since", "limit", "client", "x"]),
            st.binary(max_size=40),
        ),
        max_size=4,
    ),
)
def test_made_up_requests_get_a_proper_answer(still, path, tail, query):
    text = "&".join(f"{n}={quote_from_bytes(v, safe='&=+;')}" for n, v in query)
    answer = still.ask(f"{API}/{path}{quote_from_bytes(tail)}?{text}")
    assert answer.status in {200, 400, 404}
    json.loads(answer.body)
    assert answer.body.isascii()


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        (f"{API}/incidents", {}, 200),
        (f"{API}/incidents", {"if_none_match": "*"}, 304),
        (f"{API}/incidents?x=1", {}, 400),
        ("/nowhere", {}, 404),
        ("/metrics", {}, 200),
        ("/readyz", {}, 200),
    ],
)
def test_browsers_are_told_to_be_careful(still, target, headers, status):
    answer = still.ask(target, **headers)
    assert answer.status == status
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "Server" not in answer.headers
    assert answer.headers["Cache-Control"] in {"private, no-cache", "no-store"}


@pytest.mark.parametrize("given", ["127.0.0.1", "localhost", "[::1]", "127.0.0.1:8470", "[::1]:1"])
def test_this_machine_is_asked_for_by_its_names(still, given):
    assert still.ask(f"{API}/status", host=given).status == 200


@pytest.mark.parametrize("given", ["evil.example", "127.0.0.1.evil.example", "evil.example:8470"])
def test_a_page_of_another_name_that_leads_here_gets_nothing(still, given):
    is_problem(still.ask(f"{API}/status", host=given), 421)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN} {TOKEN}",
        f"bearer{TOKEN}",
        "Bearer \xff\xfe",
    ],
)
def test_without_the_token_nothing_is_told(locked, given):
    headers = {} if given is None else {"authorization": given}
    for target in (f"{API}/incidents", f"{API}/openapi.json", "/metrics", "/nowhere"):
        answer = locked.ask(target, **headers)
        is_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert TOKEN not in answer.body.decode()
    assert locked.ask("/healthz", **headers).status == 200
    assert locked.ask("/readyz", **headers).status == 200


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "Bearer   {}"])
def test_with_the_token_everything_is(locked, form):
    answer = locked.ask(
        f"{API}/incidents", authorization=form.format(TOKEN), host="outrider.example"
    )
    assert answer.status == 200


def test_a_ledger_that_is_gone_is_told_without_its_path(tmp_path):
    with site(tmp_path) as held:
        assert held.ask(f"{API}/incidents").status == 200
        (tmp_path / "ledger.sqlite").rename(tmp_path / "elsewhere")
        answer = held.ask(f"{API}/incidents")
        told = is_problem(answer, 503)
        assert str(tmp_path) not in json.dumps(told)
        assert answer.headers["Retry-After"]
        (tmp_path / "elsewhere").rename(tmp_path / "ledger.sqlite")
        assert held.ask(f"{API}/incidents").status == 200


def test_a_ledger_that_was_begun_anew_is_read_anew(tmp_path):
    with site(tmp_path) as held:
        assert len(held.ask(f"{API}/incidents").json["items"]) == 12
        held.ledger.close()
        for path in tmp_path.glob("ledger.sqlite*"):
            path.unlink()
        again = Ledger(tmp_path / "ledger.sqlite")
        assert held.ask(f"{API}/incidents").json["items"] == []
        again.close()


def test_what_should_not_happen_is_told_without_its_words(tmp_path, monkeypatch):
    from pipeline.ledger.reading import Reader

    def broken(_reader):
        raise ZeroDivisionError("adele.vance@contoso.example")

    with site(tmp_path) as held:
        monkeypatch.setattr(Reader, "dead_counts", broken)
        told = is_problem(held.ask(f"{API}/dead/summary"), 500)
        assert "adele" not in json.dumps(told)
        assert held.ask(f"{API}/status").status == 200


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:8470", "127.0.0.1", 8470, True),
        ("127.7.7.7:1", "127.7.7.7", 1, True),
        ("localhost:0", "localhost", 0, True),
        ("[::1]:8470", "::1", 8470, True),
        ("0.0.0.0:80", "0.0.0.0", 80, False),  # noqa: S104 # it is only read
        ("[::]:80", "::", 80, False),
        ("192.0.2.7:80", "192.0.2.7", 80, False),
        ("outrider.example:80", "outrider.example", 80, False),
    ],
)
def test_addresses_are_read(text, host, port, loopback):
    address = Address.of(text)
    assert (address.host, address.port, address.loopback) == (host, port, loopback)


@pytest.mark.parametrize("text", ["", ":80", "127.0.0.1", "127.0.0.1:", "a:b", "::1:80", "h:65536"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ConfigError, match=r"HOST:PORT|brackets"):
        Address.of(text)


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1 port {port}"):
            Address("127.0.0.1", port).listen()


def test_others_need_a_token_or_a_word_that_they_do_not():
    everybody = Address("0.0.0.0", 80)  # noqa: S104 # nobody listens
    with pytest.raises(ConfigError, match=r"serve\.token_file"):
        Access(Serve(), everybody)
    assert Access(Serve(allow_anonymous=True), everybody).host_is_good("any.example")


@pytest.mark.parametrize("text", ["short", "", "with blanks in between it", "ünïcödé-is-not-ascii"])
def test_a_token_that_is_no_good_is_refused_without_being_told(tmp_path, text):
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        Access(Serve(token_file=path), Address("127.0.0.1", 0))
    assert str(path) in str(refused.value)
    assert not text or text not in str(refused.value)


def test_a_token_and_everybody_contradict_each_other(tmp_path):
    with pytest.raises(ValidationError, match="allow_anonymous"):
        Serve(token_file=tmp_path, allow_anonymous=True)
