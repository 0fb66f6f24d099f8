"""Files that the configuration names by ``*_file``: whether each can be read, told before it is due.

Secrets are read anew whenever they are used. One that is missing would otherwise be noticed with
the first page that has to be sent.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from pipeline.model.errors import ConfigError
from pipeline.runtime.config_lines import KafkaTopic
from pipeline.runtime.config_siem import Sentinel
from pipeline.runtime.secret_files import read_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.runtime.config import Config
    from pipeline.runtime.config_deliver import Destination


def unreadable(section: BaseModel, place: str = "") -> Iterator[str]:
    """A sentence for each file that a section, or one within it, names and that cannot be read.

    Args:
        section: checked already.
        place: its dotted path; empty: the whole configuration.
    """
    for name in type(section).model_fields:
        value, key = getattr(section, name), f"{place}.{name}".removeprefix(".")
        if isinstance(value, Path) and name.endswith("_file"):
            yield from _looked(value, key)
        elif isinstance(value, BaseModel):
            yield from unreadable(value, key)
        elif isinstance(value, dict):
            for own, inner in value.items():
                if isinstance(inner, BaseModel):
                    yield from unreadable(inner, f"{key}.{own}")


def _looked(path: Path, key: str) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        yield f"{key}: {path} cannot be read: {error.strerror}"
    else:
        if empty:
            yield f"{key}: {path} is empty"


def check_destination(name: str, section: Destination, config: Config) -> None:
    """See that a destination has the files that it names, and each secret.

    Args:
        name: as in the configuration: ``slack.oncall``.
        section: of the destination, checked already.
        config: the whole, with the identity that some destinations sign in as.

    Raises:
        ConfigError: one cannot be read, or a variable holds nothing.
    """
    place = f"deliver.{name}"
    problems = list(unreadable(section, place))
    by_token = isinstance(section, KafkaTopic) and section.sasl_mechanism == "OAUTHBEARER"
    if isinstance(section, Sentinel) or by_token:
        problems += unreadable(config.microsoft, "microsoft")
    if problems:
        raise ConfigError("\n".join(problems))
    fields = type(section).model_fields
    for key in fields:
        secret = key.removesuffix("_file")
        if secret == key or f"{secret}_variable" not in fields:
            continue
        path, variable = getattr(section, key), getattr(section, f"{secret}_variable")
        if path is not None or variable is not None:
            _read(path, variable, f"the {secret.replace('_', ' ')} of {name}", f"{place}.{key}")


def _read(path: Path | None, variable: str | None, what: str, key: str) -> None:
    try:
        read_secret(path, variable or "", what, key)
    except ConfigError as error:
        # Where no file is named, the message names the key as what to write.
        raise (error if path is None else ConfigError(f"{key}: {error}")) from None
