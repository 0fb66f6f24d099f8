"""Who a storage account lets in, and each refusal with its remedy."""

from __future__ import annotations

import jwt
import pytest

from connectors.sources.blob_api import BlobApi
from connectors.sources.blob_look import look_at_containers
from connectors.sources.blobs import Blobs
from pipeline.model.errors import (
    AuthError,
    ConfigError,
    FatalError,
    RetriableError,
    StateError,
)
from tests.live_sources.storage_account import (
    AUDITS,
    MINUTE,
    QUIET,
    SECRETS,
    SIGNINS,
    START,
    account,
    asked,
    client,
    lines,
    reader,
    refusal,
    signature,
)
from tests.services import diagnostics as d
from tests.services.blobs import SIGNATURE, error


def test_a_signature_opens_the_door_and_shows_nowhere(caplog):
    caplog.set_level(0)
    with account() as world:
        world.storage.append(SIGNINS, START, lines(1))
        for given in (signature(), f"?{signature()}", f"{world.storage.root}/?{signature()}"):
            assert d.numbers_of([reader(world, sas=given).poll(None)]) == [1]
        assert asked(world, f"sig={SIGNATURE[:6]}")
        assert not [word for word in SECRETS if word in caplog.text]


TOKEN = {
    (403, "AuthorizationPermissionMismatch"): "assign it the role 'Storage Blob Data Reader'",
    (
        403,
        "AuthorizationFailure",
    ): "its network rules do not let this machine in; allow its address",
    (
        403,
        "AuthenticationFailed",
    ): "does not take our token; check that the account is in the cloud",
    (403, "KeyBasedAuthenticationNotPermitted"): "with the permissions Read and List",
    (403, "AccountIsDisabled"): "is disabled; look after its subscription",
    (403, "SomethingNew"): "(HTTP 403, SomethingNew): the application may not read blobs; assign",
    (409, "PublicAccessNotPermitted"): "takes nobody who does not sign in",
}
SAS = {
    (403, "AuthorizationPermissionMismatch"): "make one with the permissions Read and List",
    (403, "AuthorizationResourceTypeMismatch"): "for containers and objects",
    (403, "AuthorizationFailure"): "its network rules",
    (403, "AuthorizationSourceIPMismatch"): "is for other addresses than this machine's",
    (403, "AuthorizationProtocolMismatch"): "is not for HTTPS",
    (403, "AuthenticationFailed"): "the account's key was renewed since, or it is for another",
    (403, "KeyBasedAuthenticationNotPermitted"): "have the identity of [microsoft] sign in instead",
    (401, "NoAuthenticationInformation"): "takes nobody who does not sign in",
}


@pytest.mark.parametrize("code", TOKEN, ids=lambda c: c[1])
def test_whoever_is_kept_out_with_a_token_is_told_why(code):
    with account() as world:
        world.storage.code = code
        message = refusal(AuthError, reader(world))
        assert TOKEN[code] in message
        assert message.startswith(f"storage account at {world.storage.root[7:]}: ")


@pytest.mark.parametrize("code", SAS, ids=lambda c: c[1])
def test_whoever_is_kept_out_with_a_signature_is_told_why(code):
    with account() as world:
        world.storage.code = code
        assert SAS[code] in refusal(AuthError, reader(world, sas=signature()))


def test_a_token_that_is_not_taken_is_tried_once_anew():
    with account() as world:
        source = reader(world)
        cursor = source.poll(None).cursor
        claims = jwt.decode(world.entra.issued[-1], options={"verify_signature": False})
        world.entra.revoked.add(claims["jti"])
        assert source.poll(cursor).received == 0
        assert len(world.entra.issued) == 2
        world.storage.code = (401, "InvalidAuthenticationInfo")
        assert "refuses a new token (HTTP 401, InvalidAuthenticationInfo)" in refusal(
            AuthError, source, cursor
        )


def test_an_application_without_the_role_is_told_its_name():
    with account() as world:
        world.storage.reader = False
        assert "'Storage Blob Data Reader'" in refusal(AuthError, reader(world))


def test_a_container_that_is_not_there_is_named():
    with account() as world:
        message = refusal(FatalError, reader(world, SIGNINS, AUDITS))
        assert f"has no container {AUDITS}; a diagnostic setting makes one" in message


def test_a_container_that_is_being_deleted_is_tried_again():
    with account() as world:
        world.storage.code = (409, "ContainerBeingDeleted")
        message = refusal(RetriableError, reader(world))
        assert f"container {SIGNINS} is being changed (HTTP 409, ContainerBeingDeleted)" in message


def test_any_other_refusal_is_told_with_its_code():
    with account() as world:
        world.storage.code = (400, "InvalidQueryParameterValue")
        message = refusal(FatalError, reader(world))
        assert f"refused container {SIGNINS} (HTTP 400, InvalidQueryParameterValue)" in message


def test_a_container_of_hundreds_of_resources_is_not_read():
    with account() as world:
        for number in range(60):
            world.storage.append(SIGNINS, START, lines(1), stem=f"resourceId=/{number}/")
        assert "logs of more than 50 resources" in refusal(FatalError, reader(world))


MISTAKES = {
    "nothing": ("", ConfigError, "is none (sv=...&sig=...)"),
    "an account key": (
        f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={SIGNATURE}",
        ConfigError,
        "holds an account key, which may do anything",
    ),
    "no signature": (signature().partition("&sig=")[0], ConfigError, "is none"),
    "an expired one": (
        signature(se="2026-03-19"),
        AuthError,
        "has expired at 2026-03-19T00:00:00Z",
    ),
    "one for later": (
        signature(st="2026-03-20T08:00Z"),
        AuthError,
        "is not valid before 2026-03-20T08:00:00Z",
    ),
    "one that may not list": (signature(sp="r"), AuthError, "lacks the permissions Read and List"),
    "one for queues": (signature(ss="q"), AuthError, "is not for the service Blob"),
    "one for the account only": (signature(srt="s"), AuthError, "lacks the resource types"),
    "one for a blob": (signature(ss=None, srt=None, sr="b"), AuthError, "is for a single blob"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_signature_that_cannot_do_is_told_before_anything_is_asked(case):
    given, kind, words = MISTAKES[case]
    with account() as world:
        message = refusal(kind, reader(world, sas=given))
        assert words in message
        assert "make one under Shared access signature of the account" in message
        assert not world.storage.requests


def test_a_signature_of_one_container_reads_that_container():
    with account() as world:
        given = signature(ss=None, srt=None, sr="c", se="2027-01-01T00:00:00+01:00")
        assert reader(world, sas=given).poll(None).received == 0


def test_another_cursor_is_refused():
    with account() as world:
        source = reader(world)
        for cursor in ({"v": 2}, {"position": 3}, {"v": 1}, {"v": 1, "containers": 3}):
            with pytest.raises(StateError, match=r"cursor of blobs: (want version 1|damaged)"):
                source.poll(cursor)


def test_no_container_at_all_is_a_mistake():
    with account() as world, pytest.raises(ConfigError, match="no container"):
        Blobs(client(world), d.SETTINGS, containers=())


# What 'outrider check' sees.


def test_each_container_is_looked_at_by_itself():
    with account() as world:
        world.storage.make(QUIET)
        world.clock.advance(-90 * MINUTE)
        world.storage.append(SIGNINS, world.clock.now(), lines(1))
        world.clock.advance(90 * MINUTE)
        api = BlobApi(client(world), by_signature=False)
        looks = look_at_containers(api, [SIGNINS, QUIET, AUDITS], START)
        assert (looks[0].problem, looks[0].newest) == (None, START - 90 * MINUTE)
        assert (looks[1].problem, looks[1].newest) == (None, None)
        assert isinstance(looks[2].problem, FatalError)
        get = world.storage.get
        world.storage.get = lambda *_: error(403, "AuthorizationPermissionMismatch")
        (look,) = look_at_containers(api, [SIGNINS], START)
        assert "Storage Blob Data Reader" in str(look.problem)
        world.storage.get = lambda *_: error(404, "BlobNotFound")
        (look,) = look_at_containers(api, [SIGNINS], START)
        assert look.problem is None
        world.storage.get = get
