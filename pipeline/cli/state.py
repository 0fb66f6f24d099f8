"""``outrider state``: what is known of each tenant, and taking it elsewhere."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path  # noqa: TC003 # Typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pipeline.cli.folders import JsonOption  # noqa: TC001 # Typer reads it at run time
from pipeline.cli.logs import start_logging
from pipeline.cli.output import note, print_json, print_json_array, print_text
from pipeline.cli.stores import (
    DEFAULT_STATE,
    ConfigOption,
    KafkaOption,
    StateOption,
    mebibytes,
    minute,
    open_ledger,
)
from pipeline.ledger.store import Ledger
from pipeline.model.clock import SystemClock
from pipeline.model.documents import to_json
from pipeline.model.errors import ConfigError
from pipeline.report.text import table
from pipeline.runtime.config import load
from pipeline.runtime.judging import Settings
from pipeline.runtime.live.held import held_in
from pipeline.runtime.live.moving import exported, import_state, read_export, write_export
from pipeline.runtime.live.standing import standing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.runtime.config import Config
    from pipeline.runtime.live.held import Held
    from pipeline.runtime.live.standing import Standing

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

_HEAD: Final = (
    "TENANT", "PARTITION", "STANDS AT", "BEHIND", "BODY", "PARTS", "CLOCK", "CLOSED TO",
    "FLAGS", "INCIDENTS", "TAIL ROWS", "BASELINE",
)  # fmt: skip
_KEY: Final = (
    "whoever goes on with it needs the same privacy key (privacy.key_file, or .outrider/key in "
    "the folder): under another one all people look new"
)

TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="As 'state list' shows it.")]


@app.callback()
def state() -> None:
    """Look at what is known of each tenant, or take it to another machine."""
    start_logging()


@app.command(name="list")
def list_states(
    *,
    state: StateOption = DEFAULT_STATE,
    kafka: KafkaOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the tenants: how far each is judged, what is open, how large its state is."""
    settings = load(config)
    stages = Settings.of(settings, trace_hours=0)
    found = (standing(stages, held) for held in _every(state, settings, kafka=kafka))
    if as_json:
        print_json_array(to_json(s) for s in found)
    else:
        rows = [_row(s) for s in found]
        print_text(table(_HEAD, rows) if rows else "No tenant.")


@app.command()
def show(
    tenant: TenantArgument,
    *,
    state: StateOption = DEFAULT_STATE,
    kafka: KafkaOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one tenant with all it has taken in: sources, detectors, what came too late."""
    settings = load(config)
    held = _one(tenant, state, settings, kafka=kafka)
    found = standing(Settings.of(settings, trace_hours=0), held)
    if as_json:
        print_json(to_json(found))
    else:
        print_text(_text(found))


@app.command()
def export(
    tenant: TenantArgument,
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write it.")],
    state: StateOption = DEFAULT_STATE,
    kafka: KafkaOption = False,
    config: ConfigOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write over FILE.")] = False,
) -> None:
    """Write a tenant's whole state to one file, as of now."""
    settings = load(config)
    held = _one(tenant, state, settings, kafka=kafka)
    made = exported(Settings.of(settings, trace_hours=0), held, SystemClock())
    write_export(out, made, force=force)
    print_text(f"{out}: tenant {tenant} as of {minute(made.clock)}, {mebibytes(made.size)}")
    note(_KEY)


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What 'state export' wrote.")],
    *,
    state: StateOption = DEFAULT_STATE,
    config: ConfigOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over the state of that tenant.")
    ] = False,
) -> None:
    """Put a tenant's state into a folder on which no run works; the next one goes on with it."""
    found = read_export(file)
    with closing(Ledger(state / "ledger.sqlite")) as ledger:
        import_state(ledger, found, Settings.of(load(config), trace_hours=0), force=force)
    print_text(f"{state}: has tenant {found.tenant} as of {minute(found.clock)}")
    note(_KEY)


def _every(folder: Path, settings: Config, *, kafka: bool) -> Iterator[Held]:
    if kafka:
        from pipeline.runtime.kafka.states import all_held  # noqa: PLC0415 # 0.2 s

        yield from all_held(settings.kafka)
        return
    with closing(open_ledger(folder)) as ledger:
        for name in ledger.tenants():
            held = held_in(ledger, name)
            if held is not None:
                yield held


def _one(tenant: str, folder: Path, settings: Config, *, kafka: bool) -> Held:
    if kafka:
        from pipeline.runtime.kafka.states import held_on  # noqa: PLC0415 # 0.2 s

        held = held_on(settings.kafka, tenant)
    else:
        with closing(open_ledger(folder)) as ledger:
            held = held_in(ledger, tenant)
    if held is None:
        where = "--kafka" if kafka else f"--state {folder}"
        raise ConfigError(f"no tenant {tenant!r}; 'outrider state list {where}' shows all of them")
    return held


def _row(found: Standing) -> list[str]:
    # Of a topic the messages since are not read, so that before the first state is stored nothing
    # is known of what they bring.
    unknown = found.partition is not None and not found.ground_bytes
    return [
        found.tenant,
        "-" if found.partition is None else str(found.partition),
        str(found.stands_at),
        str(found.behind),
        mebibytes(found.ground_bytes + found.issued_bytes),
        f"{found.parts}, {mebibytes(found.part_bytes)}",
        minute(found.clock),
        minute(found.closed_to),
        str(found.open_flags),
        str(found.open_incidents),
        "-" if unknown else str(found.tail_rows),
        "-" if unknown else _baseline(found),
    ]


def _baseline(found: Standing) -> str:
    return "warming up" if found.warming_up else "known"


def _text(found: Standing) -> str:
    parts_size = mebibytes(found.part_bytes)
    partition = "" if found.partition is None else f", partition {found.partition}"
    lines = [
        f"{found.tenant}{partition}",
        "",
        f"  Clock       {minute(found.clock)}; judged to {minute(found.judged_to)}",
        f"  Closed to   {minute(found.closed_to)}: what is older is judged for good",
        f"  Open        {found.open_flags} flags, {found.open_incidents} incidents",
        f"  Tail        {found.tail_rows} records that may still be judged again",
        f"  Judged      {found.events} records for good, {found.duplicates} copies left out",
        f"  Misdated    {found.too_old} too old, {found.too_new} too new to count",
        f"  Advisories  {found.advisories} to be matched",
        f"  Stored      at {found.stands_at}, {found.behind} messages since",
        f"  Body        {mebibytes(found.ground_bytes)}, and {found.parts} parts of {parts_size}",
        f"  Told        {mebibytes(found.issued_bytes)}",
        f"  Baseline    {_baseline(found)}",
    ]
    parts = ["\n".join(lines)]
    if found.feeds:
        rows = [[s, str(f.cells), str(f.tail_rows)] for s, f in found.feeds.items()]
        parts.append(table(("SOURCE", "CELLS", "TAIL ROWS"), rows))
    if found.lanes:
        rows = [[g, str(n.lanes), str(n.warm)] for g, n in found.lanes.items()]
        parts.append(table(("DETECTORS", "LANES", "WARM"), rows))
    return "\n\n".join(parts)
