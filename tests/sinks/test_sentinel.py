"""Azure Monitor's Logs Ingestion: its limits, its silence about what it drops, its clouds."""

from __future__ import annotations

import gzip
import json
import ssl
from contextlib import ExitStack, contextmanager
from pathlib import Path

import jwt
import pytest
import trustme

from connectors.auth import Application, ClientSecret, Identity
from connectors.clouds import CLOUDS
from connectors.sinks.encoders.text import MARK
from connectors.sinks.sentinel import SentinelSink
from connectors.sinks.sentinel_rows import COLUMNS, MOST_FIELD, fitting, row
from pipeline.model.clock import ManualClock
from pipeline.model.errors import AuthError, FatalError, RetriableError, ThrottledError
from tests.live_sources.graph_tenant import Direct
from tests.services.entra import CLIENT, SECRET, TENANT, Entra
from tests.services.sentinel import AUDIENCE, MOST, ROLE, RULE, Sentinel
from tests.services.server import Reply, serving
from tests.sinks import sentinel_case
from tests.sinks.records import record

INCIDENTS, FLAGS = sentinel_case.STREAMS
OUTPUTS = Path(__file__).parents[2] / "docs/outputs.md"


@contextmanager
def sentinel(**options):
    receiver = sentinel_case.receiver(**{"most_bytes": 10**6, **options})
    try:
        yield receiver.sink(), receiver.service
    finally:
        receiver.close()


def revisions(count, name="inc-1"):
    return [record(name, revision) for revision in range(1, count + 1)]


def test_each_kind_goes_into_its_stream():
    with sentinel() as (sink, service):
        sink.deliver([record("inc-1", 1), record("flag-1", 1), record("inc-2", 1)])
        assert [(stream, count) for stream, count, _ in service.calls] == [
            (INCIDENTS, 2),
            (FLAGS, 1),
        ]
        assert {r.headers["content-encoding"] for r in service.requests} == {"gzip"}
        assert {r.headers["content-type"] for r in service.requests} == {"application/json"}


def test_a_row_tells_the_revision_in_columns():
    with sentinel() as (sink, service):
        sink.deliver([record("inc-1", 4), record("flag-1", 2)])
        incident, flag = service.rows
    assert incident["IncidentId"] == "inc-1"
    assert incident["RevisionKey"] == "inc-1:4"
    assert incident["TimeGenerated"] == incident["PublishedAt"] == "2026-03-21T17:05:00Z"
    assert incident["Clients"] == ["outlook_ios", "outlook_android", "outlook_mac_new"]
    assert incident["Evidence"][0]["verdict"] == "service_outage"
    assert incident["Advisory"]["advisory_id"] == "EX1256020"
    assert incident["AffectedUsers"] == 341
    assert flag["FlagId"] == "flag-1"
    assert flag["Observed"] == {"users": 61.0}
    assert flag["Tenants"] == ["9a3f1c52-7d1e-4a55-8f10-5d2c1b0a9f8e"]


@pytest.mark.parametrize("name", ["inc-1", "flag-1"])
def test_every_column_that_is_sent_is_declared(name):
    document = record(name, 1) | {"decided_at": "2026-03-21T17:05:00Z", "family": "throttled"}
    document |= {"corrected_at": "2026-03-21T17:05:00Z", "error_code": 5, "recurrence_of": ["x"]}
    declared = COLUMNS["incident" if name.startswith("inc") else "flag"]
    assert set(row(document)) <= set(declared)
    # Every field of the document stands somewhere, under its name or under one made of it.
    made = {"tenant": "Tenants", "service": "Services", "client": "Clients", "source": "LogSource"}
    missing = [
        field
        for field in record(name, 1)
        if made.get(field, "".join(word.title() for word in field.split("_"))) not in declared
        and field not in {"schema", "published_at", "p_value"}
    ]
    assert not missing


def test_no_call_is_larger_than_a_megabyte():
    many = [record(f"inc-{n}", 1) for n in range(400)]
    with sentinel() as (sink, service):
        assert len(sink.deliver(many).accepted) == 400
        sizes = [len(gzip.decompress(r.body)) for r in service.requests]
        assert 1 < len(sizes) < 5
        assert max(sizes) <= 1_000_000 < MOST


def test_a_call_that_is_too_large_all_the_same_goes_in_parts():
    with sentinel(most_bytes=10**7) as (sink, service):
        assert len(sink.deliver([record(f"inc-{n}", 1) for n in range(400)]).accepted) == 400
        assert len(service.accepted()) == len(set(service.accepted())) == 400


@pytest.mark.parametrize(
    "value",
    [
        [f"flag-{n:09}" for n in range(9000)],
        {f"key-{n}": "\u0436" * 100 for n in range(900)},
        ["x" * 70_000],
        [["\u0436" * 40_000, "\u0436"]],
    ],
)
def test_a_field_above_64_kb_is_cut_and_says_so(value):
    made = fitting(value)
    text = json.dumps(made, ensure_ascii=False).encode()
    assert len(text) <= MOST_FIELD
    assert MARK.strip() in made
    assert made[: len(made) - 1] == value[: len(made) - 1] if isinstance(value, list) else True
    assert len(text) > MOST_FIELD - 500 or len(made) == 1


def test_a_long_list_arrives_cut_by_us_and_not_by_azure():
    long = record("inc-1", 1) | {"flag_ids": [f"flag-{n:09}" for n in range(9000)]}
    with sentinel() as (sink, service):
        assert sink.deliver([long]).accepted
        assert isinstance(service.rows[0]["FlagIds"], list)
        assert service.rows[0]["FlagIds"][-1] == "[cut]"


@pytest.mark.parametrize(
    ("change", "kind", "told"),
    [
        ({"granted": False}, AuthError, "Monitoring Metrics Publisher"),
        ({"streams": {}}, FatalError, "check incident_stream and flag_stream"),
        ({"broken": Reply(404)}, FatalError, "check rule_id and endpoint"),
        ({"broken": Reply(400, body=b"<html>")}, FatalError, "what stands in between"),
        ({"broken": Reply(500)}, RetriableError, "HTTP 500"),
        ({"broken": Reply(503, None, {"Retry-After": "17"})}, RetriableError, "HTTP 503"),
        ({"broken": Reply(429, None, {"Retry-After": "17"})}, ThrottledError, "asked too often"),
    ],
)
def test_what_azure_answers_is_told(change, kind, told):
    with sentinel() as (sink, service):
        vars(service).update(change)
        with pytest.raises(kind, match=told) as caught:
            sink.deliver(revisions(2))
        reply = change.get("broken")
        if reply is not None and reply.headers:
            assert caught.value.retry_after == 17
        assert not service.rows


def test_a_record_that_azure_cannot_read_is_found_and_the_others_go_on():
    with sentinel() as (sink, service):
        service.refused = {("inc-1", 3)}
        done = sink.deliver([*revisions(8), record("flag-1", 1)])
        assert done.rejected == [("inc-1", 3)]
        assert len(done.accepted) == 8
        assert service.accepted() == done.accepted


def test_a_token_that_was_revoked_is_renewed_once():
    with sentinel() as (sink, service):
        sink.deliver(revisions(1))
        service.entra.revoked = {json_of(token)["jti"] for token in service.entra.issued}
        assert sink.deliver([record("inc-2", 1)]).accepted
        assert len(service.entra.issued) == 2
        service.audience = "https://another.example"
        with pytest.raises(AuthError, match=r"check tenant and cloud in \[microsoft\]"):
            sink.deliver([record("inc-3", 1)])


def json_of(token):
    return jwt.decode(token, options={"verify_signature": False})


@pytest.mark.parametrize(
    ("cloud", "scope"),
    [
        ("public", "https://monitor.azure.com/.default"),
        ("gcc", "https://monitor.azure.com/.default"),
        ("gcc_high", "https://monitor.azure.us/.default"),
        ("dod", "https://monitor.azure.us/.default"),
        ("china", "https://monitor.azure.cn/.default"),
    ],
)
def test_tokens_are_for_the_monitor_of_the_cloud(cloud, scope):
    with sentinel() as (_, service):
        asked = []

        class Counted(Direct):
            def sign_in(self, scope):
                asked.append(scope)
                return super().sign_in(scope)

        monitor = CLOUDS[cloud].monitor
        service.audience = monitor
        tokens = Identity(Counted(service.entra), clock=service.clock)
        sink = SentinelSink(service.root, RULE, tokens, monitor=monitor, clock=service.clock)
        sink.check()
        assert sink.deliver(revisions(1)).accepted
        assert asked == [scope]
        sink.close()


def test_it_signs_in_over_tls_with_authorities_of_its_own(tmp_path):
    authority, stranger = trustme.CA(), trustme.CA()
    ours, theirs = tmp_path / "ca.pem", tmp_path / "other.pem"
    authority.cert_pem.write_to_path(ours)
    stranger.cert_pem.write_to_path(theirs)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    clock = ManualClock(sentinel_case.NOW)
    with ExitStack() as stack:
        entra = Entra(clock, roles={AUDIENCE: (ROLE,)})
        service = Sentinel(clock, entra, sentinel_case.STREAMS)
        for one in (entra, service):
            stack.enter_context(serving(one, context))
        application = Application(
            tenant=TENANT,
            client_id=CLIENT,
            credential=ClientSecret(lambda: SECRET),
            authority=entra.root,
            ca_file=ours,
        )
        tokens = Identity(application, clock=clock)
        options = {"monitor": AUDIENCE, "clock": clock}
        for file, accepted in ((ours, True), (theirs, False)):
            sink = SentinelSink(service.root, RULE, tokens, ca_file=file, **options)
            stack.callback(sink.close)
            if accepted:
                assert sink.deliver(revisions(1)).accepted
            else:
                with pytest.raises(AuthError, match="name its authority with ca_file"):
                    sink.deliver(revisions(2))
        assert service.accepted() == [("inc-1", 1)]


@pytest.mark.parametrize(("kind", "table"), [("incident", INCIDENTS), ("flag", FLAGS)])
def test_the_documents_tell_which_columns_to_declare(kind, table):
    lines = OUTPUTS.read_text("utf-8").splitlines()
    at = lines.index(f"| column of `{table}` | type |") + 2
    shown = []
    while lines[at].startswith("|"):
        shown.append(lines[at])
        at += 1
    assert shown == [f"| `{name}` | {sort} |" for name, sort in COLUMNS[kind].items()]


def test_the_query_in_the_documents_takes_the_last_revision_of_each_id():
    assert "| summarize arg_max(Revision, *) by IncidentId" in OUTPUTS.read_text("utf-8")
    with sentinel() as (sink, service):
        sink.deliver([*revisions(3), *revisions(3)[:2]])
        rows = [row for row in service.rows if row["IncidentId"] == "inc-1"]
        assert max(rows, key=lambda row: row["Revision"])["RevisionKey"] == "inc-1:3"
