"""Tokens of Entra, from a service on loopback that answers and refuses as Entra does."""

from __future__ import annotations

import ssl
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from msal.authority import WELL_KNOWN_AUTHORITY_HOSTS

from connectors.auth import (
    AUTHORITIES,
    Application,
    ClientCertificate,
    ClientSecret,
    FederatedToken,
    Identity,
    Machine,
    Token,
)
from pipeline.model.clock import ManualClock
from pipeline.model.errors import (
    AuthError,
    ConfigError,
    OutriderError,
    RetriableError,
    ThrottledError,
)
from tests.kafka.secure import KEY_PASSWORD, pkcs8
from tests.kafka.sign_in import CLIENT, FEDERATED, SCOPE, SECRET, TENANT, SignIn, serving

NOON = datetime(2026, 3, 19, 12, tzinfo=UTC)
RSA = trustme.KeyType.RSA


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Certificates of the service, of the application and of strangers, as files."""
    folder = tmp_path_factory.mktemp("auth")
    ca = trustme.CA()
    issued = {
        "app": ca.issue_cert("outrider.example.net", key_type=RSA),
        "other": ca.issue_cert("outrider.example.net", key_type=RSA),
        "elliptic": ca.issue_cert("outrider.example.net"),
    }
    for name, cert in issued.items():
        (folder / f"{name}.pem").write_bytes(cert.cert_chain_pems[0].bytes())
        (folder / f"{name}.key").write_bytes(pkcs8(cert))
    (folder / "locked.key").write_bytes(pkcs8(issued["app"], KEY_PASSWORD))
    (folder / "ca.pem").write_bytes(ca.cert_pem.bytes())
    (folder / "stranger.pem").write_bytes(trustme.CA().cert_pem.bytes())
    (folder / "nothing.pem").write_text("nothing\n")
    return folder, ca, issued["app"]


@pytest.fixture
def service(files):
    _, ca, app = files
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(tls)
    key = serialization.load_pem_private_key(app.private_key_pem.bytes(), None)
    with serving(SignIn(key.public_key()), tls) as made:
        yield made


def secret(text=SECRET):
    return ClientSecret(lambda: text)


def certificate(files, name="app", key=None, password=KEY_PASSWORD):
    folder = files[0]
    return ClientCertificate(
        folder / f"{name}.pem", folder / f"{key or name}.key", lambda: password
    )


def application(service, files, credential=None, **changed):
    told = {
        "tenant": TENANT,
        "client_id": CLIENT,
        "credential": credential or secret(),
        "authority": service.authority,
        "ca_file": files[0] / "ca.pem",
    }
    return Application(**{**told, **changed})


def problem(sign_in, scope=SCOPE):
    """The error of a sign-in, after a look that no secret could be shown with it."""
    with pytest.raises(OutriderError) as caught:
        Identity(sign_in).token(scope)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    shown += repr(caught.value.__cause__)
    assert not [s for s in (SECRET, KEY_PASSWORD, FEDERATED, "a-wrong-one") if s in shown]
    return caught.value


@pytest.mark.parametrize("way", ["secret", "certificate", "encrypted key", "federated token"])
def test_every_credential_gets_a_token(service, files, way):
    credential = {
        "secret": secret(),
        "certificate": certificate(files),
        "encrypted key": certificate(files, key="locked"),
        "federated token": FederatedToken(lambda: FEDERATED),
    }[way]
    token = Identity(application(service, files, credential)).token(SCOPE)
    assert service.tokens == [token]
    assert SECRET not in repr(credential)


def test_a_token_is_used_again_until_half_of_its_life_is_over(service, files):
    clock = ManualClock(NOON)
    identity = Identity(application(service, files), clock=clock)
    first = identity.token(SCOPE)
    clock.advance(timedelta(minutes=29))
    assert identity.token(SCOPE) == first
    clock.advance(timedelta(minutes=2))
    assert identity.token(SCOPE) == first  # and a thread fetches the next one meanwhile
    until = time.monotonic() + 10
    while identity.token(SCOPE) == first:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert len(service.tokens) == 2


def test_an_outage_of_the_service_is_ridden_out_while_the_token_lives(service, files):
    clock = ManualClock(NOON)
    identity = Identity(application(service, files), clock=clock)
    first = identity.token(SCOPE)
    service.down = 503, {}, ""
    clock.advance(timedelta(minutes=31))
    for _ in range(5):
        assert identity.token(SCOPE) == first
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon:
            thread.join(0.2)
    clock.advance(timedelta(minutes=28, seconds=30))
    with pytest.raises(RetriableError, match="HTTP 503"):
        identity.token(SCOPE)
    service.down = None
    assert identity.token(SCOPE) != first


def test_a_renewal_that_fails_is_not_tried_at_every_call(files, service):
    clock = ManualClock(NOON)
    tried = threading.Semaphore(0)

    class Flaky:
        calls = 0

        def sign_in(self, _scope):
            Flaky.calls += 1
            tried.release()
            if Flaky.calls > 1:
                raise RetriableError("down")
            return "first", 3600

    identity = Identity(Flaky(), clock=clock)
    assert identity.token(SCOPE) == "first"
    assert tried.acquire(timeout=5)
    clock.advance(timedelta(minutes=31))
    for _ in range(10):
        assert identity.token(SCOPE) == "first"
    assert tried.acquire(timeout=5)
    assert Flaky.calls == 2
    clock.advance(timedelta(seconds=31))
    assert identity.token(SCOPE) == "first"
    assert tried.acquire(timeout=5)
    assert Flaky.calls == 3


def test_threads_that_ask_at_once_share_one_sign_in(service, files):
    identity = Identity(application(service, files))
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: identity.token(SCOPE), range(16)))
    assert set(got) == set(service.tokens)
    assert len(service.tokens) == 1


def test_a_secret_that_was_changed_is_used_at_once(service, files):
    held = ["a-wrong-one"]
    sign_in = application(service, files, ClientSecret(lambda: held[0]))
    assert "AADSTS7000215" in str(problem(sign_in))
    held[0] = SECRET
    assert Identity(sign_in).token(SCOPE) in service.tokens


REFUSALS = {
    "a wrong secret": ({"credential": secret("a-wrong-one")}, SCOPE, 7000215, "not its id"),
    "an unknown application": ({"client_id": "x"}, SCOPE, 700016, "check client_id and tenant"),
    "an unknown tenant": ({"tenant": "nowhere"}, SCOPE, 90002, "check tenant, and cloud"),
    "an unknown resource": ({}, "https://nothing.example.net/.default", 500011, "check scope"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_told_with_its_code_and_its_remedy(service, files, case):
    changed, scope, code, words = REFUSALS[case]
    error = problem(application(service, files, **changed), scope)
    assert isinstance(error, AuthError)
    assert f"AADSTS{code}: " in str(error)
    assert words in str(error)
    assert "correlation id 55555555-6666-7777-8888-999999999999" in str(error)


def test_a_certificate_that_the_application_does_not_have_is_refused(service, files):
    error = problem(application(service, files, certificate(files, "other")))
    assert "AADSTS700027: the certificate is not one of the application's" in str(error)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (7000222, AuthError, "has expired; make a new one"),
        (700024, AuthError, "set this machine's clock"),
        (53003, AuthError, "Conditional Access"),
        (900382, AuthError, "another Microsoft cloud"),
        (123456, AuthError, "look AADSTS123456 up"),
        (90033, RetriableError, "a problem of its own"),
    ],
)
def test_codes_are_sorted_by_whether_waiting_helps(service, files, code, kind, words):
    service.code = code
    error = problem(application(service, files))
    assert isinstance(error, kind)
    assert words in str(error)


def test_a_service_that_asks_for_time_gets_it(service, files):
    service.down = 429, {"Retry-After": "12"}, "{}"
    error = problem(application(service, files))
    assert isinstance(error, ThrottledError)
    assert error.retry_after == 12.0


@pytest.mark.parametrize(
    ("down", "words"),
    [
        ((502, {}, "bad gateway"), "HTTP 502"),
        ((200, {}, "<html>log in to this network</html>"), "is there a proxy in between"),
        ((302, {"Location": "https://localhost/"}, ""), "HTTP 302 without JSON"),
    ],
)
def test_answers_that_are_none_are_tried_again(service, files, down, words):
    service.down = down
    error = problem(application(service, files))
    assert isinstance(error, RetriableError)
    assert words in str(error)


def test_a_service_that_is_not_there_is_tried_again(service, files):
    error = problem(application(service, files, authority="https://localhost:1"))
    assert isinstance(error, RetriableError)
    assert "no answer (ConnectionError)" in str(error)


def test_a_service_that_is_not_the_right_one_is_not_trusted(service, files, monkeypatch):
    # The authority that is named goes before one of the environment.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files[0] / "ca.pem"))
    error = problem(application(service, files, ca_file=files[0] / "stranger.pem"))
    assert isinstance(error, AuthError)
    assert "not to be trusted" in str(error)
    assert service.asked == 0


@pytest.mark.parametrize("name", ["nothing.pem", "nowhere.pem"])
def test_a_file_without_authorities_is_named(service, files, name):
    error = problem(application(service, files, ca_file=files[0] / name))
    assert isinstance(error, ConfigError)
    assert name in str(error)


def test_a_key_that_entra_does_not_take_is_told(service, files):
    error = problem(application(service, files, certificate(files, "elliptic")))
    assert isinstance(error, AuthError)
    assert "must be RSA" in str(error)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"key": "other"}, "is not the private key of"),
        ({"name": "nothing"}, "cannot be read"),
        ({"key": "locked", "password": "a-wrong-one"}, "its password does not open it"),
    ],
)
def test_a_pair_that_does_not_fit_is_told(service, files, changed, words):
    error = problem(application(service, files, certificate(files, **changed)))
    assert isinstance(error, ConfigError)
    assert words in str(error)
    assert service.asked == 0


class AppService:
    """The endpoint that Azure gives an application for its managed identity."""

    down = None

    def __init__(self):
        self.status = 200
        self.seen = []

    def answer(self, method, path, _form):
        self.seen.append((method, path))
        if self.status != 200:
            return self.status, {"statusCode": self.status, "message": "no identity"}
        expires = int(time.time()) + 3600
        return 200, {"access_token": "of the machine", "expires_on": str(expires), "resource": "r"}


@pytest.fixture
def machine(monkeypatch):
    with serving(AppService(), None) as made:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{made.authority}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
        yield made


@pytest.mark.parametrize("client_id", [None, CLIENT])
def test_a_machine_of_azure_signs_in_without_a_secret(machine, client_id):
    assert Identity(Machine(client_id)).token(SCOPE) == "of the machine"
    assert machine.seen == [("GET", "/token")]


def test_a_machine_without_an_identity_is_told(machine):
    machine.status = 400
    error = problem(Machine())
    assert isinstance(error, AuthError)
    assert "give this machine an identity" in str(error)


def test_every_cloud_has_an_address_that_msal_knows():
    assert {urlsplit(a).hostname for a in AUTHORITIES.values()} <= WELL_KNOWN_AUTHORITY_HOSTS


def test_a_token_shows_in_no_repr():
    token = Token("eyJ-secret", NOON, NOON + timedelta(hours=1))
    assert "eyJ" not in repr(token)
    assert token.renew_at == NOON + timedelta(minutes=30)
