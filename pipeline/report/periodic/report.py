"""A report of a period, made once and given in each form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.report.html import filled
from pipeline.report.periodic.document import document
from pipeline.report.periodic.figures import Reckoner
from pipeline.report.periodic.page import build

if TYPE_CHECKING:
    from pipeline.report.periodic.figures import Figures
    from pipeline.report.periodic.origin import Origin
    from pipeline.report.periodic.span import Period


class PeriodReport:
    """What happened in a period. The same facts give the same bytes.

    Args:
        origin: where the facts are.
        period: a day or a month.
        tenant: only what is about it; None = all.
    """

    def __init__(self, origin: Origin, period: Period, *, tenant: str | None = None) -> None:
        before = period.before()
        reckoner = Reckoner(origin, before.begin, period.end, tenant=tenant)
        self.now: Figures = reckoner.figures(period)
        self.then: Figures = reckoner.figures(before)
        self._origin = origin
        self._advisories = reckoner.advisories
        self._tenant = tenant

    def html(self) -> str:
        """One page that asks nobody for anything and runs no code."""
        page = build(
            self.now,
            self.then,
            tenant=self._tenant,
            advisories=self._advisories,
            told=self._origin.told,
            damaged=self._origin.damaged,
        )
        return filled("period.html", ("report.css", "period.css"), p=page)

    def document(self) -> dict[str, Any]:
        """``outrider.report/1``."""
        return document(self.now, self.then, tenant=self._tenant, damaged=self._origin.damaged)


def file_name(period: Period, tenant: str | None) -> str:
    """How the file of a report is called, without its ending.

    >>> from datetime import date
    >>> from pipeline.report.periodic.span import Kind, Period
    >>> file_name(Period(Kind.MONTHLY, date(2026, 3, 1)), "contoso")
    'outrider-monthly-2026-03-contoso'
    """
    # A tenant's id comes from logs: only what no file system takes amiss is kept of it.
    plain = "".join(c if c.isascii() and (c.isalnum() or c == "-") else "-" for c in tenant or "")
    return "-".join(filter(None, ("outrider", str(period.kind), period.name, plain[:60])))
