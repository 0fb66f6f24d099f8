"""The commented example configuration, written from the models themselves."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from pipeline.runtime.config import Config
from pipeline.runtime.config_section import SAMPLE_NAME, sections_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

    from pipeline.runtime.config_section import Sections

HEAD = """\
# Outrider configuration. Every key is optional; what is written here is the default,
# lines that start with "# " and hold a key are examples.
# Flags go before the environment (OUTRIDER_SECTION__KEY), which goes before this file.
"""


def example() -> str:
    """Render every key with its meaning and its default.

    Keys without a fixed default are commented out and carry an example value. Loading the
    text gives ``Config()``; loading it with those lines uncommented sets every key there is.
    """
    return HEAD + "\n".join(_section(Config, Config(), ""))


def _section(model: type[BaseModel], instance: BaseModel, prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        value = getattr(instance, name)
        path = f"{prefix}{name}"
        many = sections_of(field.annotation)
        if isinstance(value, BaseModel):
            keys = type(value).model_fields.items()
            if any(not isinstance(getattr(value, k), BaseModel) for k, _ in keys):
                yield f"\n# {_first_line(type(value))}\n[{path}]"
            yield from _section(type(value), value, f"{path}.")
        elif many is not None:
            yield from _sample(many, path)
        elif isinstance(value, dict):
            yield f"\n{_comment(field)}\n[{path}]"
            yield from (
                f"# {_toml(k)} = {_toml(v)}" for k, v in (field.examples or [{}])[0].items()
            )
        else:
            yield _comment(field)
            yield _assignment(name, field, value)


def _sample(many: Sections, path: str) -> Iterator[str]:
    """One section of any number, commented out: there is none by default."""
    header = f"[{path}.{SAMPLE_NAME}]" if many.named else f"[[{path}]]"
    yield f"\n# {_first_line(many.model)}\n# {header}"
    for name, field in many.model.model_fields.items():
        if sections_of(field.annotation) is not None:
            continue  # others of its kind within it
        given = (
            field.examples[0] if field.examples else field.get_default(call_default_factory=True)
        )
        yield _comment(field)
        if given is not None:
            yield f"# {field.alias or name} = {_toml(given)}"


def _assignment(name: str, field: FieldInfo, value: Any) -> str:
    if field.examples:
        return f"# {name} = {_toml(field.examples[0])}"
    return f"{name} = {_toml(value)}"


def _comment(field: FieldInfo) -> str:
    text = field.description or ""
    bounds = _bounds(field)
    return textwrap.fill(
        f"{text} {bounds}".strip(), 88, initial_indent="# ", subsequent_indent="# "
    )


def _bounds(field: FieldInfo) -> str:
    found = {}
    for rule in field.metadata:
        for kind in ("gt", "ge", "le"):
            limit = getattr(rule, kind, None)
            if isinstance(limit, (int, float)):
                found[kind] = limit
    low = f"above {found['gt']}" if "gt" in found else f"{found.get('ge')}"
    return f"({low} to {found['le']})" if "le" in found else ""


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").splitlines()[0]


def _toml(value: Any) -> str:
    # JSON text, numbers, booleans and lists of them are written the same way in TOML.
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_toml(k)} = {_toml(v)}' for k, v in value.items())} }}"
    return json.dumps(value if isinstance(value, (bool, int, float, str, list)) else str(value))
