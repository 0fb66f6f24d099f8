"""The manifests: the schemas of Kubernetes, our own rules, and what KEDA scales by."""

from __future__ import annotations

import copy
import inspect
import re

import pytest

from pipeline.model.errors import ConfigError
from pipeline.runtime.kafka import detect
from tests.docker import manifests
from tests.docker.files import ROOT, document

FOLDERS = ("base", "keda")


@pytest.fixture(scope="module")
def whole():
    return manifests.built("keda")


@pytest.mark.parametrize("components", [(), ("oauth",)], ids=["by password", "by token"])
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_keeps_all_rules(folder, components):
    assert manifests.problems(manifests.built(folder, components=components)) == []


def test_whoever_asks_brokers_with_a_token_can_get_one():
    objects = manifests.built("base", components=("oauth",))
    assert {
        role for role, ports in manifests.ways_out(objects).items() if 443 not in ports
    } == set()
    asked = []
    for page in (ROOT / "docs" / "kafka-security.md", ROOT / "docs" / "deploying.md"):
        asked += re.findall(
            r'^federated_token_file = "(.+)"', page.read_text("utf-8"), re.MULTILINE
        )
    assert asked
    for workload in (o for o in objects if o["kind"] in manifests.WORKLOADS):
        spec = workload["spec"]["template"]["spec"]
        mounts = {m["name"]: m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}
        (volume,) = (v for v in spec["volumes"] if v["name"] == "identity")
        (source,) = volume["projected"]["sources"]
        held = f"{mounts['identity']}/{source['serviceAccountToken']['path']}"
        assert set(asked) == {held}, manifests.name_of(workload)


def test_without_tokens_only_those_who_have_business_outside_get_there():
    ways = manifests.ways_out(manifests.built("base"))
    assert ways["detect"] == ways["kafka-init"] == {9093}
    assert ways["collect"] == ways["serve"] == {9093, 443}
    text = (ROOT / "docs" / "deploying.md").read_text("utf-8")
    (told,) = re.findall(
        r"^\| `deliver` \| (.+) \|$", text.partition("may ask anywhere")[2], re.MULTILINE
    )
    assert {int(port) for port in re.findall(r"\d+", told)} == ways["deliver"] - {9093}


def test_every_file_is_applied():
    for folder in (*FOLDERS, "oauth"):
        told = document(manifests.FOLDER / folder / "kustomization.yaml")
        assert set(told) <= {
            *("apiVersion", "kind", "namespace", "resources", "configMapGenerator", "images"),
            *("labels", "patches"),
        }
        named = {
            *told["resources"],
            *(f for m in told.get("configMapGenerator", ()) for f in m["files"]),
        }
        there = {p.name for p in (manifests.FOLDER / folder).iterdir()} - {"kustomization.yaml"}
        assert there == named - {"../base"}


def test_what_a_person_brings_is_as_much_here_as_in_the_guide():
    said = r"\b(\w+) things are yours to bring"
    (here,) = re.findall(
        said, (manifests.FOLDER / "base" / "kustomization.yaml").read_text("utf-8")
    )
    (there,) = re.findall(said, (ROOT / "docs" / "deploying.md").read_text("utf-8"))
    assert here == there


POD = ("spec", "template", "spec")
BOX = (*POD, "containers", 0)
DETECT = ("StatefulSet", "outrider-detect")
COLLECT = ("StatefulSet", "outrider-collect")
DELIVER = ("StatefulSet", "outrider-deliver")
SCALED = ("ScaledObject", "outrider-detect")
TRIGGER = ("spec", "triggers", 0, "metadata")
BROKEN = {
    "an unknown field": (DETECT, (*BOX, "imagePulPolicy"), "Always", "imagePulPolicy"),
    "a wrong type": (DETECT, ("spec", "serviceName"), 3, "3 is not of type"),
    "a kind that does not exist": (DETECT, ("kind",), "StatefulSets", "has no StatefulSets"),
    "root": (DETECT, (*POD, "securityContext", "runAsUser"), 0, "may run as root"),
    "perhaps root": (DETECT, (*POD, "securityContext", "runAsNonRoot"), None, "may run as root"),
    "no seccomp": (DETECT, (*POD, "securityContext", "seccompProfile"), None, "of the kernel"),
    "the host's network": (DETECT, (*POD, "hostNetwork"), True, "the node's own view"),
    "a token": (DETECT, (*POD, "automountServiceAccountToken"), True, "a token of the cluster"),
    "nobody's account": (DETECT, (*POD, "serviceAccountName"), "x", "no service account"),
    "a writable root": (
        DETECT,
        (*BOX, "securityContext", "readOnlyRootFilesystem"),
        False,
        "root file system",
    ),
    "privileges": (
        DETECT,
        (*BOX, "securityContext", "allowPrivilegeEscalation"),
        True,
        "may gain privileges",
    ),
    "capabilities": (
        DETECT,
        (*BOX, "securityContext", "capabilities"),
        {"drop": ["NET_RAW"]},
        "keeps capabilities",
    ),
    "no requests": (DETECT, (*BOX, "resources", "requests"), None, "asks for no processor"),
    "all memory": (DETECT, (*BOX, "resources", "limits"), None, "all memory of the node"),
    "no liveness": (DETECT, (*BOX, "livenessProbe"), None, "livenessProbe does not ask"),
    "readiness by the wrong path": (
        DETECT,
        (*BOX, "readinessProbe", "httpGet", "path"),
        "/healthz",
        "readinessProbe does not ask /readyz",
    ),
    "another port": (DETECT, (*BOX, "ports", 0, "containerPort"), 80, "on port 9464"),
    "no time to end": (DETECT, (*POD, "terminationGracePeriodSeconds"), 5, "less than a minute"),
    "a disk without end": (DETECT, (*POD, "volumes", 2, "emptyDir"), {}, "the node's disk"),
    "a folder of the node": (
        DETECT,
        (*POD, "volumes", 2),
        {"name": "state", "hostPath": {"path": "/var"}},
        "a folder of the node",
    ),
    "a missing volume": (DETECT, (*BOX, "volumeMounts", 2, "name"), "x", "no volume x"),
    "a missing claim": (
        COLLECT,
        (*POD, "volumes", 3, "persistentVolumeClaim", "claimName"),
        "x",
        "no PersistentVolumeClaim x",
    ),
    "a missing service": (DETECT, ("spec", "serviceName"), "x", "Service x does not exist"),
    "a selector that misses": (
        DETECT,
        ("spec", "selector", "matchLabels"),
        {"a": "b"},
        "does not match its own pods",
    ),
    "a service without pods": (
        ("Service", "outrider-serve"),
        ("spec", "selector"),
        {"a": "b"},
        "selects no pod",
    ),
    "a budget without pods": (
        ("PodDisruptionBudget", "outrider-serve"),
        ("spec", "selector", "matchLabels"),
        {"a": "b"},
        "selects no pod",
    ),
    "open to all": (
        ("NetworkPolicy", "deny"),
        ("spec", "policyTypes"),
        ["Ingress"],
        "refuses what is not named",
    ),
    "a job that stays": (
        ("Job", "outrider-kafka-init"),
        ("spec", "ttlSecondsAfterFinished"),
        None,
        "stays after its end",
    ),
    "an unknown option": (DETECT, (*BOX, "args", 1), "--nme=x", "No such option"),
    "an unknown command": (DETECT, (*BOX, "args", 0), "detct", "No such command"),
    "no address": (DETECT, (*BOX, "args", 2), "--listen=127.0.0.1:9464", "port 9464 is asked"),
    "a variable of nobody": (DETECT, (*BOX, "args", 1), "--name=$(POD)", "$(POD) is no variable"),
    "one name for all": (DELIVER, (*BOX, "args", 1), "--name=files", "shut each other out"),
    "two who tell people": (DELIVER, ("spec", "replicas"), 2, "told twice"),
    "another image": (DETECT, (*BOX, "image"), "outrider:latest", "not the one"),
    "no configuration": (DETECT, (*BOX, "env", 0, "value"), "/etc/x.toml", "no file of"),
    "state that is lost": (COLLECT, (*BOX, "args", 3), "--state=/x", "not mounted to be written"),
    "logs that are not there": (COLLECT, (*BOX, "args", 1), "/logs/x", "not mounted read-only"),
    "a secret that is not given": (
        COLLECT,
        (*POD, "volumes", 1, "secret", "items", 0),
        {"key": "serve-token", "path": "serve-token"},
        "is not given /run/secrets/outrider/privacy-key",
    ),
    "a secret too much": (
        DETECT,
        (*POD, "volumes", 1, "secret", "items", 0),
        {"key": "privacy-key", "path": "privacy-key"},
        "which it does not read",
    ),
    "a secret that nobody brings": (
        DETECT,
        (*POD, "volumes", 1, "secret", "items", 0, "key"),
        "kafka-pasword",
        "nobody brings",
    ),
    "a secret for everybody": (
        DETECT,
        (*POD, "volumes", 1, "secret", "defaultMode"),
        0o444,
        "everybody in the container",
    ),
    "more workers than partitions": (SCALED, ("spec", "maxReplicaCount"), 48, "24 partitions"),
    "fewer at most than at least": (SCALED, ("spec", "minReplicaCount"), 48, "the least is more"),
    "scaling nobody": (SCALED, ("spec", "scaleTargetRef", "name"), "x", "no StatefulSet x"),
    "two hands on one number": (DETECT, ("spec", "replicas"), 2, "set the replicas back"),
    "an unknown trigger key": (SCALED, (*TRIGGER, "lagTreshold"), "5", "lagTreshold"),
    "a number as a number": (SCALED, (*TRIGGER, "lagThreshold"), 500, "500 is not of type"),
    "another group": (SCALED, (*TRIGGER, "consumerGroup"), "outrider", "consumerGroup is"),
    "another topic": (SCALED, (*TRIGGER, "topic"), "outrider.events", "topic is"),
    "other brokers": (SCALED, (*TRIGGER, "bootstrapServers"), "x:9092", "bootstrapServers is"),
    "without TLS": (SCALED, (*TRIGGER, "tls"), "disable", "tls is disable"),
    "another mechanism": (SCALED, (*TRIGGER, "sasl"), "plaintext", "sasl is plaintext"),
    "nobody's authentication": (
        SCALED,
        ("spec", "triggers", 0, "authenticationRef", "name"),
        "x",
        "authentication does not exist",
    ),
    "a password that nobody brings": (
        ("TriggerAuthentication", "outrider-kafka"),
        ("spec", "secretTargetRef", 1, "key"),
        "x",
        "nobody brings x",
    ),
}


@pytest.mark.parametrize(("which", "path", "value", "told"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_manifest_is_told(which, path, value, told, whole):
    broken = copy.deepcopy(whole)
    (place,) = (o for o in broken if (o["kind"], manifests.name_of(o)) == which)
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    assert told in "\n".join(manifests.problems(broken))


def test_an_object_that_stands_twice_is_told(whole):
    (told,) = (o for o in whole if o["kind"] == "ConfigMap")
    assert manifests.problems([*whole, told]) == ["ConfigMap outrider stands twice"]


def test_a_typo_in_the_configuration_is_told(whole):
    broken = copy.deepcopy(whole)
    (told,) = (o for o in broken if o["kind"] == "ConfigMap")
    told["data"]["outrider.toml"] = told["data"]["outrider.toml"].replace("servers", "server")
    with pytest.raises(ConfigError, match="server"):
        manifests.problems(broken)


def test_a_worker_can_hold_what_the_other_one_held(whole):
    (told,) = (o for o in whole if (o["kind"], manifests.name_of(o)) == DETECT)
    (box,) = told["spec"]["template"]["spec"]["containers"]
    sizes = {k: int(v["memory"].removesuffix("Gi")) * 2**30 for k, v in box["resources"].items()}
    assert sizes["limits"] > manifests.WORKER_BYTES
    # Half of it is what each of two workers holds for long; no node gives it to others.
    assert sizes["requests"] > manifests.WORKER_BYTES / 2


def test_the_group_that_is_scaled_by_is_the_one_that_workers_join():
    joined = re.findall(r'group_id=f"\{[\w.]+\.prefix\}([\w-]+)"', inspect.getsource(detect))
    assert joined == ["-detect"]
