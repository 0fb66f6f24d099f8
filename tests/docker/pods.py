"""Rules for pods: rights, health, resources, volumes."""

from __future__ import annotations

from tests.docker.calls import PORT


def problems(workload, names):
    """What is wrong with the pods of a workload; ``names`` are all objects as (kind, name)."""
    spec = workload["spec"]
    pod = spec["template"]["spec"]
    yield from _rights(pod, names)
    for container in pod["containers"]:
        yield from _container_rights(container.get("securityContext", {}))
        yield from _resources(container.get("resources", {}))
        if workload["kind"] != "Job":
            yield from _health(container)
    yield from _volumes(workload, pod, names)
    if workload["kind"] == "Job":
        if "ttlSecondsAfterFinished" not in spec:
            yield "stays after its end, and the next version cannot be applied"
        return
    if pod.get("terminationGracePeriodSeconds", 30) < 60:
        yield "has less than a minute to finish a step"
    wanted, labels = spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]
    if not wanted.items() <= labels.items():
        yield "its selector does not match its own pods"
    if workload["kind"] == "StatefulSet" and ("Service", spec["serviceName"]) not in names:
        yield f"Service {spec['serviceName']} does not exist"


def _rights(pod, names):
    context = pod.get("securityContext", {})
    if not context.get("runAsNonRoot") or not context.get("runAsUser", 0) >= 1000:
        yield "may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "may call anything of the kernel"
    if any(pod.get(f"host{what}") for what in ("Network", "PID", "IPC")):
        yield "shares the node's own view"
    if pod.get("automountServiceAccountToken") is not False:
        yield "holds a token of the cluster"
    if ("ServiceAccount", pod.get("serviceAccountName")) not in names:
        yield "has no service account of its own"


def _container_rights(context):
    if context.get("readOnlyRootFilesystem") is not True:
        yield "its root file system can be written"
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield "may gain privileges"
    told = context.get("capabilities", {})
    if told.get("drop") != ["ALL"] or told.get("add"):
        yield "keeps capabilities"


def _resources(told):
    if not {"cpu", "memory"} <= set(told.get("requests", {})):
        yield "asks for no processor or memory"
    if "memory" not in told.get("limits", {}):
        yield "may take all memory of the node"


def _health(container):
    ports = {p["name"]: p["containerPort"] for p in container.get("ports", ())}
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        asked = container.get(probe, {}).get("httpGet", {})
        port = asked.get("port")
        if asked.get("path") != path or ports.get(port, port) != PORT:
            yield f"{probe} does not ask {path} on port {PORT}"


def _volumes(workload, pod, names):
    made = {c["metadata"]["name"] for c in workload["spec"].get("volumeClaimTemplates", ())}
    held = {v["name"] for v in pod["volumes"]} | made
    for container in pod["containers"]:
        for mount in container["volumeMounts"]:
            if mount["name"] not in held:
                yield f"there is no volume {mount['name']}"
    for volume in pod["volumes"]:
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"{volume['name']} may fill the node's disk"
        if "hostPath" in volume:
            yield f"{volume['name']} is a folder of the node"
        for kind, field, key in (
            ("ConfigMap", "configMap", "name"),
            ("Secret", "secret", "secretName"),
            ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName"),
        ):
            if field in volume and (kind, volume[field][key]) not in names:
                yield f"there is no {kind} {volume[field][key]}"
