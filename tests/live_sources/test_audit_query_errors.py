"""What refuses a search of the audit log, each in words of its own."""

from __future__ import annotations

import pytest

from pipeline.model.errors import (
    AuthError,
    FatalError,
    OutriderError,
    RetriableError,
    StateError,
    ThrottledError,
)
from tests.live_sources.activity_case import nothing_shown
from tests.live_sources.audit_query_case import rig
from tests.services.audit_queries import PERMISSION
from tests.services.server import Reply


def raised(made):
    with pytest.raises(OutriderError) as caught:
        made.once()
    nothing_shown(caught.value, str(caught.value))
    return caught.value


def test_a_missing_permission_is_named():
    with rig() as made:
        made.entra.roles.clear()
        error = raised(made)
        assert isinstance(error, AuthError)
        assert f"permission {PERMISSION} of Microsoft Graph" in str(error)
        with pytest.raises(AuthError, match=PERMISSION):
            made.api().probe()


def test_a_probe_makes_no_search():
    with rig() as made:
        made.api().probe()
        made.service.versions = {"beta"}
        made.api().probe()
        assert not made.service.searches
        made.service.versions = set()
        with pytest.raises(FatalError, match="not offered"):
            made.api().probe()


def test_a_tenant_without_an_audit_log_is_told():
    with rig() as made:
        made.service.audit_log = False
        error = raised(made)
        assert isinstance(error, FatalError)
        assert "turn it on" in str(error)


def test_a_cloud_that_does_not_offer_it_is_told_the_other_way():
    with rig() as made:
        made.service.versions = set()
        error = raised(made)
        assert isinstance(error, FatalError)
        assert "Management Activity API" in str(error)


def test_too_many_searches_are_throttled():
    with rig() as made:
        made.once()
        made.cursor = None
        error = raised(made)
        assert isinstance(error, ThrottledError)
        assert error.retry_after == 30


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(400, {"error": {"code": "BadRequest", "message": "adele"}}), FatalError, "licensed"),
        (Reply(402, {"error": {"code": "x", "message": "adele"}}), FatalError, "HTTP 402"),
        (Reply(500, {}), RetriableError, "failure of its own"),
        (Reply(201, {"status": "notStarted"}), RetriableError, "something else"),
        (Reply(201, [1]), RetriableError, "something else"),
        (Reply(201, body=b"<html/>"), RetriableError, "proxy"),
    ],
)
def test_other_answers_are_told_each_in_its_words(reply, kind, words):
    with rig() as made:
        made.service.broken = reply
        error = raised(made)
        assert isinstance(error, kind)
        assert words in str(error)


@pytest.mark.parametrize("document", [{"id": "x"}, {"value": {}}])
def test_an_odd_status_or_page_is_tried_again(document):
    with rig(takes=0) as made:
        made.once()
        if "value" in document:
            made.once()
        made.service.broken = Reply(200, document)
        assert isinstance(raised(made), RetriableError)


@pytest.mark.parametrize(
    "cursor",
    [{"v": 2}, {"position": 3}, {"v": 1}, {"v": 1, "begin": "x", "to": "y", "late_to": "z"}],
)
def test_a_cursor_of_another_version_or_shape_is_refused(cursor):
    with rig() as made, pytest.raises(StateError, match="audit_query"):
        made.make().poll(cursor)
