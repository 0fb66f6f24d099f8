"""Style sheet, script and icon of the pages: files of this package, named by their content."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final, NamedTuple

from starlette.responses import Response

from pipeline.web.problems import ProblemError

PREFIX: Final = "/static/"
_KINDS: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
# The look of the report, and what the dashboard adds to it, are one sheet.
_PARTS: Final = {
    "outrider.css": (("pipeline.report", "templates/report.css"), ("pipeline.web", "static/dashboard.css")),
    "outrider.js": (("pipeline.web", "static/dashboard.js"),),
    "icon.svg": (("pipeline.web", "static/icon.svg"),),
}  # fmt: skip


class Asset(NamedTuple):
    """One file: ``path`` on the server, with a hash of its content in the name."""

    path: str
    kind: str
    content: bytes


def load() -> dict[str, Asset]:
    """Every file by its plain name, such as ``outrider.css``."""
    found = {}
    for name, parts in _PARTS.items():
        content = b"".join(resources.files(p).joinpath(at).read_bytes() for p, at in parts)
        stem, _, kind = name.rpartition(".")
        digest = hashlib.blake2b(content, digest_size=8).hexdigest()
        found[name] = Asset(f"{PREFIX}{stem}.{digest}.{kind}", _KINDS[kind], content)
    return found


def answer(assets: dict[str, Asset], path: str) -> Response:
    """The file at ``path``, which never changes: another content has another name.

    Raises:
        ProblemError: 404; there is none.
    """
    asset = next((a for a in assets.values() if a.path == path), None)
    if asset is None:
        raise ProblemError(404, "there is no such file; reload the page")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Content-Type": asset.kind}
    return Response(asset.content, headers=headers)
