"""Coming in with a browser: by the token, or at Entra; and staying out without."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlencode

import pytest

from pipeline.runtime.config_serve import Serve
from tests.unit.web import large_ledger
from tests.web.chromium import barriers, watched
from tests.web.place import serve_ledger

TOKEN = "a-token-of-the-tests-not-of-the-world"  # noqa: S105 # it opens nothing
EVERYBODY = "0.0.0.0"  # noqa: S104 # the rules for everybody, on loopback


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    path = tmp_path_factory.mktemp("locked") / "ledger.sqlite"
    large_ledger.small(path).close()
    (path.parent / "token").write_text(TOKEN + "\n")
    return path


@pytest.fixture(scope="module")
def locked(ledger):
    serve = Serve(token_file=ledger.parent / "token")
    with serve_ledger(ledger, serve=serve, host=EVERYBODY, poll=0.2) as held:
        yield held


def sign_in(page, place, target="/"):
    page.goto(place.root + target)
    page.get_by_label("The token of this server").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url(place.root + target)


def ask(place, method, target, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=30)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            body = urlencode(body)
            given.setdefault("content-type", "application/x-www-form-urlencoded")
        connection.request(method, target, body, given)
        answer = connection.getresponse()
        return answer, answer.read().decode()
    finally:
        connection.close()


def test_a_stranger_signs_in_and_is_where_they_wanted_to_be(browser, locked):
    with watched(browser) as held:
        page = held.context.new_page()
        page.goto(locked.root + "/incidents?state=open")
        assert page.locator("h1").inner_text() == "Sign in to Outrider"
        assert page.locator("nav").count() == 0
        assert barriers(page) == []
        page.get_by_label("The token of this server").fill("not the token, but as long")
        page.keyboard.press("Enter")
        page.get_by_text("That is not the token").wait_for()
        page.get_by_label("The token of this server").fill(TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_url("**/incidents?state=open")
        assert page.locator("a[data-row]").count() > 0
        (cookie,) = held.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (
            "outrider",
            True,
            "Strict",
        )
        assert TOKEN not in cookie["value"]
        assert page.evaluate("document.cookie") == ""


def test_signing_out_ends_the_session_for_good(browser, locked):
    with watched(browser) as held:
        page = held.context.new_page()
        sign_in(page, locked)
        kept = held.context.cookies()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        held.context.add_cookies(kept)  # as somebody would who has stolen it
        page.goto(locked.root + "/")
        assert "/sign-in" in page.url


def test_a_link_in_a_chat_opens_the_page_for_who_is_signed_in(browser, locked):
    """Strict cookies do not come with a click on another site."""
    with other_site(f'<a href="{locked.root}/incidents?state=open">here</a>') as root:
        with watched(browser) as held:
            page = held.context.new_page()
            sign_in(page, locked)
            page.goto(root)
            page.get_by_role("link", name="here").click()
            page.locator("a[data-row]").first.wait_for()
            assert page.url.endswith("/incidents?state=open")
        with watched(browser) as held:
            page = held.context.new_page()
            page.goto(root)
            page.get_by_role("link", name="here").click()
            page.wait_for_url("**/sign-in?next=*")


def test_an_open_page_of_a_session_that_ended_says_so(browser, locked):
    with watched(browser) as held:
        page = held.context.new_page()
        sign_in(page, locked)
        held.context.clear_cookies()
        page.locator("#trouble", has_text="You are signed out").wait_for()


def test_no_page_of_another_site_can_act_here(browser, locked):
    form = f"""<form method=post action="{locked.root}/sign-out"><button>go</button></form>"""
    with other_site(form) as root, watched(browser) as held:
        page = held.context.new_page()
        sign_in(page, locked)
        page.goto(root)
        with page.expect_navigation() as gone:
            page.get_by_role("button", name="go").click()
        assert gone.value.status == 403
        page.goto(locked.root + "/")
        assert page.get_by_role("button", name="Sign out").is_visible()


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "/sign-in", "a:b"]
)
def test_the_sign_in_leads_nowhere_else(locked, target):
    answer, _ = ask(
        locked,
        "POST",
        "/sign-in",
        {"token": TOKEN, "next": target},
        origin=locked.root,
        host=f"127.0.0.1:{locked.port}",
    )
    assert answer.status == 303
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1"},
        {"sec_fetch_site": "cross-site", "origin": "same"},
        {"sec_fetch_site": "same-site", "origin": "same"},
    ],
)
def test_a_form_without_the_right_origin_is_refused(locked, headers):
    if headers.get("origin") == "same":
        headers = {**headers, "origin": locked.root}
    answer, text = ask(locked, "POST", "/sign-in", {"token": TOKEN}, **headers)
    assert answer.status == 403
    assert answer.headers["Set-Cookie"] is None
    assert TOKEN not in text


def test_programs_still_send_the_token_and_get_no_pages_to_sign_in_with(locked):
    answer, _ = ask(locked, "GET", "/api/v1/incidents")
    assert (answer.status, answer.headers["Content-Type"]) == (401, "application/problem+json")
    answer, _ = ask(locked, "GET", "/", accept="text/html", sec_fetch_mode="cors")
    assert answer.status == 401
    answer, text = ask(locked, "GET", "/", accept="text/html", authorization=f"Bearer {TOKEN}")
    assert answer.status == 200
    assert TOKEN not in text


@pytest.mark.parametrize(
    ("body", "status"),
    [("x" * 20_000, 413), ("token=%ff%fe", 401), ("&".join("abcdefghijklmnop"), 400)],
)
def test_odd_forms_get_a_proper_answer(locked, body, status):
    connection = http.client.HTTPConnection("127.0.0.1", locked.port, timeout=30)
    headers = {"Origin": locked.root, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/sign-in", body, headers)
    answer = connection.getresponse()
    assert answer.status == status
    answer.read()
    connection.close()


@contextmanager
def other_site(markup):
    """A page of another site, as the browser sees it: localhost is not 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = f"<!doctype html><title>x</title>{markup}".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
