"""A person signs in with a code: asked once, waited for, and never asked again while it lasts."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
import trustme

from connectors.auth import Identity
from connectors.auth_device import DeviceCode
from pipeline.model.errors import AuthError
from tests.services.entra import CLIENT, TENANT, Entra
from tests.services.server import ServiceClock, serving

GRAPH, ACTIVITY = "https://graph.microsoft.com", "https://manage.office.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("device") / "ca.pem"
    path.write_bytes(ca.cert_pem.bytes())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(tls)
    return path, tls


@pytest.fixture
def entra(authority):
    made = Entra(ServiceClock(datetime.now(UTC), speed=1.0))
    with serving(made, authority[1]):
        yield made


def signing_in(entra, authority, said):
    return DeviceCode(
        tenant=TENANT,
        client_id=CLIENT,
        tell=said.append,
        authority=entra.root,
        ca_file=authority[0],
    )


def test_the_person_is_told_where_to_enter_which_code_and_waited_for(entra, authority):
    said, entra.pending = [], 2
    token = Identity(signing_in(entra, authority, said)).token(f"{GRAPH}/.default")
    assert token == entra.issued[-1]
    (told,) = said
    assert f"open {entra.root}/devicelogin and enter the code K7Q-PLX" in told
    assert entra.pending == 0


def test_another_service_needs_no_second_code(entra, authority):
    said = []
    way = signing_in(entra, authority, said)
    way.sign_in(f"{GRAPH}/.default")
    token, seconds = way.sign_in(f"{ACTIVITY}/.default")
    assert token == entra.issued[-1]
    assert seconds > 0
    assert len(said) == 1
    assert entra.refreshed == 1


def test_who_declines_keeps_us_out(entra, authority):
    entra.declined = True
    with pytest.raises(AuthError, match=r"refused with AADSTS70018"):
        signing_in(entra, authority, []).sign_in(f"{GRAPH}/.default")


def test_an_application_that_takes_no_codes_says_so(entra, authority):
    entra.code = 7000218
    with pytest.raises(AuthError, match=r"AADSTS7000218: .*public client flows"):
        signing_in(entra, authority, []).sign_in(f"{GRAPH}/.default")


def test_nothing_of_it_shows_in_a_repr(entra, authority):
    way = signing_in(entra, authority, [])
    way.sign_in(f"{GRAPH}/.default")
    assert not [t for t in (*entra.issued, "a refresh token") if t in repr(vars(way))]
