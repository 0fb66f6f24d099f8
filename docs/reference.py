"""Writes what the program itself can tell: the guides and schemas, and the README's example.

``make docs`` writes the reference tables and the JSON Schemas. ``make example`` puts what
``outrider demo`` printed about its incident into the README; with ``--check`` it only tells
whether that stands there already.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from pydantic import BaseModel
from typer.testing import CliRunner

from pipeline.cli.lazy import COMMANDS
from pipeline.cli.main import app
from pipeline.match.ledger import LedgerRow
from pipeline.model.json_schema import PUBLISHED, SCHEMA_FOLDER, render
from pipeline.runtime.config import Config
from pipeline.runtime.config_section import sections_of

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).parent
MARK: Final = "<!-- written by `make docs` from here on -->"


def keys(model: type[BaseModel], instance: Any, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Every key of the configuration: dotted path, default, meaning."""
    for name, field in model.model_fields.items():
        value = getattr(instance, name)
        many = sections_of(field.annotation)
        if many is not None:
            inner = f"{prefix}{name}.NAME." if many.named else f"{prefix}{name}[]."
            yield from _keys_of_each(many.model, inner)
        elif isinstance(value, BaseModel):
            yield from keys(type(value), value, f"{prefix}{name}.")
        else:
            computed = field.default_factory is not None and bool(field.examples)
            default = "" if value is None or value == {} or computed else f"`{json.dumps(value)}`"
            yield f"{prefix}{name}", default, field.description or ""


def _keys_of_each(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Keys of a section that there may be any number of."""
    for name, field in model.model_fields.items():
        path, meaning = f"{prefix}{field.alias or name}", field.description or ""
        if field.is_required():
            yield path, "needed", meaning
            continue
        value = field.get_default(call_default_factory=True)
        default = "" if value in (None, [], {}) else f"`{json.dumps(value, default=str)}`"
        yield path, default, meaning


def configuration() -> str:
    """The table of all configuration keys."""
    rows = [
        f"| `{path}` | {default} | {meaning} |" for path, default, meaning in keys(Config, Config())
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def command_names() -> Iterator[tuple[str, ...]]:
    """Every command as typed after ``outrider``; the program itself is ()."""
    yield ()
    root: Any = typer.main.get_command(app)
    for name in COMMANDS:
        yield from _and_within((name,), root.get_command(None, name))


def _and_within(name: tuple[str, ...], command: Any) -> Iterator[tuple[str, ...]]:
    """A command and all that it holds, such as ``incidents route send``."""
    yield name
    for inner, held in getattr(command, "commands", {}).items():
        yield from _and_within((*name, inner), held)


def help_of(command: tuple[str, ...]) -> str:
    """What ``--help`` of a command prints, 96 columns wide."""
    environment = {"COLUMNS": "96", "TERMINAL_WIDTH": "96", "NO_COLOR": "1"}
    result = CliRunner().invoke(
        app,
        [*command, "--help"],
        prog_name="outrider",
        terminal_width=96,
        env=environment,
        catch_exceptions=False,
    )
    if result.exit_code != 0:
        raise RuntimeError(f"outrider {' '.join(command)} --help failed: {result.output}")
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


def commands() -> str:
    """The help of every command."""
    return "\n".join(
        f"## {' '.join(('outrider', *command))}\n\n```text\n{help_of(command)}\n```\n"
        for command in command_names()
    )


PARTS: Final = {"commands.md": commands, "configuration.md": configuration}


def rendered(name: str, folder: Path = FOLDER) -> str:
    """The whole page: what people wrote, the mark, and what the program tells."""
    head, _, _ = (folder / name).read_text("utf-8").partition(MARK)
    return f"{head}{MARK}\n\n{PARTS[name]()}"


# The ledger is written by the match stage alone, so its class lives there.
SCHEMAS: Final[dict[str, type]] = {**PUBLISHED, "ledger": LedgerRow}


README: Final = FOLDER.parent / "README.md"
_EXAMPLE: Final = re.compile(
    r"(<!-- written by `make example` -->\n```text\n).*?(^```$)", re.DOTALL | re.MULTILINE
)


def first_incident(printed: str) -> str:
    """What the demo printed up to the id of the first incident."""
    found = re.search(r"^\[.*?^  Id .*?$", printed, re.DOTALL | re.MULTILINE)
    if found is None:
        raise SystemExit("the demo printed no incident")
    return found[0]


def with_example(readme: str, printed: str) -> str:
    """The README with the demo's incident in its place."""
    text, places = _EXAMPLE.subn(lambda m: f"{m[1]}{first_incident(printed)}\n{m[2]}", readme)
    if places != 1:
        raise SystemExit("README.md: want one block marked `make example`")
    return text


def main() -> None:
    """Write everything, or check or write the example alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, help="what `outrider demo` printed")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    if options.demo is None:
        for page in PARTS:
            (FOLDER / page).write_text(rendered(page), "utf-8")
        for name, cls in SCHEMAS.items():
            (SCHEMA_FOLDER / f"{name}.json").write_text(render(name, cls), "utf-8")
        return
    readme = README.read_text("utf-8")
    wanted = with_example(readme, options.demo.read_text("utf-8"))
    if options.check:
        sys.exit(
            readme != wanted and "README.md shows another incident than the demo: make example"
        )
    README.write_text(wanted, "utf-8")


if __name__ == "__main__":
    main()
