"""Rules for the Kubernetes manifests, beside the schemas of Kubernetes."""

from __future__ import annotations

import copy
import json
import re
import tempfile
from pathlib import Path, PurePosixPath

from jsonschema.exceptions import best_match

from pipeline.runtime.config import load
from tests.docker import calls, pods, scaling, schemas
from tests.docker.files import DOCKER, document, documents

FOLDER = DOCKER / "kubernetes"
# What a person brings, as docs/deploying.md tells.
BROUGHT = {
    ("Secret", "outrider"): (
        *("privacy-key", "serve-token", "kafka-username", "kafka-password", "kafka-ca.pem"),
    ),
    ("PersistentVolumeClaim", "outrider-exports"): (),
}
SECRETS = {name: keys for (kind, name), keys in BROUGHT.items() if kind == "Secret"}
# A worker with 1,000 tenants, the most of several runs of benchmarks/bench_kafka.py --only move.
WORKER_BYTES = 2_462 * 2**20
WORKLOADS = ("Deployment", "StatefulSet", "Job")


def built(name, *, components=()):
    """What ``kubectl apply -k`` would apply of a folder, but for hashes in names.

    Args:
        name: of the folder.
        components: names of further folders that a person adds to it.
    """
    folder = FOLDER / name
    kustomization = document(folder / "kustomization.yaml")
    objects = []
    for resource in kustomization["resources"]:
        path = folder / resource
        if path.is_dir():
            objects += built(path.resolve().relative_to(FOLDER.resolve()).as_posix())
        else:
            objects += documents(path.read_text("utf-8"))
    for component in components:
        told = document(FOLDER / component / "kustomization.yaml")
        assert told["kind"] == "Component", component
        for resource in told["resources"]:
            objects += documents((FOLDER / component / resource).read_text("utf-8"))
        _patched(objects, told)
    objects += [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": made["name"]},
            "data": {f: (folder / f).read_text("utf-8") for f in made["files"]},
        }
        for made in kustomization.get("configMapGenerator", ())
    ]
    _patched(objects, kustomization)
    return objects


def _patched(objects, kustomization):
    for patch in kustomization.get("patches", ()):
        target = patch["target"]
        found = [
            o
            for o in objects
            # Both are patterns that have to match as a whole.
            if re.fullmatch(target["kind"], o["kind"])
            and re.fullmatch(target.get("name", ".*"), name_of(o))
        ]
        assert found, f"the patch of {target} meets nobody"
        for operation in documents(patch["patch"])[0]:
            for told in found:
                _patch(told, **copy.deepcopy(operation))


def _patch(told, *, op, path, value=None):
    """Carry out a JSON patch that removes a key, or adds to the end of a list; we have no other."""
    place = told
    *steps, last = path.strip("/").split("/")
    for step in steps:
        place = place[int(step) if isinstance(place, list) else step]
    if op == "add":
        assert last == "-", path
        place.append(value)
    else:
        assert op == "remove", op
        del place[last]


def ways_out(objects):
    """Ports that each role may ask anywhere."""
    roles = {
        o["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
        for o in objects
        if o["kind"] in WORKLOADS
    }
    found = {role: set() for role in roles}
    for told in (o["spec"] for o in objects if o["kind"] == "NetworkPolicy"):
        labels = told["podSelector"].get("matchLabels", {})
        only = {labels.get("app.kubernetes.io/component")} - {None} or roles
        for rule in told["podSelector"].get("matchExpressions", ()):
            assert (rule["key"], rule["operator"]) == ("app.kubernetes.io/component", "In"), rule
            only = only & set(rule["values"])
        for way in told.get("egress", ()):
            if "to" not in way:
                for role in only:
                    found[role] |= {p["port"] for p in way["ports"]}
    return found


def name_of(told):
    """Name of an object."""
    return told["metadata"]["name"]


def config_of(objects):
    """The configuration in the ConfigMap."""
    (text,) = (o["data"]["outrider.toml"] for o in objects if o["kind"] == "ConfigMap")
    return load_text(text)


def load_text(text):
    """A configuration from its text, through the program's own reader."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outrider.toml"
        path.write_text(text, "utf-8")
        return load(path, environ={})


def problems(objects):
    """What is wrong with a set of manifests."""
    found = [told for o in objects for told in _schema(o)]
    if found:
        return found
    names = [(o["kind"], name_of(o)) for o in objects]
    twice = sorted(
        {f"{kind} {name} stands twice" for kind, name in names if names.count((kind, name)) > 1}
    )
    if twice:
        return twice
    config = config_of(objects)
    workloads = {(o["kind"], name_of(o)): o for o in objects if o["kind"] in WORKLOADS}
    known = {*names, *BROUGHT}
    for workload in workloads.values():
        label = name_of(workload)
        found += [f"{label}: {told}" for told in pods.problems(workload, known)]
        found += [f"{label}: {told}" for told in _role(workload, config)]
    found += _selectors(objects, workloads)
    found += _fences(objects)
    keda = [o for o in objects if o["kind"] in scaling.SCHEMAS]
    if keda:
        found += scaling.problems(keda, config.kafka, workloads, SECRETS)
    return found


def _schema(told):
    if told["kind"] in scaling.SCHEMAS:
        return
    for version in schemas.KUBERNETES:
        try:
            checker = schemas.kubernetes(version, told["kind"], told["apiVersion"])
        except FileNotFoundError:
            yield f"Kubernetes {version} has no {told['kind']} of {told['apiVersion']}"
            continue
        error = best_match(checker.iter_errors(told))
        if error is not None:
            yield f"{told['kind']} {name_of(told)} ({version}), {error.json_path}: {error.message}"


def _role(workload, config):
    """Whether a role's command line, configuration, secrets and folders fit together."""
    spec = workload["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    words = container["args"]
    yield from calls.problems(words)
    if container["image"] != "outrider":
        yield f"image {container['image']} is not the one that the kustomization names"
    environment = {e["name"]: e.get("value") for e in container["env"]}
    for name in [w.partition("$(")[2].partition(")")[0] for w in words if "$(" in w]:
        if name not in environment:
            yield f"$({name}) is no variable of the container"
    if words[0] in {"detect", "deliver"} and calls.option(words, "--name") != "$(POD_NAME)":
        yield "its workers have one name, and shut each other out"
    if (
        words[0] == "deliver"
        and calls.option(words, "--state")
        and workload["spec"]["replicas"] > 1
    ):
        yield "each worker has a --state of its own: people are told twice"
    mounts = {m["name"]: m for m in container["volumeMounts"]}
    if environment.get("OUTRIDER_CONFIG") != f"{mounts['config']['mountPath']}/outrider.toml":
        yield "OUTRIDER_CONFIG names no file of the ConfigMap"
    yield from _secrets(spec, mounts, words[0], config)
    state = calls.option(words, "--state", "--out")
    writable = {m["mountPath"] for m in mounts.values() if not m.get("readOnly")}
    if state is not None and state not in writable:
        yield f"writes to {state}, which is not mounted to be written"
    for path in [*words, calls.option(words, "--advisories") or ""]:
        if path.startswith("/") and PurePosixPath(path).parent.as_posix() not in {
            m["mountPath"] for m in mounts.values() if m.get("readOnly")
        }:
            yield f"reads {path}, which is not mounted read-only"


def _secrets(spec, mounts, role, config):
    """Each role is given the secrets that it reads, and no others."""
    (volume,) = (v for v in spec["volumes"] if v["name"] == "secrets")
    place = PurePosixPath(mounts["secrets"]["mountPath"])
    given = {place / item["path"] for item in volume["secret"]["items"]}
    if volume["secret"]["defaultMode"] & 0o004:
        yield "everybody in the container may read its secrets"
    wanted = {config.kafka.password_file, config.kafka.ca_file}
    wanted |= {
        "collect": {config.privacy.key_file},
        "serve": {config.serve.token_file},
    }.get(role, set())
    wanted = {PurePosixPath(p) for p in wanted if p is not None}
    for path in sorted(wanted - given):
        yield f"is not given {path}"
    for path in sorted(given - wanted):
        yield f"is given {path}, which it does not read"
    for item in volume["secret"]["items"]:
        if item["key"] not in SECRETS.get(volume["secret"]["secretName"], ()):
            yield f"nobody brings {item['key']}"


def _selectors(objects, workloads):
    """Whatever selects pods selects some."""
    labels = [w["spec"]["template"]["metadata"]["labels"] for w in workloads.values()]
    for told in objects:
        if told["kind"] == "Service":
            wanted = told["spec"]["selector"]
        elif told["kind"] in {"PodDisruptionBudget", "NetworkPolicy"}:
            field = "podSelector" if told["kind"] == "NetworkPolicy" else "selector"
            wanted = told["spec"][field].get("matchLabels", {})
        else:
            continue
        if not any(wanted.items() <= there.items() for there in labels):
            yield f"{told['kind']} {name_of(told)} selects no pod: {json.dumps(wanted)}"


def _fences(objects):
    """Traffic that no policy names is refused, in both directions."""
    for told in objects:
        spec = told.get("spec", {})
        if told["kind"] != "NetworkPolicy" or spec["podSelector"] or len(spec["policyTypes"]) < 2:
            continue
        if not (spec.get("ingress") or spec.get("egress")):
            return
    yield "no NetworkPolicy refuses what is not named"
