"""Rules for the compose files, beside the schema of the Compose specification."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.model.errors import ConfigError
from pipeline.runtime.config import load
from tests.docker import calls, schemas
from tests.docker.files import DOCKER

IMAGE = "outrider:"
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$")


def problems(composed):
    """What is wrong with a compose file."""
    errors = schemas.compose().iter_errors(composed)
    found = [f"{e.json_path}: {e.message}" for e in errors]
    if found:
        return found
    found = list(_names(composed))
    for name, service in composed["services"].items():
        found += [f"{name}: {told}" for told in _careful(service)]
        found += [f"{name}: {told}" for told in _order(service, composed["services"])]
        if service["image"].startswith(IMAGE):
            found += [f"{name}: {told}" for told in _role(service, composed)]
    return found


def _names(composed):
    """Volumes, networks, secrets and configurations: each is declared, and each is used."""
    for kind in ("volumes", "networks", "secrets", "configs"):
        used = {n for s in composed["services"].values() for n in _used(s, kind)}
        declared = set(composed.get(kind, {}))
        for name in sorted(used ^ declared):
            yield f"{kind}: {name} is {'not declared' if name in used else 'not used'}"
    for name, secret in composed.get("secrets", {}).items():
        if not str(secret.get("file", "")).startswith("./secrets/"):
            yield f"secrets: {name} is no file below secrets/, where nothing is committed"


def _used(service, kind):
    for entry in service.get(kind) or ():
        name = entry["source"] if isinstance(entry, dict) else entry.partition(":")[0]
        if not name.startswith((".", "/")):
            yield name


def _careful(service):
    yield from _rights(service)
    yield from _bounds(service)
    for port in service.get("ports", ()):
        if not str(port).startswith("127.0.0.1:"):
            yield f"port {port} is open to everybody"
    for name in service.get("environment", {}):
        if SECRET.search(name) and not name.endswith("_FILE"):
            yield f"{name} is a secret by value"
    if "healthcheck" not in service and not service["image"].startswith(IMAGE):
        yield "has no health check"


def _rights(service):
    if service.get("privileged") or service.get("network_mode") == "host":
        yield "has more rights than it needs"
    if service.get("cap_drop") != ["ALL"] or service.get("cap_add"):
        yield "keeps capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", ()):
        yield "may gain privileges"


def _bounds(service):
    if not re.search(r"\d+\.\d+", service["image"].partition(":")[2]):
        yield f"image {service['image']} has no fixed version"
    if "restart" not in service:
        yield "has no restart policy"
    if not {"max-size", "max-file"} <= set(service.get("logging", {}).get("options", {})):
        yield "its log grows without end"
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    if not {"cpus", "memory", "pids"} <= set(limits):
        yield "has no limit of processors, memory or processes"


def _order(service, services):
    for name, told in service.get("depends_on", {}).items():
        other = services.get(name)
        if other is None:
            yield f"waits for {name}, which does not exist"
        elif told["condition"] == "service_started":
            yield f"waits for {name} only to have started"
        elif told["condition"] == "service_completed_successfully" and other["restart"] != "no":
            yield f"waits for the end of {name}, which is started again"
        elif told["condition"] == "service_healthy" and not has_health(other):
            yield f"waits for the health of {name}, which tells none"


def has_health(service):
    """Whether anybody asks for its health; the image of the project brings a check along."""
    check = service.get("healthcheck", {"test": ["CMD"]} if IMAGE in service["image"] else {})
    return "test" in check and not check.get("disable")


def config_of(service, composed):
    """The configuration that a service of ours reads."""
    place = service.get("environment", {}).get("OUTRIDER_CONFIG")
    for entry in service.get("configs", ()):
        if entry["target"] == place:
            return load(DOCKER / composed["configs"][entry["source"]]["file"], environ={})
    raise ConfigError(f"OUTRIDER_CONFIG names {place}, where no configuration is put")


def _role(service, composed):
    words = service["command"]
    yield from calls.problems(words)
    if service.get("read_only") is not True:
        yield "its root file system can be written"
    yield from _folders(service)
    try:
        config = config_of(service, composed)
    except ConfigError as error:
        yield str(error)
        return
    read = {
        "collect": config.privacy.key_file,
        "run": config.privacy.key_file,
        "serve": config.serve.token_file,
    }
    if words[0] not in read:
        return
    path = read[words[0]]
    if path is None:
        yield "no file is named for the secret that it needs"
    elif path.name not in service.get("secrets", ()) or path.parent != Path("/run/secrets"):
        yield f"the secret {path} is not given to it"


def _folders(service):
    """What it reads is mounted, read-only; what it writes is kept in a volume."""
    words, volumes = service["command"], service.get("volumes", ())
    writable = [v.split(":")[1] for v in volumes if not v.endswith(":ro")]
    state = calls.option(words, "--state", "--out")
    if state is not None and state not in writable:
        yield f"writes to {state}, which no volume holds"
    for volume in volumes:
        if volume.startswith("/") and not volume.endswith(":ro"):
            yield f"may write to {volume.partition(':')[0]}"
    mounted = [v.split(":")[1] for v in volumes]
    for path in [*words, calls.option(words, "--advisories") or ""]:
        if path.startswith("/") and path not in mounted:
            yield f"reads {path}, which is not mounted"
