"""``report.html``: one file that opens anywhere, asks nobody for anything and runs no code."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.report.folder import read
from pipeline.report.incident_charts import Detail
from pipeline.report.page import Page, build, wanted_lanes
from pipeline.report.timeline import read_timeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME: Final = "report.html"
MAX_BYTES: Final = 2_000_000  # opens at once on a phone and passes most mail gateways
_UNIT: Final = re.compile(r"(?<=\d) (?=(?:%|min|h|d|s|UTC|[A-Z][a-z]{2})\b|%)")

# Tried in turn until the page is small enough; the last one always is.
DETAILS: Final = (
    Detail(incidents=12, charts=8, table_rows=48),
    Detail(incidents=8, charts=6, table_rows=24),
    Detail(incidents=4, charts=4, table_rows=24),
    Detail(incidents=2, charts=2, table_rows=12, posts=False),
    Detail(incidents=0, charts=0, table_rows=0, posts=False),
)


def write_report(out_dir: Path, *, time_zone: str = "UTC") -> Path:
    """Write ``out_dir/report.html`` from the documents in ``out_dir`` and return its path.

    The folder is the one a backfill writes; files that are missing leave their part of the
    page out, unreadable lines are counted and said. The same folder gives the same bytes.

    Args:
        out_dir: the output folder of a backfill.
        time_zone: IANA name of the clock printed beside UTC.

    Raises:
        ConfigError: there is no such folder.
    """
    contents = read(out_dir)
    timeline = read_timeline(out_dir / "timeline.parquet", wanted_lanes(contents, DETAILS[0]))
    text = b""
    for detail in DETAILS:
        text = render(build(contents, timeline, time_zone=time_zone, detail=detail)).encode()
        if len(text) <= MAX_BYTES:
            break
    path = out_dir / NAME
    draft = path.with_name(f".{NAME}.tmp")
    draft.write_bytes(text)
    draft.replace(path)
    return path


def _keep_units(value: Any) -> Any:
    """Keep a number and its unit on one line; markup passes as it is."""
    return _UNIT.sub("\u00a0", value) if type(value) is str else value


def render(page: Page) -> str:
    """The page as HTML; its policy allows the one style sheet inside it and nothing else."""
    return filled("report.html", ("report.css",), page=page)


def filled(template: str, styles: Sequence[str], **values: Any) -> str:
    """A template with its values, and with one style sheet whose hash the policy names.

    Args:
        template: of pipeline/report/templates; gets ``style`` and ``style_hash`` too.
        styles: the files that the style sheet is made of, in order.
        values: what the template shows; every text is escaped.
    """
    environment = Environment(
        loader=PackageLoader("pipeline.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_keep_units,
    )
    style = "".join(environment.get_template(name).render() for name in styles)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template(template).render(**values, style=style, style_hash=digest)
