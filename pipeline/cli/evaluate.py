"""``outrider evaluate``: the incidents found, against what truly happened."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 # Typer reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pipeline.cli.folders import JsonOption  # noqa: TC001 # Typer reads it at run time
from pipeline.cli.output import print_json, print_text
from pipeline.evaluate import evaluate as judge
from pipeline.evaluate import read_incidents, read_labels
from pipeline.model.documents import to_json
from pipeline.model.errors import ConfigError
from pipeline.report.folder import Folder
from pipeline.report.quality import as_dict
from pipeline.report.text import table

if TYPE_CHECKING:
    from collections.abc import Collection

    from pipeline.evaluate import Evaluation, LabelResult

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_HEAD: Final = ("LABEL", "KIND", "FOUND", "DELAY", "ONSET", "VERDICT", "CLIENTS", "ADVISORY")
_FALSE_HEAD: Final = ("UNEXPLAINED", "ONSET", "VERDICT", "CLIENTS")


@app.command()
def evaluate(
    path: Annotated[
        Path, typer.Argument(metavar="DIR|FILE", help="Output folder, or an incidents.ndjson.")
    ],
    *,
    labels: Annotated[Path, typer.Option(metavar="FILE", help="labels.json of the simulation.")],
    as_json: JsonOption = False,
) -> None:
    """Compare incidents with labels: found, missed, delay, false, clients, advisory."""
    file = path / "incidents.ndjson" if path.is_dir() else path
    if not file.exists():
        raise ConfigError(f"{file}: no such file; give the folder that a backfill wrote")
    result = judge(read_labels(labels), read_incidents(file), sources=_sources(path))
    if as_json:
        print_json({**to_json(result), "figures": result.summary()})
    else:
        print_text(_text(result))


def _sources(path: Path) -> Collection[str] | None:
    """The logs that the run was given, so that nothing is asked of a log it never saw."""
    if not path.is_dir():
        return None
    return list(as_dict(Folder(path).summary().get("by_source"))) or None


def _text(result: Evaluation) -> str:
    parts = [table(_HEAD, [_row(r) for r in result.labels])]
    if result.unexplained:
        rows = [
            [
                f.incident_id,
                f"{f.onset_at:%Y-%m-%d %H:%MZ}",
                f.verdict.label,
                ", ".join(c.label for c in f.clients),
            ]
            for f in result.unexplained
        ]
        parts.append(table(_FALSE_HEAD, rows))
    figures = result.summary().items()
    parts.append("\n".join(f"  {k.replace('_', ' '):26}{_value(v)}" for k, v in figures))
    return "\n\n".join(parts)


def _row(result: LabelResult) -> list[str]:
    return [
        result.name,
        result.kind,
        _yes(result.found) if result.visible else "cannot show",
        _minutes(result.delay_minutes),
        _minutes(result.onset_error_minutes),
        f"{result.verdict.label} ({_yes(result.verdict_right)})" if result.verdict else "-",
        _yes(result.clients_right),
        f"{result.advisory_found or 'none'} ({_yes(result.advisory_right)})",
    ]


def _yes(value: bool | None) -> str:
    return "-" if value is None else "yes" if value else "NO"


def _minutes(value: float | None) -> str:
    return "-" if value is None else f"{value:+.0f} min"


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
