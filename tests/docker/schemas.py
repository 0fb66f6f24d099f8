"""The schemas that others publish, as packages ship them; each is read once."""

from __future__ import annotations

import functools
import json
import re
from importlib.resources import files

import jsonschema
import kubernetes_validate
from referencing import Registry, Resource

# The oldest version of Kubernetes and the newest that the manifests are held to.
KUBERNETES = ("1.30.0", kubernetes_validate.latest_version())


@functools.cache
def compose():
    """Checks against the Compose specification."""
    place = files("check_jsonschema.builtin_schemas") / "vendor" / "compose-spec.json"
    schema = json.loads(place.read_text("utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


def _kubernetes_file(version, name):
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    return json.loads((folder / name).read_text("utf-8"))


@functools.cache
def _definitions(version):
    return Resource.from_contents(_kubernetes_file(version, "_definitions.json")) @ Registry()


@functools.cache
def kubernetes(version, kind, api):
    """Checks of one kind of object; strict, as an apply with server-side validation is.

    Raises:
        FileNotFoundError: there is no such kind.
    """
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)
    schema = _kubernetes_file(version, f"{kind.lower()}-{group}.json")
    registry = Resource.from_contents(schema) @ _definitions(version)
    return jsonschema.Draft202012Validator(schema, registry=registry)
