"""The files of docker/, read more strictly than their programs read them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
_VARIABLE = re.compile(r"\$(\$|\{(\w+)(?::([-?])([^}]*))?\})")


class _Strict(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: the second one would win in silence."""

    def construct_mapping(self, node, deep=False):  # noqa: FBT002 # as its base has it
        keys = [k.value for k, _ in node.value if k.tag != "tag:yaml.org,2002:merge"]
        twice = sorted({k for k in keys if keys.count(k) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"{twice[0]} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def documents(text):
    """Every document of a YAML text."""
    return [d for d in yaml.load_all(text, _Strict) if d is not None]


def document(path):
    """The one document of a YAML file."""
    (found,) = documents(path.read_text("utf-8"))
    return found


def filled_in(text, environment):
    """A compose file with its variables, as compose puts them in.

    Raises:
        KeyError: a variable is wanted and not set.
    """

    def value(match):
        if match[1] == "$":
            return "$"
        given = environment.get(match[2], "")
        if not given and match[3] == "?":
            raise KeyError(match[2])
        return given or match[4] or ""

    return _VARIABLE.sub(value, text)


def compose_file(name):
    """A compose file in which every wanted folder is named."""
    text = (DOCKER / name).read_text("utf-8")
    folders = {"LOGS_FOLDER": "/srv/logs", "ADVISORIES_FOLDER": "/srv/advisories"}
    (found,) = documents(filled_in(text, folders))
    return found
