"""``outrider kafka``: the topics of a run with many workers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.logs import start_logging
from pipeline.cli.output import print_text
from pipeline.runtime.config import load
from pipeline.runtime.kafka.topics import init as make_topics
from pipeline.runtime.kafka.topics import verify

app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", envvar="OUTRIDER_CONFIG", help="Configuration, TOML."),
]
ListenOption = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Serve /metrics, /healthz and /readyz there."),
]


@app.callback()
def kafka() -> None:
    """Make the topics of a run with many workers, or look at them."""
    start_logging()


@app.command()
def init(*, config: ConfigOption = None) -> None:
    """Make the topics that are missing, and check all of them."""
    made = make_topics(load(config).kafka)
    print_text("\n".join(f"made {name}" for name in made) or "all topics exist")


@app.command()
def check(*, config: ConfigOption = None) -> None:
    """Check that all topics exist and fit together."""
    print_text(f"all topics exist, with {verify(load(config).kafka)} partitions each")
