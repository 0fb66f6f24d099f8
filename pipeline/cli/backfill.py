"""``outrider backfill``: exported logs in, incidents out."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 # Typer reads the annotation at run time
from typing import Annotated

import typer

from pipeline.cli.folders import DEFAULT_OUT, JsonOption
from pipeline.cli.logs import start_logging
from pipeline.cli.output import parse_time, print_json, print_text
from pipeline.cli.running import as_json as document
from pipeline.cli.running import as_text, exit_code, run_backfill
from pipeline.model.errors import ConfigError
from pipeline.runtime.backfill import BackfillRequest
from pipeline.runtime.config import load
from pipeline.runtime.keys import privacy_key

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def backfill(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders, globs, or - for standard input."),
    ],
    *,
    advisories: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Exports of advisories; may be given again."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="OUTRIDER_CONFIG", help="Configuration, TOML."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write.")] = DEFAULT_OUT,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Leave out what is older.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Leave out what is as new or newer.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(metavar="ID", help="Keep this tenant only.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that parse; default one a processor.")
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Go on where an earlier run into the same folder stopped.")
    ] = True,
    reveal_users: Annotated[
        bool, typer.Option("--reveal-users", help="Write users' names too; needs a key.")
    ] = False,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Key of the user hashes.")
    ] = None,
    fail_on_incident: Annotated[
        bool, typer.Option("--fail-on-incident", help="Exit with 3 if an outage was found.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find the incidents in exported logs, with the advisory beside each.

    Writes incidents.ndjson, flags.ndjson, report.html, summary.json and more into DIR.
    Times are ISO 8601; without a zone they are UTC.
    """
    settings = load(
        config,
        flags={
            "tenant.id": tenant,
            "backfill.workers": workers,
            "privacy.reveal_users": reveal_users or None,
            "privacy.key_file": None if key_file is None else str(key_file),
        },
    )
    begin, end = parse_time("--from", since), parse_time("--to", until)
    if begin is not None and end is not None and begin >= end:
        raise ConfigError("--from is not before --to")
    start_logging()
    if settings.privacy.reveal_users:
        privacy_key(settings.privacy, out)  # refuses before hours of work, not after
    request = BackfillRequest(
        paths=tuple(paths),
        advisory_paths=tuple(advisories or ()),
        out=out,
        since=begin,
        until=end,
        tenant=settings.tenant.id,
        resume=resume,
        reveal_users=settings.privacy.reveal_users,
    )
    outcome = run_backfill(request, settings)
    if as_json:
        print_json(document(outcome))
    else:
        print_text(as_text(outcome, settings.tenant.time_zone))
    raise typer.Exit(exit_code(outcome, fail_on_incident=fail_on_incident))
