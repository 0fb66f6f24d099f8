"""``outrider report``: what happened on a day or in a month, as HTML, PDF or JSON."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeAlias

import typer

from pipeline.cli.folders import JsonOption, are_there, check_zone
from pipeline.cli.output import note, print_json, print_text, write_file
from pipeline.cli.stores import DEFAULT_STATE
from pipeline.model.clock import SystemClock
from pipeline.model.errors import ConfigError
from pipeline.report.periodic.from_folder import FolderOrigin
from pipeline.report.periodic.from_ledger import LedgerOrigin
from pipeline.report.periodic.pdf import VARIABLE, write_pdf
from pipeline.report.periodic.pdf import browser as found
from pipeline.report.periodic.report import PeriodReport, file_name
from pipeline.report.periodic.span import day_of, month_of

if TYPE_CHECKING:
    from pipeline.report.periodic.origin import Origin
    from pipeline.report.periodic.span import Period

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

LEDGER: Final = "ledger.sqlite"

_Folder: TypeAlias = Annotated[
    Path | None,
    typer.Argument(metavar="[DIR]", help="Folder that a backfill wrote, instead of --state."),
]
_State: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--state", metavar="DIR", help=f"Folder of 'outrider run'; default {DEFAULT_STATE}."
    ),
]
_Tenant: TypeAlias = Annotated[
    str | None, typer.Option(metavar="ID", help="Only what is about this tenant.")
]
_Zone: TypeAlias = Annotated[
    str, typer.Option("--time-zone", help="IANA zone whose days and months are meant.")
]
_Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The page; default outrider-KIND-PERIOD.html here."),
]
_Pdf: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Print it to PDF too, by an installed Chromium."),
]
_Browser: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="PROGRAM", envvar=VARIABLE, help="The Chromium that prints."),
]


@app.callback()
def report() -> None:
    """Tell what happened on a day or in a month, beside the one before it."""


@app.command()
def daily(
    folder: _Folder = None,
    *,
    state: _State = None,
    date: Annotated[
        str | None, typer.Option(metavar="DATE", help="As 2026-03-19; default yesterday.")
    ] = None,
    tenant: _Tenant = None,
    time_zone: _Zone = "UTC",
    out: _Out = None,
    pdf: _Pdf = None,
    browser: _Browser = None,
    as_json: JsonOption = False,
) -> None:
    """Report a day of one time zone."""
    period = day_of(date, SystemClock().now(), check_zone(time_zone))
    printer = _printer(pdf, browser)
    _report(period, folder, state, tenant, out=out, printer=printer, as_json=as_json)


@app.command()
def monthly(
    folder: _Folder = None,
    *,
    state: _State = None,
    month: Annotated[
        str | None, typer.Option(metavar="MONTH", help="As 2026-03; default the last month.")
    ] = None,
    tenant: _Tenant = None,
    time_zone: _Zone = "UTC",
    out: _Out = None,
    pdf: _Pdf = None,
    browser: _Browser = None,
    as_json: JsonOption = False,
) -> None:
    """Report a month of one time zone."""
    period = month_of(month, SystemClock().now(), check_zone(time_zone))
    printer = _printer(pdf, browser)
    _report(period, folder, state, tenant, out=out, printer=printer, as_json=as_json)


class Printer(NamedTuple):
    """Where the PDF goes, and the browser that prints it."""

    path: Path
    program: str


def _printer(pdf: Path | None, browser: str | None) -> Printer | None:
    return None if pdf is None else Printer(pdf, found(browser))


def _report(
    period: Period,
    folder: Path | None,
    state: Path | None,
    tenant: str | None,
    *,
    out: Path | None,
    printer: Printer | None,
    as_json: bool,
) -> None:
    """Write the files that are asked for; with ``--json`` alone, none."""
    if folder is not None and state is not None:
        raise ConfigError(f"{folder}: give a folder of a backfill or --state, not both")
    with closing(_origin(folder, state, tenant)) as origin:
        if tenant is not None and not origin.has(tenant):
            where, known = folder or state or DEFAULT_STATE, origin.tenants()
            raise ConfigError(f"{where}: no tenant {tenant!r}; there {are_there(known, 'tenant')}")
        made = PeriodReport(origin, period, tenant=tenant)
    page = made.html() if printer is not None or out is not None or not as_json else ""
    if out is None and not as_json:
        out = Path(f"{file_name(period, tenant)}.html")
    for path in filter(None, (out,)):
        write_file(path, page)
    if printer is not None:
        write_pdf(page, printer.path, printer.program)
    if as_json:
        print_json(made.document())
    else:
        print_text(
            "\n".join(str(path) for path in (out, printer and printer.path) if path is not None)
        )
    if not made.now.watched and not made.now.incidents:
        note(
            f"{period.name}: no records of this time were judged, so nothing is known of it; "
            "this is no all-clear"
        )
    for name, lines in origin.damaged.items():
        note(f"{name}: {lines} unreadable line(s) left out")


def _origin(folder: Path | None, state: Path | None, tenant: str | None) -> Origin:
    if folder is not None:
        return FolderOrigin(folder)
    return LedgerOrigin((state or DEFAULT_STATE) / LEDGER, tenant=tenant)
