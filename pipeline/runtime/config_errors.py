"""Configuration errors in words: file, line, path of the key, and the nearest key that exists."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from pipeline.runtime.config_places import Places
from pipeline.runtime.config_section import SAMPLE_NAME, sections_of
from pipeline.runtime.config_words import WANTED, as_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pydantic import ValidationError


def known_keys(
    model: type[BaseModel], prefix: str = "", within: tuple[type[BaseModel], ...] = ()
) -> Iterator[str]:
    """Every section and key of ``model`` as a dotted path, sections before their keys.

    A section with a name of one's own stands there once, under the name of the example; one that
    may hold others of its kind is followed once. ``within``: the models around this one.
    """
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        many = sections_of(field.annotation)
        if many is not None and many.model in {*within, model}:
            continue
        yield path
        if many is not None:
            inner = f"{path}.{SAMPLE_NAME}" if many.named else path
            if many.named:
                yield inner
            yield from known_keys(many.model, f"{inner}.", (*within, model))
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from known_keys(field.annotation, f"{path}.", (*within, model))


def explain(
    error: ValidationError,
    model: type[BaseModel],
    *,
    path: Path | None,
    text: str,
    origin: Mapping[tuple[str, ...], str],
) -> str:
    """One line for each problem, those of the file in its order, then those of variables.

    Values are never quoted, since one may be a secret.

    Args:
        error: what pydantic found.
        model: the model that was validated.
        path: the file, if one was read.
        text: its content.
        origin: where keys that are not from the file came from, by path.
    """
    places = Places(path, text, origin)
    told = []
    for item in error.errors(include_url=False, include_input=False):
        keys = tuple(str(part) for part in item["loc"] if part != "[key]")
        dotted, reason = ".".join(keys), _reason(item, model)
        meant = _meant(keys, reason) if item["type"] == "value_error" else keys
        # A rule over several keys may name them in full.
        known = not dotted or reason.startswith((f"{dotted}.", f"{dotted}:"))
        place = places.of(meant)
        told.append((place, f"{place.words}: {reason if known else f'{dotted}: {reason}'}"))
    return "\n".join(text for _, text in sorted(told))


def _meant(keys: tuple[str, ...], reason: str) -> tuple[str, ...]:
    """The key that a rule over several names first, in full or as from its section."""
    named = tuple(re.split(r"[^\w.]", reason, maxsplit=1)[0].split("."))
    return named if named[: len(keys)] == keys else (*keys, *named)


def _reason(item: Mapping[str, Any], model: type[BaseModel]) -> str:
    if item["type"] == "string_pattern_mismatch" and item["ctx"]["pattern"] in WANTED:
        return WANTED[item["ctx"]["pattern"]]
    if item["type"] == "list_type":
        return as_list(_example(item["loc"], model))
    if item["type"] != "extra_forbidden":
        message = str(item["msg"]).removeprefix("Value error, ")
        return message[:1].lower() + message[1:]
    usual = _usual(item["loc"], model)
    near = _nearest(usual, list(known_keys(model)))
    if near and near.rpartition(".")[0] == usual.rpartition(".")[0]:
        beside = ".".join(str(part) for part in item["loc"][:-1])
        near = f"{beside}.{near.rpartition('.')[2]}".removeprefix(".")
    return f"unknown key; did you mean {near}?" if near else "unknown key"


def _example(keys: Sequence[int | str], model: type[BaseModel]) -> Any:
    """A value that a key may have: of its example, or else its default."""
    here: type[BaseModel] = model
    rest = iter(keys)
    for key in rest:
        field = next((f for n, f in here.model_fields.items() if key in {n, f.alias}), None)
        if field is None:
            return None
        many = sections_of(field.annotation)
        if many is not None:
            next(rest, None)
            here = many.model
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            here = field.annotation
        else:
            return field.examples[0] if field.examples else field.get_default()
    return None


def _usual(keys: Sequence[int | str], model: type[BaseModel]) -> str:
    """A path with the example's name in place of one's own, and without numbers."""
    path: list[str] = []
    here = model
    rest = iter(keys)
    for key in rest:
        path.append(str(key))
        field = here.model_fields.get(str(key))
        if field is None:
            break
        many = sections_of(field.annotation)
        if many is not None:
            inner = next(rest, None)
            if many.model is here:
                path.pop()  # one within another of its kind has the same keys
            elif inner is not None and many.named:
                path.append(SAMPLE_NAME)
            here = many.model
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            here = field.annotation
    return ".".join([*path, *map(str, rest)])


def _nearest(dotted: str, known: Sequence[str]) -> str | None:
    parent, _, leaf = dotted.rpartition(".")
    beside = {k.rpartition(".")[2]: k for k in known if k.rpartition(".")[0] == parent}
    match = difflib.get_close_matches(leaf, list(beside), n=1, cutoff=0.5)
    if match:
        return beside[match[0]]
    # The right name in the wrong section is the commoner slip than a far-off spelling.
    same_leaf = [k for k in known if k.rpartition(".")[2] == leaf]
    if same_leaf:
        return same_leaf[0]
    close = difflib.get_close_matches(dotted, known, n=1, cutoff=0.6)
    return close[0] if close else None
