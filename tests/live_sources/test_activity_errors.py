"""Each error of the reference has words and a remedy of its own, and none says too much."""

from __future__ import annotations

import traceback

import pytest

from connectors.sources.activity_errors import MEANINGS, SERVICE, reason
from pipeline.model.errors import (
    AuthError,
    FatalError,
    OutriderError,
    RetriableError,
    ThrottledError,
)
from tests.live_sources.activity_case import HOUR, Collector, nothing_shown, rig
from tests.services.activity_words import WORDS
from tests.services.server import Reply

# The table of the reference, and what it does not list.
REFERENCE = {
    *("AF10001", "AF20001", "AF20002", "AF20003", "AF20010", "AF20011", "AF20012", "AF20013"),
    *("AF20020", "AF20021", "AF20022", "AF20023", "AF20030", "AF20031", "AF20050", "AF20051"),
    *("AF20052", "AF20053", "AF20054", "AF429", "AF50000"),
    *("AF20024", "AF20055"),
}
OF_ONE_BLOB = {"AF20050", "AF20051", "AF20052"}
PASSING = {"AF20022", "AF20023", "AF20031", "AF50000", "AF20024"}


def raised(made, **options):
    with pytest.raises(OutriderError) as caught:
        Collector(made, **options).once()
    return caught.value


def test_the_table_holds_every_code_each_with_its_own_words():
    assert set(MEANINGS) == REFERENCE
    assert set(WORDS) | {"AF429"} == REFERENCE
    assert len({m.what for m in MEANINGS.values()}) == len(REFERENCE)
    assert all(m.remedy for m in MEANINGS.values())


@pytest.mark.parametrize("code", sorted(REFERENCE - OF_ONE_BLOB - {"AF429", "AF20024"}))
@pytest.mark.parametrize("operation", ["list", "content"])
def test_a_refusal_is_told_in_our_words_with_the_code_and_the_remedy(code, operation):
    with rig() as made:
        made.service.subscribe()
        made.service.refuse[operation] = code
        error = raised(made)
        if code in PASSING:
            assert isinstance(error, RetriableError)
        else:
            assert isinstance(error, FatalError)
        assert code in str(error)
        if code != "AF50000":
            assert MEANINGS[code].what in str(error)
            assert MEANINGS[code].remedy in str(error)
        if operation == "content" and code != "AF50000":
            assert str(error).startswith(f"{SERVICE}, Audit.Exchange: ")
        assert error.__cause__ is None
        told = "".join(traceback.format_exception(error)).partition("\nDuring handling")[0]
        nothing_shown(error, str(error), told.rpartition("OutriderError")[2])


@pytest.mark.parametrize("code", sorted(REFERENCE - OF_ONE_BLOB - {"AF429", "AF50000"} - PASSING))
def test_a_refusal_of_the_start_is_told_too(code):
    with rig() as made:
        made.service.refuse["start"] = code
        error = raised(made)
        assert isinstance(error, FatalError)
        assert code in str(error)
        nothing_shown(error)


def test_a_blobs_refusal_that_is_no_blobs_own_ends_the_poll():
    with rig() as made:
        made.service.subscribe()
        made.blob(HOUR)
        made.service.refuse["blob"] = "AF10001"
        assert isinstance(raised(made, lookback=5 * HOUR), AuthError)
        made.service.refuse["blob"] = "AF20010"
        assert isinstance(raised(made, lookback=5 * HOUR), FatalError)


def test_throttling_is_a_403_with_single_quotes_and_told_as_throttling():
    with rig() as made:
        made.service.broken = made.service.throttle()
        assert isinstance(raised(made), ThrottledError)


def test_the_permission_is_named_when_the_token_lacks_it():
    with rig() as made:
        made.entra.roles.clear()
        error = raised(made)
        assert isinstance(error, AuthError)
        assert "AF10001" in str(error)
        assert "application permission ActivityFeed.Read" in str(error)
        assert "administrator consent" in str(error)


def test_a_tenant_that_never_turned_its_audit_log_on_is_told_so():
    with rig() as made:
        made.service.audit_log = False
        error = raised(made)
        assert isinstance(error, FatalError)
        assert "turn the audit log on" in str(error)
        nothing_shown(error)


def test_a_domain_in_place_of_the_tenants_id_is_told():
    with rig() as made:
        made.tenant = "contoso.onmicrosoft.com"
        error = raised(made)
        assert "the tenant's id, not its domain" in str(error)


def test_another_tenants_token_is_told():
    with rig() as made:
        made.tenant = "00000000-1111-4000-8000-000000000000"
        error = raised(made)
        assert "AF20010" in str(error)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (403, AuthError, "ActivityFeed.Read"),
        (404, FatalError, "check tenant, and cloud"),
        (400, FatalError, "look it up"),
        (410, FatalError, "HTTP 410"),
        (500, RetriableError, "failure of its own"),
        (503, RetriableError, "failure of its own"),
    ],
)
def test_a_refusal_without_a_code_is_told_by_its_status(status, kind, words):
    with rig() as made:
        made.service.broken = Reply(status, {"error": {"code": "", "message": "adele"}})
        error = raised(made)
        assert isinstance(error, kind)
        assert words in str(error)
        nothing_shown(error)


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"<html/>", b'[{"contentType": "x"}]'])
def test_an_answer_that_is_no_list_of_blobs_is_told(body):
    with rig() as made:
        made.service.subscribe()
        made.service._content = lambda _request: Reply(body=body)
        error = raised(made)
        assert isinstance(error, RetriableError)
        assert "Audit.Exchange" in str(error)


def test_reasons_of_gaps_are_sentences_of_their_own():
    told = {reason(k, "Audit.Exchange") for k in [*OF_ONE_BLOB, "damaged", "failing", "off", "old"]}
    assert len(told) == 7
    assert all(t.startswith("Office 365 Management Activity API, Audit.Exchange: ") for t in told)


def test_nothing_about_people_or_tokens_stands_in_what_a_source_shows():
    with rig() as made:
        made.service.subscribe()
        made.blob(HOUR)
        bad = made.blob(2 * HOUR)
        bad.raw = bad.body[:-1] + b', {"UserId": "adele.vance@contoso.example", "Id": tru}]'
        collector = Collector(made)
        while len(collector.given) < 8:
            collector.once()
        poll = collector.polls[-1]
        links = [o["link"] for o in collector.cursor["owed"]]
        nothing_shown(poll.rejects, poll.missing, collector.cursor, links, made.make(), made.api())
        nothing_shown(poll.batches[0]["user"].to_pylist())
