"""``outrider events``: what is in the topic of events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.folders import JsonOption  # noqa: TC001 # Typer reads it at run time
from pipeline.cli.logs import start_logging
from pipeline.cli.output import note, print_json, print_text
from pipeline.cli.stores import ConfigOption, mebibytes, minute
from pipeline.model.clock import rfc3339
from pipeline.model.documents import to_json
from pipeline.model.errors import ConfigError
from pipeline.notify.clean import clean
from pipeline.notify.words import plural
from pipeline.runtime.config import load
from pipeline.runtime.kafka.seen import Total, decoded, events_of
from pipeline.runtime.kafka.tail import Spot
from pipeline.runtime.kafka.tail import tail as look

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from pipeline.runtime.kafka.seen import Seen

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)


@app.callback()
def events() -> None:
    """Look at the messages that collectors send."""
    start_logging()


@app.command()
def tail(
    *,
    config: ConfigOption = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    start: Annotated[
        str,
        typer.Option(
            "--from", metavar="earliest|latest|OFFSET", help="Where to begin in each partition."
        ),
    ] = "latest",
    partition: Annotated[int | None, typer.Option(min=0, help="Only this partition.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="At most so many messages; of 'latest' the newest, by default 10."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what comes; stop with Ctrl-C.")
    ] = False,
    records: Annotated[
        bool, typer.Option("--records", help="Print the single events, as JSON lines.")
    ] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Print only what the messages add up to.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Decode the batches of the events topic: one line a message, as JSON lines with --json.

    Users show as their keyed hash. Damaged messages are shown as such.
    """
    if records and summary:
        raise ConfigError("--records and --summary: give one of the two")
    spot = Spot(start, tenant, partition, limit, follow)
    total, damaged = Total(), 0
    try:
        for record in look(load(config).kafka, spot):
            seen, table = decoded(record)
            damaged += seen.problem is not None
            if summary:
                total.add(seen)
                continue
            lines = _lines(seen, table, records=records, as_json=as_json)
            if not all(print_text(line, at_once=follow) for line in lines):
                break
    except KeyboardInterrupt:
        if not follow:  # else that is how one stops
            raise
    finally:
        if summary:
            _print_total(total, as_json=as_json)
        if damaged and (records or summary):
            note(f"{plural(damaged, 'damaged message')} left out; 'outrider dead list' tells more")


def _lines(seen: Seen, table: pa.Table | None, *, records: bool, as_json: bool) -> Iterator[str]:
    """What is printed of one message."""
    if not records:
        yield _line(to_json(seen)) if as_json else _words(seen)
    elif table is not None:
        for event in events_of(table):
            yield _line(to_json(event))


def _line(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _words(seen: Seen) -> str:
    """One message in one line."""
    parts = [f"{seen.partition}/{seen.offset}", clean(seen.tenant), seen.kind]
    if seen.read_at is not None:
        parts.append(f"read {rfc3339(seen.read_at)}")
    if seen.records is not None:
        parts.append(plural(seen.records, "record"))
    if seen.first_at is not None and seen.last_at is not None:
        parts.append(f"{rfc3339(seen.first_at)} to {rfc3339(seen.last_at)}")
    counted = [c for c in (seen.sources, seen.clients) if c]
    parts += [", ".join(f"{clean(name)} {n}" for name, n in c.items()) for c in counted]
    parts.append(f"{seen.bytes} bytes" + ("" if seen.ratio is None else f", ratio {seen.ratio}"))
    if seen.problem is not None:
        parts.append(clean(seen.problem))
    return "  ".join(parts)


def _print_total(total: Total, *, as_json: bool) -> None:
    if as_json:
        print_json(to_json(total))
        return
    counted = (
        ("Messages", total.messages),
        ("Tenants", total.tenants),
        ("Sources", total.sources),
        ("Clients", total.clients),
    )
    lines = [f"  {'Records':10}{total.records} in {mebibytes(total.bytes)}"]
    lines.append(f"  {'Times':10}{minute(total.first_at)} to {minute(total.last_at)}")
    for label, counts in counted:
        told = ", ".join(f"{clean(name)} {n}" for name, n in counts.most_common())
        lines.append(f"  {label:10}{told or '-'}")
    print_text("\n".join(lines))
