"""``outrider config``: print an example configuration, or check one."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 # Typer reads the annotation at run time
from typing import Annotated

import typer

from pipeline.cli.output import note, print_json, print_text
from pipeline.model.errors import ConfigError
from pipeline.runtime.config import load
from pipeline.runtime.config_example import example
from pipeline.runtime.named_files import unreadable

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)


@app.callback()
def config() -> None:
    """Print an example configuration, or check one."""


@app.command(name="example")
def print_example() -> None:
    """Print every key with its meaning and its default, as TOML."""
    print_text(example().rstrip("\n"))


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="The TOML file to check.")],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the configuration that results, as JSON.")
    ] = False,
) -> None:
    """Check a configuration, the environment on top of it, and the files that it names."""
    checked = load(file)
    problems = list(unreadable(checked))
    if problems:
        raise ConfigError("\n".join(problems))
    for remark in checked.kafka.remarks():
        note(remark)
    if as_json:
        print_json(checked.model_dump(mode="json"))
    else:
        print_text(f"{file}: ok")
