"""A page as PDF, printed by an installed Chromium that may reach nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from pipeline.model.errors import ConfigError, FatalError

VARIABLE: Final = "OUTRIDER_BROWSER"
NAMES: Final = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
)
_SECONDS: Final = 120.0  # a cold start on a busy machine takes some ten
# No name resolves and no proxy is asked, so whatever a browser does by itself leads nowhere.
_OFFLINE: Final = (
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-client-side-phishing-detection",
    "--no-pings",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-default-browser-check",
)


def browser(named: str | None = None) -> str:
    """The program that prints: the one that is named, or the first that is found.

    Args:
        named: name or path of a program; None = look for one.

    Raises:
        ConfigError: there is none.
    """
    if named:
        found = shutil.which(named)
        if found is None:
            raise ConfigError(f"--browser: {named!r} is no program here; name Chromium or Chrome")
        return found
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    raise ConfigError(
        f"--pdf: no browser was found (looked for {', '.join(NAMES)}); install Chromium, name "
        f"its program with --browser or {VARIABLE}, or print the HTML page from any browser"
    )


def write_pdf(html: str, path: Path, program: str) -> None:
    """Print a self-contained page to ``path``.

    Args:
        html: the page; it must need nothing from outside.
        path: of the PDF; it is replaced when the new one is whole.
        program: the browser.

    Raises:
        FatalError: the browser failed, or the PDF cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="outrider-pdf-") as name:
        folder = Path(name)
        page, printed = folder / "page.html", folder / "page.pdf"
        page.write_text(html, encoding="utf-8")
        _print(program, page, printed, folder / "profile")
        try:
            draft = path.with_name(f".{path.name}.tmp")
            shutil.copyfile(printed, draft)
            draft.replace(path)
        except OSError as error:
            raise FatalError(f"{path}: cannot be written ({error.strerror})") from error


def _print(program: str, page: Path, printed: Path, profile: Path) -> None:
    command = [
        program,
        "--headless",
        "--disable-gpu",
        "--no-pdf-header-footer",
        f"--user-data-dir={profile}",
        f"--print-to-pdf={printed}",
        *_OFFLINE,
        *_sandbox(),
        page.as_uri(),
    ]
    try:
        done = subprocess.run(  # noqa: S603 # a program of this machine and our own file
            command, check=False, capture_output=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise FatalError(
            f"{program}: printed nothing in {_SECONDS:.0f} s; try again, or print the HTML page "
            "from any browser"
        ) from error
    except OSError as error:
        raise FatalError(f"{program}: cannot be started ({error.strerror})") from error
    if done.returncode or not printed.exists():
        told = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no word of why"]
        raise FatalError(
            f"{program}: did not print (exit code {done.returncode}: {told[0][:200]}); name "
            "another one with --browser, or print the HTML page from any browser"
        )


def _sandbox() -> tuple[str, ...]:
    """Chromium refuses to run as root with its sandbox; the page is our own and runs no code."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return ("--no-sandbox",) if root else ()
