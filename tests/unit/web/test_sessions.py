"""Cookies of browsers: whose they are, how long they hold, and what ends them."""

from __future__ import annotations

import json
import time

import pytest
from pydantic import ValidationError
from starlette.datastructures import Headers

from pipeline.model.errors import ConfigError
from pipeline.runtime.config_serve import Oidc, Serve
from pipeline.runtime.listening import Address
from pipeline.web.access import Access
from pipeline.web.server import certificate
from pipeline.web.session import Person, Sessions

KEY = b"a key of the tests, of 32 bytes!"
EVERYBODY = Address("0.0.0.0", 80)  # noqa: S104 # nobody listens
TOKEN = "a-token-of-the-tests-not-of-the-world"  # noqa: S105 # it opens nothing


def sessions(key=KEY, *, hours=12, secure=False):
    return Sessions(key, hours=hours, secure=secure)


def sent(cookie):
    """The headers of a browser that was given a cookie."""
    return Headers({"cookie": cookie.partition(";")[0]})


def test_a_session_is_read_back_by_every_server_of_the_same_key():
    cookie = sessions().begin("oidc", "Ada")
    person = sessions().read(sent(cookie))
    assert (person.way, person.name, person.signed_in) == ("oidc", "Ada", True)
    assert sessions(b"another key of the tests........").read(sent(cookie)) is None


@pytest.mark.parametrize("change", [lambda v: v[:-1], lambda v: "x" + v, lambda v: v[::-1]])
def test_a_cookie_that_was_changed_is_none(change):
    name, _, value = sessions().begin("token").partition(";")[0].partition("=")
    assert sessions().read(Headers({"cookie": f"{name}={change(value)}"})) is None
    assert sessions().read(Headers({"cookie": name})) is None
    assert sessions().read(Headers({})) is None


def test_a_cookie_of_a_sign_in_that_was_begun_is_no_session():
    held = sessions()
    flow = held.begin_flow({"state": "x", "way": "oidc", "name": "Ada", "mark": "x"})
    value = flow.partition(";")[0].partition("=")[2]
    assert held.read(Headers({"cookie": f"outrider={value}"})) is None
    assert held.read_flow(sent(flow))["state"] == "x"


def test_a_session_ends_by_itself(monkeypatch):
    cookie = sessions(hours=1).begin("token")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3500)
    assert sessions(hours=1).read(sent(cookie)) is not None
    monkeypatch.setattr(time, "time", lambda: now + 3700)
    assert sessions(hours=1).read(sent(cookie)) is None


def test_who_signed_out_stays_out():
    held = sessions()
    cookie = held.begin("token")
    gone = held.end(held.read(sent(cookie)))
    assert held.read(sent(cookie)) is None
    assert "Max-Age=0" in gone


def test_forms_are_of_one_session():
    held = sessions()
    ada, bob = (held.read(sent(held.begin("token"))) for _ in range(2))
    assert held.form_is_good(ada, ada.form)
    assert not held.form_is_good(ada, bob.form)
    assert not held.form_is_good(ada, "\u00e4")
    assert not held.form_is_good(Person("bearer"), "")


def test_over_tls_cookies_are_bound_to_the_host():
    plain, bound = (sessions(secure=s).begin("token") for s in (False, True))
    assert plain.startswith("outrider=")
    assert "Secure" not in plain
    assert bound.startswith("__Host-outrider=")
    assert bound.endswith("HttpOnly; SameSite=Strict; Secure")
    assert "Path=/;" in bound


def test_a_restart_keeps_sessions_and_another_token_ends_them(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN)
    cookie = Access(Serve(token_file=path), EVERYBODY).sessions.begin("token")
    assert Access(Serve(token_file=path), EVERYBODY).person(sent(cookie)) is not None
    path.write_text(TOKEN + "-another")
    assert Access(Serve(token_file=path), EVERYBODY).person(sent(cookie)) is None


def test_a_wrong_token_is_not_made_good_by_a_cookie(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN)
    access = Access(Serve(token_file=path), EVERYBODY)
    cookie = access.sessions.begin("token").partition(";")[0]
    headers = Headers({"cookie": cookie, "authorization": "Bearer not-the-token-at-all"})
    assert access.person(headers) is None
    assert access.person(Headers({"authorization": f"Bearer {TOKEN}"})) == Person("bearer")


def test_a_key_of_sessions_that_can_be_guessed_is_refused(tmp_path):
    (tmp_path / "key").write_text("short")
    with pytest.raises(ConfigError, match="16 or more"):
        Access(Serve(session_key_file=tmp_path / "key"), Address("127.0.0.1", 0))


OIDC = {"tenant": "contoso.example", "client_id": "c", "secret_file": "s", "allowed_roles": ["r"]}


@pytest.mark.parametrize(
    ("changes", "serve", "told"),
    [
        ({"allowed_roles": []}, {}, "name who may sign in"),
        ({"allow_whole_tenant": True}, {}, "keep one"),
        ({"tenant": None}, {}, "tenant is missing"),
        ({"secret_file": None, "certificate_file": "c"}, {}, "certificate_key_file"),
        ({"secret_file": None, "managed_identity": True}, {}, "signs nobody in"),
        ({"authority": "http://login.example"}, {}, "https"),
        ({}, {"url": None}, "serve.url is missing"),
        ({}, {"url": "https://a.example/path"}, "without a path"),
        ({}, {"url": "ftp://a.example"}, "https://HOST"),
        ({}, {"allow_anonymous": True}, "asks nobody"),
    ],
)
def test_a_sign_in_that_cannot_work_is_refused_at_the_start(changes, serve, told):
    given = {k: v for k, v in (OIDC | changes).items() if v is not None}
    section = {"oidc": given, "url": "https://outrider.example", **serve}
    section = {k: v for k, v in section.items() if v is not None}

    with pytest.raises(ValidationError, match=told):
        Serve.model_validate_json(json.dumps(section))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"allow_anonymous": True, "write": True}, "people who sign in"),
        ({"certificate_file": "c"}, "go together"),
        ({"key_file": "k"}, "go together"),
        ({"session_hours": 0}, "greater than or equal to 1"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(given, told):

    with pytest.raises(ValidationError, match=told):
        Serve.model_validate_json(json.dumps(given))


def test_where_people_sign_in_at_entra_the_door_is_shut_on_loopback_too(tmp_path):
    oidc = Oidc(tenant="t", client_id="c", secret_file=tmp_path, allow_whole_tenant=True)
    access = Access(Serve(oidc=oidc, url="http://localhost:1"), Address("127.0.0.1", 1))
    assert access.person(Headers({})) is None
    assert not access.token_is_good(None)
    assert access.origin_is_good(Headers({"origin": "http://localhost:1"}))
    assert not access.origin_is_good(Headers({"origin": "http://localhost:2"}))


def test_a_certificate_that_is_none_is_told(tmp_path):
    (tmp_path / "cert").write_text("nothing")
    (tmp_path / "key").write_text("nothing")
    serve = Serve(certificate_file=tmp_path / "cert", key_file=tmp_path / "key")
    with pytest.raises(ConfigError, match="no certificate"):
        certificate(serve)
    assert certificate(Serve()) is None


def test_an_encrypted_key_wants_the_file_of_its_password(tmp_path):
    import trustme
    from cryptography.hazmat.primitives import serialization

    made = trustme.CA().issue_cert("localhost")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert")
    key = serialization.load_pem_private_key(made.private_key_pem.bytes(), None)
    (tmp_path / "key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"of-the-key"),
        )
    )
    files = {"certificate_file": tmp_path / "cert", "key_file": tmp_path / "key"}
    with pytest.raises(ConfigError, match=r"serve\.key_password_file"):
        certificate(Serve(**files))
    (tmp_path / "password").write_text("of-the-key\n")
    made = certificate(Serve(**files, key_password_file=tmp_path / "password"))
    assert made.password == "of-the-key"  # noqa: S105 # it opens nothing
