"""Pages as HTML: templates that escape everything, headers that let nothing else run."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from pipeline.notify.clean import clean
from pipeline.notify.words import count, duration, moment, percent, plural, short
from pipeline.web import words
from pipeline.web.problems import has_tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from pipeline.web.assets import Asset
    from pipeline.web.session import Person

_UNIT: Final = re.compile(r"(?<=\d) (?=(?:%|min|h|d|s|UTC|[A-Z][a-z]{2})\b|%)")
# Own files and nothing else; no inline script or style, no frame, no form to elsewhere.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    # With no-referrer, browsers send forms with the origin "null", and nothing could be checked.
    "Referrer-Policy": "same-origin",
    "Vary": "Accept, Authorization, Cookie",
}
NAVIGATION: Final = (
    ("now", "/", "Now", "n"),
    ("incidents", "/incidents", "Incidents", "i"),
    ("advisories", "/advisories", "Advisories", "a"),
    ("ledger", "/ledger", "Lead times", "l"),
    ("sources", "/sources", "Sources", "s"),
    ("destinations", "/destinations", "Destinations", "d"),
)


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages have in common.

    Attributes:
        assets: files of the pages by plain name.
        version: of the program.
        time_zone: IANA name of the clock that is told beside UTC.
        poll_seconds: after how long a page asks whether there is something new; 0 = never.
    """

    assets: Mapping[str, Asset]
    version: str
    time_zone: str
    poll_seconds: float

    @property
    def build(self) -> str:
        """Changes with the program and its files."""
        told = self.version + "".join(a.path for a in self.assets.values())
        return hashlib.blake2b(told.encode(), digest_size=6).hexdigest()


class Renderer:
    """Makes pages.

    Args:
        site: what they have in common.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self._environment = _environment(site.time_zone)

    def html(self, name: str, values: Mapping[str, Any]) -> str:
        """The text of a page.

        Args:
            name: of the template.
            values: that it needs; ``person`` and ``nav`` are known to all of them.
        """
        base = {"site": self.site, "navigation": NAVIGATION, "person": None, "nav": "", "q": ""}
        return self._environment.get_template(name).render({**base, **values})

    def page(
        self,
        name: str,
        values: Mapping[str, Any],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """An answer that nobody may keep."""
        told = {**HEADERS, "Cache-Control": "no-store", **(headers or {})}
        return Response(self.html(name, values), status, told, "text/html; charset=utf-8")

    def tag(self, request: Request, person: Person, *parts: object) -> str:
        """The ETag of a page: of all that decides what it says.

        Args:
            request: which address.
            person: whose page.
            parts: what the page is made of, such as when the ledger was last written.
        """
        told = [self.site.build, request.url.path, request.url.query, person.mark, person.name]
        text = "\x1f".join([*told, *map(str, parts)])
        return f'W/"{hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()}"'

    @staticmethod
    def unchanged(request: Request, tag: str) -> Response | None:
        """The answer to somebody who has the page already; None if they have not."""
        if has_tag(request.headers.getlist("if-none-match"), tag.removeprefix("W/")):
            return Response(
                None, 304, {**HEADERS, "ETag": tag, "Cache-Control": "private, no-cache"}
            )
        return None


@lru_cache(maxsize=4)
def _environment(zone: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader(
            [
                PackageLoader("pipeline.web", "templates"),
                PackageLoader("pipeline.report", "templates"),
            ]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_keep_units,
    )
    environment.filters |= {
        "clean": clean,
        "count": count,
        "percent": percent,
        "duration": duration,
        "short": short,
        "moment": lambda at: moment(at, zone),
        "local": lambda at: local(at, zone),
        "iso": lambda at: f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "clock": lambda at: f"{at.astimezone(UTC):%H:%M}",
        "label": words.label,
        "plural": plural,
    }
    return environment


def local(at: datetime, zone: str) -> str:
    """The clock of ``zone`` at a moment, with the day where it is another; empty if it is UTC's.

    >>> local(datetime(2026, 3, 19, 23, 30, tzinfo=UTC), "Europe/Berlin")
    '20 Mar 00:30 CET'
    """
    there, here = at.astimezone(ZoneInfo(zone)), at.astimezone(UTC)
    if there.utcoffset() == here.utcoffset():
        return ""
    day = "" if there.date() == here.date() else short(there.replace(tzinfo=UTC)).rsplit(" ", 1)[0]
    return f"{day} {there:%H:%M %Z}".strip()


def _keep_units(value: Any) -> Any:
    """Keep a number and its unit on one line; markup passes as it is."""
    return _UNIT.sub("\u00a0", value) if type(value) is str else value
