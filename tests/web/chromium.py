"""A real Chromium for the tests of the pages: one for all of them, and nothing leaves loopback."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from importlib import resources
from urllib.parse import urlsplit

import pytest

NEED = "OUTRIDER_TESTS_NEED_BROWSER"
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
AXE = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}
# WCAG 2.2 A and AA; what axe calls best practices is its own.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def find():
    """The program, or why there is none: a skip at home, a failure where it is needed."""
    found = next((p for n in _NAMES if (p := shutil.which(n))), None)
    if found is None:
        told = f"no Chromium here ({', '.join(_NAMES)}); apt-get install chromium brings one"
        if os.environ.get(NEED) == "1":
            pytest.fail(f"{NEED}=1 and {told}")
        pytest.skip(told)
    return found


class Watched:
    """A browser context, and everything that it must not do.

    Attributes:
        context: of playwright.
        outside: requests to anybody but loopback; they were stopped.
        troubles: dialogs, errors of scripts, and what the policy had to stop.
    """

    def __init__(self, context):
        self.context, self.outside, self.troubles = context, [], []
        context.route("**/*", self._route)
        context.on("page", self._watch)

    def _route(self, route):
        parts = urlsplit(route.request.url)
        if parts.scheme in {"http", "https"} and parts.hostname not in LOOPBACK:
            self.outside.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    def _watch(self, page):
        page.set_default_timeout(10_000)
        page.on("dialog", self._dialog)
        page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        page.on("console", self._console)

    def _dialog(self, dialog):
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message):
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.troubles.append(f"console: {message.text}")

    def check(self):
        """See that nothing was done that must not be."""
        assert not self.outside, self.outside
        assert not self.troubles, self.troubles


@contextmanager
def watched(browser, **options):
    """A context of its own: cookies, size and colours; see playwright's ``new_context``."""
    context = browser.new_context(**options)
    held = Watched(context)
    try:
        yield held
        held.check()
    finally:
        context.close()


def barriers(page, rules=None):
    """What axe finds that is serious or critical: rule, and the first places.

    ``rules``: these alone, or with a ``-`` before each all but these; None = all.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    for rule in rules or ():
        if rule.startswith("-"):
            options.setdefault("rules", {})[rule[1:]] = {"enabled": False}
        else:
            options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        (v["id"], v["help"], [n["html"][:160] for n in v["nodes"][:3]])
        for v in found["violations"]
        if v["impact"] in {"serious", "critical"}
    ]


def sideways(page):
    """By how many pixels the page is wider than the window."""
    return page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
