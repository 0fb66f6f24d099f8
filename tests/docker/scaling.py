"""Rules for what KEDA reads: its objects are no part of Kubernetes' own schemas.

Fields are those of ``keda.sh/v1alpha1``; keys of the trigger those of its Kafka scaler.
"""

from __future__ import annotations

import jsonschema

from pipeline.runtime.kafka.client import Topics

_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}
_WHOLE = {"type": "string", "pattern": "^[1-9][0-9]*$"}
_SWITCH = {"enum": ["true", "false"]}


def _closed(required, **properties):
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


_POLICY = _closed(
    ["type", "value", "periodSeconds"],
    type={"enum": ["Pods", "Percent"]},
    value={"type": "integer", "minimum": 1},
    periodSeconds={"type": "integer", "minimum": 1, "maximum": 1800},
)
_RULES = _closed(
    ["policies"],
    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
    selectPolicy={"enum": ["Max", "Min", "Disabled"]},
    policies={"type": "array", "minItems": 1, "items": _POLICY},
)
_KAFKA = _closed(
    ["bootstrapServers", "consumerGroup", "topic", "lagThreshold", "allowIdleConsumers"],
    bootstrapServers=_TEXT,
    consumerGroup=_TEXT,
    topic=_TEXT,
    lagThreshold=_WHOLE,
    activationLagThreshold={"type": "string", "pattern": "^[0-9]+$"},
    offsetResetPolicy={"enum": ["earliest", "latest"]},
    allowIdleConsumers=_SWITCH,
    excludePersistentLag=_SWITCH,
    limitToPartitionsWithLag=_SWITCH,
    sasl={"enum": ["none", "plaintext", "scram_sha256", "scram_sha512", "oauthbearer"]},
    tls={"enum": ["enable", "disable"]},
)
_TRIGGER = _closed(
    ["type", "metadata"],
    type={"const": "kafka"},
    metadata=_KAFKA,
    metricType={"enum": ["AverageValue", "Value"]},
    authenticationRef=_closed(["name"], name=_TEXT, kind=_TEXT),
)
_META = _closed(["name"], name=_TEXT, labels={"type": "object"})


def _object(kind, spec):
    return _closed(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "keda.sh/v1alpha1"},
        kind={"const": kind},
        metadata=_META,
        spec=spec,
    )


SCHEMAS = {
    "ScaledObject": _object(
        "ScaledObject",
        _closed(
            ["scaleTargetRef", "minReplicaCount", "maxReplicaCount", "triggers"],
            scaleTargetRef=_closed(["name", "kind"], apiVersion=_TEXT, kind=_TEXT, name=_TEXT),
            minReplicaCount=_COUNT,
            maxReplicaCount={"type": "integer", "minimum": 1},
            pollingInterval={"type": "integer", "minimum": 1},
            cooldownPeriod=_COUNT,
            triggers={"type": "array", "minItems": 1, "items": _TRIGGER},
            advanced=_closed(
                [],
                horizontalPodAutoscalerConfig=_closed(
                    [], behavior=_closed([], scaleDown=_RULES, scaleUp=_RULES)
                ),
            ),
        ),
    ),
    "TriggerAuthentication": _object(
        "TriggerAuthentication",
        _closed(
            ["secretTargetRef"],
            secretTargetRef={
                "type": "array",
                "minItems": 1,
                "items": _closed(
                    ["parameter", "name", "key"],
                    parameter={
                        "enum": ["sasl", "username", "password", "tls", "ca", "cert", "key"]
                    },
                    name=_TEXT,
                    key=_TEXT,
                ),
            },
        ),
    ),
}
# What our names of security and mechanism are to the scaler.
SASL = {"PLAIN": "plaintext", "SCRAM-SHA-256": "scram_sha256", "SCRAM-SHA-512": "scram_sha512"}


def problems(objects, config, workloads, brought):
    """What is wrong with the scaling.

    Args:
        objects: what KEDA reads.
        config: of Kafka, as the workers have it.
        workloads: what there is to scale, by (kind, name).
        brought: keys of each Secret that somebody brings.
    """
    named = {o["metadata"]["name"] for o in objects if o["kind"] == "TriggerAuthentication"}
    for told in objects:
        checker = jsonschema.Draft202012Validator(SCHEMAS[told["kind"]])
        errors = [f"{told['kind']} {e.json_path}: {e.message}" for e in checker.iter_errors(told)]
        yield from errors
        if errors:
            continue
        if told["kind"] == "ScaledObject":
            yield from _scaled(told["spec"], config, workloads, named)
            continue
        for ref in told["spec"]["secretTargetRef"]:
            if ref["key"] not in brought.get(ref["name"], ()):
                yield f"TriggerAuthentication: nobody brings {ref['key']} in Secret {ref['name']}"


def _scaled(spec, config, workloads, named):
    target = spec["scaleTargetRef"]
    workload = workloads.get((target["kind"], target["name"]))
    if workload is None:
        yield f"ScaledObject: there is no {target['kind']} {target['name']} to scale"
    elif "replicas" in workload["spec"]:
        yield f"{target['name']}: each apply would set the replicas back"
    if spec["minReplicaCount"] > spec["maxReplicaCount"]:
        yield "ScaledObject: the least is more than the most"
    if spec["maxReplicaCount"] != config.partitions:
        yield f"ScaledObject: {spec['maxReplicaCount']} workers, {config.partitions} partitions"
    (trigger,) = spec["triggers"]
    wanted = {
        "bootstrapServers": ",".join(config.servers),
        "consumerGroup": f"{config.prefix}-detect",
        "topic": Topics(config.prefix).events,
        "offsetResetPolicy": "earliest",
        "allowIdleConsumers": "false",
        "tls": "enable" if config.security.endswith("SSL") else "disable",
        "sasl": SASL[config.sasl_mechanism] if config.security.startswith("SASL") else "none",
    }
    for key, value in wanted.items():
        if trigger["metadata"].get(key) != value:
            yield f"trigger: {key} is {trigger['metadata'].get(key)}, and the workers' {value}"
    if trigger.get("authenticationRef", {}).get("name") not in named:
        yield "trigger: its authentication does not exist"
