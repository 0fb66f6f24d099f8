"""``outrider dead``: what could not be used, and trying it again."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pipeline.cli.folders import JsonOption  # noqa: TC001 # Typer reads it at run time
from pipeline.cli.logs import start_logging
from pipeline.cli.output import note, print_json, print_json_array, print_text
from pipeline.cli.stores import (
    DEFAULT_STATE,
    ConfigOption,
    KafkaOption,
    minute,
    open_ledger,
)
from pipeline.model.clock import SystemClock, from_us
from pipeline.model.documents import to_json
from pipeline.model.errors import ConfigError, ExitCode
from pipeline.notify.words import plural
from pipeline.report.text import table
from pipeline.runtime.config import load
from pipeline.runtime.dead_letters import Outcome, Tried, Wish, survey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.runtime.dead_letters import Survey

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

_ID: Final = re.compile(r"[0-9]+(/[0-9]+)?")
_GROUPS: Final = ("REASON", "LETTERS", "WAITING", "QUEUED", "REPLAYED", "LAST", "WHAT TO DO")
_LETTERS: Final = ("ID", "WHEN", "STATE", "TENANT", "REASON", "PLACE", "DETAIL")
_TRIED: Final = ("ID", "REASON", "OUTCOME", "")


@app.callback()
def dead() -> None:
    """List what could not be used, and try it again."""
    start_logging()


@app.command(name="list")
def list_letters(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder of 'outrider run'.")
    ] = DEFAULT_STATE,
    *,
    kafka: KafkaOption = False,
    config: ConfigOption = None,
    reason: Annotated[str | None, typer.Option(help="Only letters of this reason.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="So many of the newest, below the sums.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Count dead letters by reason, with what to do about each, and list the newest."""
    if kafka:
        from pipeline.runtime.kafka.letters import read_letters  # noqa: PLC0415 # 0.2 s

        found = survey(read_letters(load(config).kafka), reason=reason, limit=limit)
    else:
        with closing(open_ledger(folder)) as ledger:
            found = survey(ledger.dead_letters(), reason=reason, limit=limit)
    if as_json:
        letters = [to_json(d.document()) for d in found.newest]
        print_json({"groups": to_json(found.groups), "letters": letters})
    else:
        print_text(_text(found))


@app.command()
def replay(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DIR|ID", help="Folder first, if not the default; letters as 'dead list' shows."
        ),
    ] = None,
    *,
    kafka: KafkaOption = False,
    config: ConfigOption = None,
    reason: Annotated[
        str | None, typer.Option(help="All letters of this reason that wait.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All letters that wait.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what was replayed before.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also what cannot help as far as is known here.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Try dead letters again, each once; killed anywhere, the same call does the rest.

    On Kafka a message goes back to its topic. In a folder it is queued for the run that works
    there, or for the next one. Nothing is deleted.
    """
    given = list(targets or ())
    named = given.pop(0) if given and not _ID.fullmatch(given[0]) else None
    for other in given:
        if not _ID.fullmatch(other):
            raise ConfigError(f"{other!r} is no id such as 17 or 3/1042, and a folder goes first")
    wish = Wish(tuple(given), reason, every, again, force)
    settings = load(config)
    if kafka:
        if named is not None:
            raise ConfigError(f"--kafka takes no folder, and {named!r} is no id such as 3/1042")
        from pipeline.runtime.kafka.replay import replay as send  # noqa: PLC0415 # 0.2 s

        tried = list(_told(send(settings.kafka, wish, SystemClock())))
    else:
        from pipeline.runtime.judging import Settings  # noqa: PLC0415 # detectors take 0.5 s
        from pipeline.runtime.live.queueing import queue  # noqa: PLC0415 # the same

        with closing(open_ledger(Path(named or DEFAULT_STATE), readonly=False)) as ledger:
            stages = Settings.of(settings, trace_hours=0)
            tried = list(_told(queue(ledger, wish, stages, SystemClock())))
    if as_json:
        print_json_array(to_json(t) for t in tried)
    elif tried:
        rows = [[t.letter_id, t.reason, t.outcome, t.text] for t in tried]
        print_text(table(_TRIED, rows))
        if any(t.outcome is Outcome.QUEUED for t in tried):
            note("the run in this folder takes what is queued at its next step, or when it starts")
    else:
        print_text("No dead letter waits for that.")
    if not all(t.outcome.done for t in tried):
        raise typer.Exit(ExitCode.PARTIAL_DATA)


def _told(tried: Iterable[Tried]) -> Iterable[Tried]:
    """The same; whoever is stopped hears how many were done, if any."""
    done = 0
    try:
        for one in tried:
            done += one.outcome.done
            yield one
    except BaseException:
        if done:
            note(f"{plural(done, 'letter')} replayed before this; the same call does the rest")
        raise


def _text(found: Survey) -> str:
    if not found.groups:
        return "No dead letter."
    groups = [
        [
            g.reason,
            *(str(n) for n in (g.letters, g.waiting, g.queued, g.replayed)),
            minute(g.last_at),
            f"{g.meaning}: {g.remedy}",
        ]
        for g in found.groups
    ]
    letters = [
        [
            d.letter_id,
            minute(from_us(d.at)),
            d.state,
            d.tenant or "-",
            d.reason,
            d.place,
            d.detail,
        ]
        for d in found.newest
    ]
    parts = [table(_GROUPS, groups)]
    parts += [table(_LETTERS, letters)] if letters else []
    return "\n\n".join(parts)
