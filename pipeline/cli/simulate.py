"""``outrider simulate``: the logs of a made-up tenant, with what truly happened beside them."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 # Typer reads the annotation at run time
from typing import Annotated, Any

import typer

from pipeline.cli.folders import JsonOption  # noqa: TC001 # Typer reads it at run time
from pipeline.cli.output import parse_time, print_json, print_text
from pipeline.model.clock import rfc3339
from pipeline.model.errors import ConfigError, FatalError
from pipeline.notify.words import count
from pipeline.report.text import table
from pipeline.runtime.progress import Progress, quantity
from pipeline.simulate.run import simulate as write_tenant
from pipeline.simulate.spec import (
    AUDIT_FORMS,
    COMPRESSIONS,
    PARTS,
    SCENARIOS,
    SIGNIN_FORMS,
    SimulationResult,
    SimulationSpec,
)

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def simulate(
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SCENARIO]...", help="What happens; --list names them all."),
    ] = None,
    *,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to write.")] = None,
    users: Annotated[int, typer.Option(min=10, help="Members of the tenant.")] = 500,
    weeks: Annotated[int, typer.Option(min=1, help="Length of the history.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of every random draw.")] = 1,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="First day, UTC; default 2 March 2026.")
    ] = None,
    signin_form: Annotated[
        str, typer.Option(metavar="FORM", help=f"Of sign-ins: {', '.join(SIGNIN_FORMS)}.")
    ] = SIGNIN_FORMS[0],
    audit_form: Annotated[
        str, typer.Option(metavar="FORM", help=f"Of audit records: {', '.join(AUDIT_FORMS)}.")
    ] = AUDIT_FORMS[0],
    compression: Annotated[
        str, typer.Option(metavar="NAME", help=f"{', '.join(COMPRESSIONS)}.")
    ] = "gzip",
    full_records: Annotated[
        bool, typer.Option("--full-records", help="Every field of a real record; 5 times the size.")
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help=f"Leave out: {', '.join(PARTS)}; may be given again."),
    ] = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="No damaged records among the good ones.")
    ] = False,
    list_scenarios: Annotated[
        bool, typer.Option("--list", help="List the scenarios and stop.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the logs of a made-up tenant, in the real export formats, with labels.

    Several scenarios may be combined; none means a quiet tenant. The same options give the
    same bytes.
    """
    if list_scenarios:
        _print_scenarios(as_json=as_json)
        return
    if out is None:
        raise ConfigError("--out is missing: name the folder to write")
    spec = SimulationSpec(
        scenarios=tuple(scenarios or ("quiet",)),
        users=users,
        weeks=weeks,
        seed=seed,
        start=parse_time("--start", start),
        signin_form=signin_form,
        audit_form=audit_form,
        compression=compression,
        full_records=full_records,
        without=tuple(without or ()),
        dirty=not clean,
    )
    result = run_simulation(spec, out)
    if as_json:
        print_json(_document(spec, result))
    else:
        print_text(_text(result))


def run_simulation(spec: SimulationSpec, out: Path) -> SimulationResult:
    """Simulate with a progress line.

    Raises:
        FatalError: ``out`` cannot be written.
    """
    with Progress() as progress:
        progress.start("simulating", total=7 * spec.weeks, unit="days")
        try:
            return write_tenant(spec, out, lambda done, _total: progress.update(done))
        except OSError as error:
            raise FatalError(f"{out}: cannot be written: {error.strerror}") from error


def _print_scenarios(*, as_json: bool) -> None:
    if as_json:
        print_json([{"scenario": name, "meaning": text} for name, text in SCENARIOS.items()])
    else:
        print_text(table(("SCENARIO", "MEANING"), SCENARIOS.items()))


def _document(spec: SimulationSpec, result: SimulationResult) -> dict[str, Any]:
    return {
        "schema": "outrider.simulation/1",
        "scenarios": list(spec.scenarios),
        "seed": spec.seed,
        "out": str(result.out),
        "labels": str(result.labels),
        "tenant": result.tenant,
        "from": rfc3339(result.begin),
        "to": rfc3339(result.end),
        "records": result.records,
        "files": result.files,
        "bytes": result.bytes,
    }


def _text(result: SimulationResult) -> str:
    records = ", ".join(f"{count(n)} {part}" for part, n in result.records.items() if n)
    return "\n".join(
        [
            f"Wrote {result.files} files, {quantity(result.bytes, 'B')}, to {result.out}",
            f"  Tenant    {result.tenant}",
            f"  Period    {result.begin:%Y-%m-%d} to {result.end:%Y-%m-%d}",
            f"  Records   {records}",
            f"  Labels    {result.labels}",
            f"  Next      outrider backfill {result.out} --out result",
        ]
    )
