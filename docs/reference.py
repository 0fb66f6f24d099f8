"""Writes the parts of the guides that the program itself can tell: ``make docs``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from pipeline.runtime.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).parent
MARK: Final = "<!-- written by `make docs` from here on -->"


def keys(model: type[BaseModel], instance: Any, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Every key of the configuration: dotted path, default, meaning."""
    for name, field in model.model_fields.items():
        value = getattr(instance, name)
        if isinstance(value, BaseModel):
            yield from keys(type(value), value, f"{prefix}{name}.")
        else:
            computed = field.default_factory is not None and bool(field.examples)
            default = "" if value is None or value == {} or computed else f"`{json.dumps(value)}`"
            yield f"{prefix}{name}", default, field.description or ""


def configuration() -> str:
    """The table of all configuration keys."""
    rows = [
        f"| `{path}` | {default} | {meaning} |" for path, default, meaning in keys(Config, Config())
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


PARTS: Final = {"configuration.md": configuration}


def rendered(name: str, folder: Path = FOLDER) -> str:
    """The whole page: what people wrote, the mark, and what the program tells."""
    head, _, _ = (folder / name).read_text("utf-8").partition(MARK)
    return f"{head}{MARK}\n\n{PARTS[name]()}"


if __name__ == "__main__":
    for page in PARTS:
        (FOLDER / page).write_text(rendered(page), "utf-8")
