"""People sign in at Entra: a service on loopback that behaves like it, over TLS, in a real browser."""

from __future__ import annotations

import http.client
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import structlog
import trustme

from pipeline.runtime.config_serve import Oidc as OidcSection
from pipeline.runtime.config_serve import Serve
from pipeline.web.oidc import Oidc
from tests.services.entra import CLIENT, SECRET, TENANT
from tests.services.entra_people import EntraPeople
from tests.services.server import ServiceClock, serving
from tests.unit.web import large_ledger
from tests.web.chromium import watched
from tests.web.place import serve_ledger

GROUP = "0f3c2a1e-0000-4000-8000-1b2c3d4e5f60"
ROLE = "Outrider.Read"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def files(tmp_path_factory, authority):
    folder = tmp_path_factory.mktemp("oidc")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    made = authority.issue_cert("localhost")
    made.private_key_pem.write_to_path(folder / "key.pem")
    for number, part in enumerate(made.cert_chain_pems):
        part.write_to_path(folder / "cert.pem", append=number > 0)
    (folder / "secret").write_text(SECRET)
    (folder / "session").write_text("a-key-of-sessions-of-the-tests")
    large_ledger.small(folder / "ledger.sqlite").close()
    return folder


@contextmanager
def standing(files, authority, **allowed):
    """A dashboard that people sign in to, and the Entra that it asks."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    entra = EntraPeople(ServiceClock(datetime.now(UTC), speed=1.0))
    log = structlog.testing.CapturingLogger()
    with serving(entra, tls):
        port = _free_port()
        section = OidcSection(
            tenant=TENANT, client_id=CLIENT, secret_file=files / "secret", authority=entra.root,
            ca_file=files / "ca.pem", **(allowed or {"allowed_groups": [GROUP]}),
        )  # fmt: skip
        serve = Serve(
            oidc=section, url=f"https://localhost:{port}", write=True,
            certificate_file=files / "cert.pem", key_file=files / "key.pem",
            session_key_file=files / "session",
        )  # fmt: skip
        wrapped = structlog.wrap_logger(log, processors=[])
        oidc = Oidc(section, serve.url, wrapped)
        entra.redirects.add(f"{serve.url}/sign-in/back")
        with serve_ledger(
            files / "ledger.sqlite", serve=serve, oidc=oidc, port=port, name="localhost"
        ) as place:
            yield place, entra, log


def _free_port():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


def go_through(page, place, target="/"):
    page.goto(place.root + target)
    page.get_by_role("link", name="Sign in with Microsoft").click()
    page.get_by_role("link", name="Yes, it is me").click()


def test_a_member_of_the_group_comes_in_and_acts_by_their_name(browser, files, authority):
    with (
        standing(files, authority) as (place, entra, _),
        watched(browser, ignore_https_errors=True) as held,
    ):
        entra.claims = {"groups": ["another", GROUP]}
        page = held.context.new_page()
        target = f"/incidents/inc-{11:012x}"
        go_through(page, place, target)
        page.wait_for_url(place.root + target)
        (cookie,) = held.context.cookies(place.root)
        assert cookie["name"] == "__Host-outrider"
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
        assert "ada@contoso.example" in page.locator("footer").inner_text()
        page.get_by_role("button", name="Acknowledge").click()
        page.get_by_text("Acknowledged by ada@contoso.example").wait_for()
        (asked,) = entra.asked
        assert asked["code_challenge_method"] == "S256"
        assert asked["redirect_uri"] == f"{place.root}/sign-in/back"
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("link", name="Sign in with Microsoft").wait_for()


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({}, "You are known, and may not see this"),
        ({"groups": ["another"]}, "You are known, and may not see this"),
        ({"groups": GROUP}, "You are known, and may not see this"),
        ({"roles": [GROUP]}, "You are known, and may not see this"),
        ({"_claim_names": {"groups": "src1"}}, "more groups than a token holds"),
        ({"groups": [GROUP], "aud": "another"}, "was refused"),
        ({"groups": [GROUP], "tid": "7b1d0c44-0000-4000-8000-2c9e8f7a6b5c"}, "was refused"),
        ({"groups": [GROUP], "iss": "https://evil.example/"}, "was refused"),
        ({"groups": [GROUP], "nonce": "another"}, "was refused"),
        ({"groups": [GROUP], "nonce": None}, "was refused"),
        ({"groups": [GROUP], "exp": 1}, "was refused"),
        ({"groups": [GROUP], "exp": None}, "was refused"),
    ],
)
def test_who_may_not_come_in_is_told_why(door, claims, text):
    door.entra.claims = claims
    answer, body = door.come_back(door.walk())
    assert answer.status in {401, 403}
    assert text in body
    assert not [c for c in answer.headers.get_all("Set-Cookie") if c.startswith("__Host-outrider=")]
    told = repr(door.log.calls)
    assert "ada@" not in told
    assert SECRET not in told
    assert "eyJ" not in told
    assert "ada@" not in body


def test_a_holder_of_a_role_comes_in(files, authority):
    with standing(files, authority, allowed_roles=[ROLE]) as (place, entra, log):
        door = Door(place, entra, log, files)
        entra.claims = {"roles": [ROLE]}
        answer, _ = door.come_back(door.walk())
        assert answer.status == 200
        assert any(c.startswith("__Host-outrider=") for c in answer.headers.get_all("Set-Cookie"))


def test_an_answer_of_another_sign_in_is_refused(door):
    door.entra.claims = {"groups": [GROUP]}
    first, second = door.walk(), door.walk()
    # The second browser comes with the first one's answer.
    answer, _ = door.come_back(first._replace(cookie=second.cookie))
    assert answer.status == 401
    answer, _ = door.come_back(second._replace(cookie=""))
    assert answer.status == 400
    assert door.come_back(second)[0].status == 200
    # A code is good once.
    assert door.come_back(second)[0].status == 401


def test_who_changes_their_mind_is_back_at_the_door(door):
    door.entra.denies = True
    try:
        answer, body = door.come_back(door.walk())
        assert answer.status == 401
        assert "Sign in with Microsoft" in body
    finally:
        door.entra.denies = False


def test_an_entra_that_is_away_is_told(door):
    from tests.services.server import Reply

    door.entra.broken = Reply(503, {})
    try:
        answer, body = door.ask("/sign-in/entra")
        assert answer.status == 503
        assert "does not answer now" in body
    finally:
        door.entra.broken = None


def test_a_token_of_programs_does_not_pass_where_only_people_sign_in(door):
    for headers in ({"authorization": "Bearer something-of-16-letters"}, {}):
        assert door.ask("/api/v1/incidents", **headers)[0].status == 401


def test_over_tls_browsers_are_told_to_stay_there(door):
    answer, _ = door.ask("/help", accept="text/html")
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


@pytest.fixture(scope="module")
def door(files, authority):
    with standing(files, authority) as (place, entra, log):
        yield Door(place, entra, log, files)


class Walk:
    def __init__(self, query, cookie):
        self.query, self.cookie = query, cookie

    def _replace(self, **changes):
        return Walk(**{"query": self.query, "cookie": self.cookie, **changes})


class Door:
    """A browser without a screen."""

    def __init__(self, place, entra, log, files):
        self.place, self.entra, self.log = place, entra, log
        self.trust = ssl.create_default_context(cafile=files / "ca.pem")

    def _ask(self, port, target, headers):
        connection = http.client.HTTPSConnection("localhost", port, timeout=30, context=self.trust)
        try:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            return answer, answer.read().decode()
        finally:
            connection.close()

    def ask(self, target, **headers):
        return self._ask(self.place.port, target, headers)

    def walk(self):
        answer, _ = self.ask("/sign-in/entra?next=/incidents")
        assert answer.status == 303, answer.status
        cookie = answer.headers["Set-Cookie"]
        assert "SameSite=Lax" in cookie
        assert "HttpOnly" in cookie
        assert cookie.endswith("Secure")
        address = answer.headers["Location"].removeprefix(self.entra.root)
        _, page = self._ask(int(self.entra.root.rpartition(":")[2]), address, {})
        query = page.partition("/sign-in/back?")[2].partition('"')[0].replace("&amp;", "&")
        return Walk(query, cookie.partition(";")[0])

    def come_back(self, walk):
        return self.ask(f"/sign-in/back?{walk.query}", cookie=walk.cookie)
