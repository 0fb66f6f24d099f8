"""Elasticsearch's bulk interface: items with a status each, data streams, rights, keys."""

from __future__ import annotations

import base64
import gzip
import json
import traceback
from contextlib import contextmanager

import pytest

from connectors.sinks.elastic import ElasticSink, api_key, basic
from connectors.sinks.encoders.encoder import key_of
from pipeline.model.errors import AuthError, FatalError, RetriableError
from tests.services import elastic as service_words
from tests.services.elastic import API_KEY, PASSWORD, USER
from tests.services.server import Reply
from tests.sinks import elastic_case
from tests.sinks.records import record


@contextmanager
def elastic(authorization=None, **options):
    receiver = elastic_case.receiver(authorization, **{"most_bytes": 10**6, **options})
    try:
        yield receiver.sink(), receiver.service
    finally:
        receiver.close()


def revisions(count, name="inc-1"):
    return [record(name, revision) for revision in range(1, count + 1)]


def items(request):
    lines = gzip.decompress(request.body).decode().split("\n")[:-1]
    return [json.loads(line) for line in lines[::2]]


def test_each_kind_goes_into_its_data_stream_as_ecs():
    with elastic(namespace="soc") as (sink, service):
        sink.deliver([record("inc-1", 4), record("flag-1", 2)])
        incident = service.stored["logs-outrider.incident-soc", "inc-1:4"]
        flag = service.stored["logs-outrider.flag-soc", "flag-1:2"]
    assert incident["data_stream"] == {
        "type": "logs",
        "dataset": "outrider.incident",
        "namespace": "soc",
    }
    assert incident["event"]["id"] == "inc-1:4"
    assert flag["event"]["dataset"] == "outrider.flag"


def test_only_create_is_sent_packed_and_little_is_asked_back():
    with elastic() as (sink, service):
        sink.deliver(revisions(3))
        (kinds,) = {tuple(action) for r in service.requests for action in items(r)}
        assert kinds == ("create",)
        assert {r.headers["content-encoding"] for r in service.requests} == {"gzip"}
        assert {r.query["filter_path"] for r in service.requests} == {
            "items.*.status,items.*.error.type"
        }


def test_what_is_stored_already_is_done():
    with elastic() as (sink, service):
        sink.deliver(revisions(3))
        done = sink.deliver(revisions(4))
        assert done.accepted == [("inc-1", n) for n in (1, 2, 3, 4)]
        assert service.conflicts == 3
        assert len(service.stored) == 4


def test_no_request_holds_two_revisions_of_one_id():
    wanted = [record(name, n) for n in (1, 2, 3) for name in ("inc-1", "inc-2", "flag-1")]
    with elastic() as (sink, service):
        sink.deliver(wanted)
        assert len(service.requests) == 3
        for request in service.requests:
            names = [a["create"]["_id"].partition(":")[0] for a in items(request)]
            assert len(names) == len(set(names)) == 3


def test_a_revision_whose_shard_is_full_is_not_overtaken():
    wanted = [record(name, n) for n in (1, 2, 3) for name in ("inc-1", "inc-2")]
    with elastic() as (sink, service):
        service.full = {("inc-1", 2)}
        done = sink.deliver(wanted)
        assert done.accepted == [("inc-1", 1), ("inc-2", 1), ("inc-2", 2)]
        assert done.retry_after == 30
        assert ("inc-1", 3) not in service.accepted()
        service.full = set()
        rest = [d for d in wanted if key_of(d) not in done.accepted]
        assert len(sink.deliver(rest).accepted) == 3
        assert service.conflicts == 0


def test_an_item_that_does_not_fit_the_mapping_is_rejected_and_later_ones_go_on():
    with elastic() as (sink, service):
        service.refused = {("inc-1", 2)}
        done = sink.deliver(revisions(3))
    assert done.rejected == [("inc-1", 2)]
    assert done.accepted == [("inc-1", 1), ("inc-1", 3)]


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        ({"rights": ()}, AuthError, "auto_configure and create_doc"),
        ({"template": False}, FatalError, "install the index template"),
        ({"blocked": True}, RetriableError, "read-only for now"),
        ({"secured": False}, None, ""),
    ],
)
def test_what_hits_every_item_is_told(changes, kind, told):
    with elastic() as (sink, service):
        vars(service).update(changes)
        if kind is None:
            assert sink.deliver(revisions(1)).accepted
            return
        with pytest.raises(kind, match=told) as caught:
            sink.deliver(revisions(2))
        assert "fewer users" not in str(caught.value)
        assert not service.stored


def test_what_is_settled_beside_a_refused_right_is_told_first():
    with elastic() as (sink, service):
        service.rights = ("logs-outrider.flag-",)
        done = sink.deliver([record("inc-1", 1), record("flag-1", 1)])
        assert done.accepted == [("flag-1", 1)]
        assert done.retry_after == 0
        with pytest.raises(AuthError, match="create_doc"):
            sink.deliver([record("inc-1", 1)])


def test_of_two_troubles_the_one_that_a_person_has_to_mend_is_told():
    with elastic() as (sink, service):
        service.rights, service.full = ("logs-outrider.flag-",), {("flag-1", 1), ("flag-2", 1)}
        with pytest.raises(AuthError, match="create_doc"):
            sink.deliver([record("flag-1", 1), record("inc-1", 1), record("flag-2", 1)])


def test_a_request_that_is_too_large_goes_in_parts():
    with elastic() as (sink, service):
        service.most = 20_000
        done = sink.deliver([record(f"inc-{n}", 1) for n in range(12)])
        assert len(done.accepted) == 12
        service.most = 100
        done = sink.deliver([record("inc-99", 1)])
        assert done.rejected == [("inc-99", 1)]


def test_no_request_is_larger_than_it_may_be():
    with elastic(most_bytes=elastic_case.SMALL) as (sink, service):
        sink.deliver([record(f"inc-{n}", 1) for n in range(12)])
        sizes = [len(gzip.decompress(r.body)) for r in service.requests]
        assert len(sizes) > 2
        assert max(sizes) <= elastic_case.SMALL


@pytest.mark.parametrize(
    "authorization",
    [
        api_key(lambda: API_KEY),
        api_key(lambda: base64.b64encode(API_KEY.encode()).decode()),
        basic(USER, lambda: PASSWORD),
    ],
    ids=["id and key", "encoded key", "user and password"],
)
def test_it_signs_in_with(authorization):
    with elastic(authorization) as (sink, _):
        assert sink.deliver(revisions(1)).accepted
        sink.check()


def test_it_can_be_asked_without_a_credential():
    with elastic() as (_, service):
        service.secured = False
        sink = ElasticSink(service.root)
        assert sink.deliver(revisions(1)).accepted
        sink.check()
        assert "authorization" not in service.requests[0].headers
        sink.close()


def test_a_wrong_credential_is_told_by_deliver_and_by_check():
    with elastic(basic(USER, lambda: "wrong-6Hj")) as (sink, _):
        for ask in (lambda: sink.deliver(revisions(1)), sink.check):
            with pytest.raises(AuthError, match="check api_key_file or user") as caught:
                ask()
            text = "".join(traceback.format_exception(caught.value))
            assert "wrong-6Hj" not in text
            assert base64.b64encode(f"{USER}:wrong-6Hj".encode()).decode() not in text


@pytest.mark.parametrize(
    ("reply", "kind", "told"),
    [
        (Reply(200, body=b"<html>sign in</html>"), RetriableError, "answered 0 items to 1"),
        (Reply(200, {"items": [{"create": {}}]}), RetriableError, "answered 0 items to 1"),
        (Reply(200, {"items": []}), RetriableError, "answered 0 items to 1"),
        (Reply(503, {"error": "x"}, {"Retry-After": "9"}), RetriableError, "HTTP 503"),
        (Reply(400, body=b"<html>Bad Request</html>"), FatalError, "what stands in between"),
        (Reply(301), FatalError, "another address"),
        (Reply(404), FatalError, "check address"),
        (Reply(406), FatalError, "look into its own log"),
    ],
)
def test_what_is_no_answer_of_a_bulk_request_is_told(reply, kind, told):
    with elastic() as (sink, service):
        service.broken = reply
        with pytest.raises(kind, match=told) as caught:
            sink.deliver(revisions(1))
        if reply.status == 503:
            assert caught.value.retry_after == 9


def test_a_long_id_is_stored_under_its_hash():
    long = "inc-" + "\u0436" * 200  # percent-encoded 1,204 bytes
    with elastic() as (sink, service):
        assert sink.deliver([record(long, 1)]).accepted == [(long, 1)]
        assert sink.deliver([record(long, 1)]).accepted == [(long, 1)]
        ((_, name),) = service.stored
        assert len(name) == 64
        assert service_words.key_of(service.stored["logs-outrider.incident-default", name])


def test_a_path_may_stand_before_the_bulk_interface():
    with elastic() as (_, service):
        sink = ElasticSink(f"{service.root}/es", api_key(lambda: API_KEY))
        with pytest.raises(FatalError, match="check address"):
            sink.deliver(revisions(1))
        assert service.requests[0].path == "/es/_bulk"
        sink.close()
