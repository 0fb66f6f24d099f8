"""Refusals of Microsoft Graph's reports: each with its own message and remedy, and no secret."""

from __future__ import annotations

import traceback
from datetime import timedelta

import pytest

from connectors.http.answers import RefusedError
from connectors.http.client import HttpClient
from connectors.sources.directory_audits import LISTING
from connectors.sources.graph_cursor import Place
from connectors.sources.graph_errors import PERMISSIONS, Refused
from connectors.sources.graph_listing import probe
from connectors.sources.graph_signins import signins
from pipeline.model.errors import AuthError, FatalError, OutriderError, RetriableError
from tests.live_sources.graph_tenant import (
    HOUR,
    MINUTE,
    SECRETS,
    START,
    Collector,
    changed,
    signed_in,
    tenant,
)
from tests.services.graph import AUDIENCE
from tests.services.server import Reply
from tests.unit.connectors import vendor_records as v

READ_LOGS, READ_DIRECTORY = PERMISSIONS


def refused(status, code="", message="", **headers):
    """An answer that quotes what was sent, as real ones do."""
    told = f"{message} Asked by {v.USER} of {v.ADDRESS}"
    return Reply(status, {"error": {"code": code, "message": told}}, headers)


# What the service answers; the kind; the error; what the message says; permissions by name.
REFUSALS = {
    "permission": (
        refused(
            403,
            "Authentication_MSGraphPermissionMissing",
            "Calling principal does not have required MSGraph permissions AuditLog.Read.All",
        ),
        Refused.PERMISSION,
        AuthError,
        ["AuditLog.Read.All (beside Directory.Read.All", "admin consent"],
        (READ_LOGS,),
    ),
    "permission, older code": (
        refused(
            403,
            "Authentication_ApplicationHasNoReadAuditLogDataAccess",
            "Application missing MSGraph API 'Read all audit log data' permission",
        ),
        Refused.PERMISSION,
        AuthError,
        ["AuditLog.Read.All (beside Directory.Read.All", "outrider setup"],
        (READ_LOGS,),
    ),
    "directory permission": (
        refused(
            403,
            "Authentication_ApplicationHasNoDirectoryReadAccess",
            "Failed to do premium license check from ADGraph",
        ),
        Refused.PERMISSION,
        AuthError,
        ["Directory.Read.All (beside AuditLog.Read.All", "admin consent"],
        (READ_DIRECTORY,),
    ),
    "permission, no more said": (
        refused(403, "Authorization_RequestDenied", "Insufficient privileges"),
        Refused.PERMISSION,
        AuthError,
        ["AuditLog.Read.All and Directory.Read.All must be granted"],
        PERMISSIONS,
    ),
    "permission by its name in the text": (
        refused(403, "Forbidden", "Missing role permissions: Directory.Read.All"),
        Refused.PERMISSION,
        AuthError,
        ["Directory.Read.All (beside AuditLog.Read.All"],
        (READ_DIRECTORY,),
    ),
    "licence": (
        refused(
            403,
            "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
            "Neither tenant is B2C or tenant doesn't have premium license",
        ),
        Refused.LICENCE,
        AuthError,
        ["needs Entra ID P1 or P2", "Directory.Read.All beside AuditLog.Read.All"],
        (READ_DIRECTORY,),
    ),
    "role": (
        refused(403, "UnknownError", "User is not in the allowed roles"),
        Refused.ROLE,
        AuthError,
        ["lacks a role", "Reports Reader"],
        (),
    ),
    "not in this cloud": (
        refused(404, "BadRequest", "Resource not found for the segment 'signIns'."),
        Refused.NOT_OFFERED,
        FatalError,
        ["not offered there", "microsoft.cloud", 'version = "v1.0"', "Event Hubs"],
        (),
    ),
    "retired": (
        refused(410, "Gone", "This version is no longer served."),
        Refused.NOT_OFFERED,
        FatalError,
        ["not offered there (HTTP 410", 'version = "v1.0"'],
        (),
    ),
    "filter": (
        refused(400, "BadRequest", "Invalid filter clause"),
        Refused.QUERY,
        FatalError,
        ["filter by time is not understood", 'version = "v1.0"', "please report it"],
        (),
    ),
    "field": (
        refused(400, "BadRequest", "Could not find a property named 'userAgent' on type 'x'."),
        Refused.SELECT,
        FatalError,
        ["a field that is asked for is unknown", 'version = "v1.0"'],
        (),
    ),
    "link that expired": (
        refused(400, "Directory_ExpiredPageToken", "The specified page token value has expired"),
        Refused.PAGE,
        RetriableError,
        ["the link to the next page is good no more", "read anew"],
        (),
    ),
    "link that is none": (
        refused(400, "UnknownError", "Invalid Skip Token, skip token is null"),
        Refused.PAGE,
        RetriableError,
        ["the link to the next page is good no more"],
        (),
    ),
    "proxy": (
        refused(302, Location="http://proxy.example/sign-in"),
        Refused.REDIRECT,
        RetriableError,
        ["HTTP 302", "let the proxy pass its address"],
        (),
    ),
    "anything else": (
        refused(422, "Unprocessable", "Never seen"),
        Refused.OTHER,
        FatalError,
        ["HTTP 422, Unprocessable", "for a reason unknown here"],
        (),
    ),
}
FAILURES = {
    "throttled": (
        refused(429, "UnknownError", **{"Retry-After": "7"}),
        RetriableError,
        "too often",
    ),
    "failure": (refused(500, "UnknownError"), RetriableError, "HTTP 500, UnknownError"),
    "unavailable": (refused(503, "serviceNotAvailable"), RetriableError, "HTTP 503"),
    "timeout": (refused(504, "UnknownError"), RetriableError, "HTTP 504"),
    "token": (refused(401, "InvalidAuthenticationToken"), AuthError, "refuses a new token"),
}


def problem(source, cursor=None):
    """The error of a poll, after a look that nobody is named by it and no token shown."""
    with pytest.raises(OutriderError) as caught:
        source.poll(cursor)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert not [s for s in (*SECRETS, "Bearer", "Asked by", "proxy.example") if s in shown]
    return caught.value


@pytest.mark.parametrize("name", REFUSALS)
def test_each_refusal_has_its_own_message_with_the_remedy(name):
    answer, kind, error, words, permissions = REFUSALS[name]
    with tenant() as world:
        world.graph.broken = answer
        told = problem(world.signins(lookback=10 * MINUTE))
        assert type(told) is error
        assert str(told).startswith("Microsoft Graph, Entra sign-ins (beta): ")
        assert not [w for w in words if w not in str(told)]
        found = probe(world.client(), signins("beta"), world.clock)
        assert found.refusal.kind is kind
        assert found.refusal.permissions == permissions
        assert found.refusal.message == str(told)


@pytest.mark.parametrize("status", [400, 404, 410])
def test_whatever_a_link_is_refused_with_is_told_as_a_link_that_is_good_no_more(status):
    link = RefusedError("", status=status, code="UnknownError", text="Never seen")
    assert signins("beta").refusal(link, first_page=False).kind is Refused.PAGE
    assert signins("beta").refusal(link).kind is not Refused.PAGE


def test_no_two_refusals_have_the_same_message():
    with tenant() as world:
        told = []
        for answer, *_ in REFUSALS.values():
            world.graph.broken = answer
            world.clock.advance(MINUTE)
            told.append(str(problem(world.signins(lookback=10 * MINUTE))))
        assert len(set(told)) == len(told)


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_of_the_service_is_told_by_its_status(name):
    answer, error, words = FAILURES[name]
    with tenant() as world:
        world.graph.broken = answer
        told = problem(world.signins(lookback=10 * MINUTE))
        assert isinstance(told, error)
        assert words in str(told)


def test_directory_audits_name_themselves_and_no_other_version():
    with tenant() as world:
        world.graph.offered = set()
        told = str(problem(world.audits()))
        assert told.startswith("Microsoft Graph, directory audits (v1.0): not offered")
        assert "version =" not in told


def test_v1_that_a_cloud_does_not_understand_points_to_beta():
    with tenant() as world:
        world.graph.broken = refused(400, "BadRequest", "Invalid filter clause")
        told = str(problem(world.signins(version="v1.0")))
        assert 'set version = "beta", which some clouds keep more current' in told


def test_a_tenant_without_a_licence_is_told_so_at_once():
    with tenant(licence=None) as world:
        told = problem(world.signins())
        assert isinstance(told, AuthError)
        assert "P1 or P2" in str(told)
        # What the tenant changed about itself needs none.
        assert world.audits().poll(None).complete_to


@pytest.mark.parametrize(
    ("role", "named"), [(READ_DIRECTORY, "AuditLog.Read.All"), (READ_LOGS, "Directory.Read.All")]
)
def test_an_application_with_one_of_the_two_permissions_is_told_the_other(role, named):
    with tenant() as world:
        world.graph.entra.roles = {AUDIENCE: (role,)}
        told = problem(world.signins())
        assert isinstance(told, AuthError)
        assert named in str(told)


def test_a_licence_check_that_fails_now_and_then_stops_nothing():
    with tenant() as world:
        for number in range(60):
            world.graph.add("signIns", signed_in(number, START + number * MINUTE))
        collector = Collector(world, world.signins).run(START + 20 * MINUTE)
        world.graph.unlicensed_answers = 3
        collector.run(START + 2 * HOUR)
        assert [e for e in collector.errors if "P1 or P2" in str(e)]
        assert len(set(collector.names)) == len(collector.names) == 60


def test_a_licence_check_that_fails_is_told_for_a_wide_window_too():
    with tenant() as world:
        world.graph.licence = None
        wide = Place([START - 10 * HOUR] * 3, timedelta(hours=6)).cursor()
        told = problem(world.signins(), wide)
        assert isinstance(told, RetriableError)
        assert "P1 or P2" in str(told)


def test_a_probe_asks_for_one_record_and_tells_the_newest():
    with tenant() as world:
        for number in range(50):
            world.graph.add("signIns", signed_in(number, START - number * MINUTE))
            world.graph.add("directoryAudits", changed(number, START - number * HOUR))
        world.clock.advance(10 * MINUTE)
        world.graph.skew = timedelta(minutes=3)
        for listing, path in (
            (signins("beta"), "/beta/"),
            (signins("v1.0"), "/v1.0/"),
            (LISTING, "/v1.0/"),
        ):
            world.graph.requests.clear()
            world.clock.advance(MINUTE)
            found = probe(world.client(), listing, world.clock)
            (asked,) = world.graph.requests
            assert asked.path.startswith(path)
            assert asked.query["$top"] == "1"
            assert asked.query["$select"] == f"id,{listing.time}"
            assert found.refusal is None
            assert found.newest == START
            assert abs(found.skew - timedelta(minutes=3)) <= timedelta(seconds=1)


def test_a_probe_of_a_tenant_where_nobody_signed_in_tells_no_newest():
    with tenant() as world:
        world.graph.add("signIns", signed_in(1, START - 30 * HOUR))
        found = probe(world.client(), signins("beta"), world.clock)
        assert (found.refusal, found.newest, found.whole) == (None, None, False)


def test_a_probe_goes_on_without_select_where_that_is_unknown():
    with tenant(selects=False) as world:
        world.graph.add("signIns", signed_in(0, START - HOUR))
        found = probe(world.client(), signins("beta"), world.clock)
        assert found.newest == START - HOUR
        assert found.whole
        assert len(world.graph.requests) == 2


def test_a_probe_takes_times_that_are_none_for_none():
    with tenant() as world:
        records = [{"id": "x", "createdDateTime": t} for t in ("never", None, 3)] + ["odd"]
        world.graph.broken = Reply(200, {"value": records})
        assert probe(world.client(), signins("beta"), world.clock).newest is None


def test_without_tokens_a_401_is_a_missing_permission():
    with tenant() as world:
        client = HttpClient("Microsoft Graph", world.graph.root, clock=world.clock)
        found = probe(client, signins("beta"), world.clock)
        assert found.refusal.kind is Refused.PERMISSION
        client.close()
