"""What every section of the configuration has in common."""

from __future__ import annotations

import typing
from typing import Annotated, Any, Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

SAMPLE_NAME: Final = "main"
"""How a section with a name of one's own is called in the example."""

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
"""A name of one's own for a section; it is a metrics label, a ledger key and part of a group."""


Variable: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""Name of a variable of the environment."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is no IANA time zone; write one such as Europe/Berlin"
        ) from None
    return name


Zone: TypeAlias = Annotated[str, AfterValidator(_zone)]
"""IANA name of a time zone that this machine knows."""


class Section(BaseModel):
    """Strict, unchangeable, and silent about the values that it refuses."""

    # hide_input_in_errors: a secret pasted into the wrong place must not come back in a message
    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )


class Sections(NamedTuple):
    """A field that holds any number of sections, each with a name or one after the other."""

    model: type[BaseModel]
    named: bool


def sections_of(annotation: Any) -> Sections | None:
    """What a field of ``dict[NAME, Section]`` or ``list[Section]`` holds; None for any other.

    >>> sections_of(dict[str, Section])
    Sections(model=<class 'pipeline.runtime.config_section.Section'>, named=True)
    >>> sections_of(dict[str, str]) is None
    True
    """
    arguments = typing.get_args(annotation)
    if not arguments or not isinstance(arguments[-1], type):
        return None
    if not issubclass(arguments[-1], BaseModel):
        return None
    return Sections(arguments[-1], named=typing.get_origin(annotation) is dict)
