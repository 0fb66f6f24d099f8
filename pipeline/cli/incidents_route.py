"""``outrider incidents route test``: who would be told, and who would not, and why."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipeline.cli.folders import JsonOption, one_of
from pipeline.cli.incidents_send import send
from pipeline.cli.output import print_json, print_text
from pipeline.cli.stores import (
    DEFAULT_STATE,
    ConfigOption,
    KafkaOption,
    StateOption,
    named,
    open_ledger,
)
from pipeline.ledger.store import Ledger
from pipeline.model.clock import SystemClock
from pipeline.model.documents import to_json
from pipeline.model.errors import ConfigError
from pipeline.notify.explaining import Explained, explain_labels, left_out, missing
from pipeline.notify.holding import Situation
from pipeline.notify.matchers import labels_of, parse
from pipeline.report.text import table
from pipeline.runtime.situation import explain, situation_of

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pipeline.notify.matchers import Labels
    from pipeline.notify.settings import NotifySettings
    from pipeline.runtime.config import Kafka

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

_HEAD: Final = ("DESTINATION", "ROUTE", "TOLD", "WHY")
_SHOWN: Final = 5
# What 'outrider deliver --state' keeps of those whom it tells.
FOLLOWED: Final = "notices.sqlite"


@app.callback()
def route() -> None:
    """Look at the routes by which people are told."""


app.command()(send)


@app.command(name="test")
def try_routes(
    incident: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Incident, or its beginning.")
    ] = None,
    *,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=VALUE", help="Of an incident to imagine; may be given again."),
    ] = None,
    state: StateOption = DEFAULT_STATE,
    kafka: KafkaOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which routes take an incident, which destinations are told, and why others are not.

    Of an incident that is imagined by its labels, silences, maintenance and quiet hours of now
    count. With --kafka only silences are looked at.
    """
    if (incident is None) is (label is None):
        raise ConfigError("name an incident, or imagine one with --label severity=high")
    if incident is not None:
        named(incident, "incident")
    if incident is not None and kafka:
        raise ConfigError("--kafka knows no incidents; imagine one with --label severity=high")
    from pipeline.runtime.config import load  # noqa: PLC0415 # all that is configured takes 0.3 s
    from pipeline.runtime.notify_settings import settings_of  # noqa: PLC0415 # the same

    whole = load(config)
    settings, now = settings_of(whole), SystemClock().now()
    if incident is not None:
        labels, found, situation = _known(incident, state, settings, now)
    else:
        labels = _imagined(label or [])
        situation = _situation(state, settings, now, whole.kafka if kafka else None)
        found = explain_labels(situation, labels)
    others = left_out(situation, labels)
    unnamed = missing(labels) if incident is None else []
    if as_json:
        told = [to_json(e) for e in found]
        print_json({"destinations": told, "routes_left_out": others, "labels_missing": unnamed})
    else:
        print_text(_text(found, others, unnamed))


def _known(
    name: str, state: Path, settings: NotifySettings, now: datetime
) -> tuple[Labels, list[Explained], Situation]:
    with closing(_ledger(state)) as ledger:
        ids = ledger.incidents_named(name, _SHOWN) or ledger.incidents_named("", _SHOWN)
        chosen = one_of(ids, name, "incident", state)
        situation, _ = situation_of(ledger, settings, now)
        document: dict[str, Any] = ledger.newest_revision(chosen) or {}
        found = explain(ledger, settings, now, document)
    return labels_of(document), found, situation


def _ledger(state: Path) -> Ledger:
    """The ledger of a run, or of the worker that tells people from Kafka."""
    followed = state / FOLLOWED
    if followed.exists() and not (state / "ledger.sqlite").exists():
        return Ledger(followed, readonly=True)
    return open_ledger(state)


def _situation(
    state: Path, settings: NotifySettings, now: datetime, kafka: Kafka | None
) -> Situation:
    if kafka is not None:
        from pipeline.runtime.kafka.desk import read_answers  # noqa: PLC0415 # 0.2 s

        return Situation(settings, now, {}, read_answers(kafka).silences)
    if not any((state / name).exists() for name in ("ledger.sqlite", FOLLOWED)):
        return Situation(settings, now, {})  # routes can be tried before the first run
    with closing(_ledger(state)) as ledger:
        return situation_of(ledger, settings, now)[0]


def _imagined(texts: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        try:
            matcher = parse(text)
        except ValueError as error:
            raise ConfigError(f"--label: {error}") from error
        if matcher.operator != "=" or "<" in text or ">" in text:
            raise ConfigError(f"--label: {text!r}: an incident has values; write LABEL=VALUE")
        found[matcher.label] = (*found.get(matcher.label, ()), *sorted(matcher.values))
    return found


def _text(found: list[Explained], others: list[str], unnamed: list[str]) -> str:
    parts = []
    if found:
        rows = [
            [e.sink if not n else "", e.route if not n else "", _word(e) if not n else "", text]
            for e in found
            for n, text in enumerate(e.sentences or ("nothing is new",))
        ]
        parts.append(table(_HEAD, rows))
    else:
        parts.append("Nobody is told.")
    if others:
        parts.append("\n".join(f"  {text}" for text in others))
    if unnamed:
        parts.append(f"Not named, so that matchers over them found no value: {', '.join(unnamed)}")
    return "\n\n".join(parts)


def _word(explained: Explained) -> str:
    return "yes" if explained.told else "no"
