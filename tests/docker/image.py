"""Rules for the Dockerfile, beside those of hadolint."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from dockerfile_parse import DockerfileParser

from tests.docker.files import ROOT

LABELS = {"title", "description", "licenses", "version", "revision"}
COMPILERS = re.compile(r"\b(apt-get|apk|gcc|g\+\+|make|build-essential|curl|wget)\b")


def hadolint(path):
    """Codes and lines of what hadolint finds."""
    tool = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert tool, "hadolint is missing; install the development requirements"
    command = [tool, "--no-color", "--format=json", "--no-fail", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return [f"{f['code']} line {f['line']}: {f['message']}" for f in json.loads(done.stdout)]


def instructions(path):
    """Instructions of each stage, as (name, value)."""
    parser = DockerfileParser(fileobj=io.BytesIO(path.read_bytes()))
    stages = []
    for entry in parser.structure:
        if entry["instruction"] == "COMMENT":
            continue
        if entry["instruction"] == "FROM":
            stages.append([])
        if stages:
            stages[-1].append((entry["instruction"], entry["value"]))
    return stages


def values(stage, name):
    """Values of all instructions of one name."""
    return [v for n, v in stage if n == name]


def settings(stage, name):
    """``NAME=value`` pairs of ENV, LABEL or ARG."""
    found = {}
    for value in values(stage, name):
        for key, quoted, plain in re.findall(r'([\w.]+)=(?:"([^"]*)"|(\S*))', value):
            found[key] = quoted or plain
    return found


def exec_form(value):
    """The words of an instruction in exec form, None if it is in shell form."""
    try:
        words = json.loads(value)
    except json.JSONDecodeError:
        return None
    return words if isinstance(words, list) and words else None


def health_command(stage):
    """The words that ask for the health, None if there are none in exec form."""
    for value in values(stage, "HEALTHCHECK"):
        _, found, command = value.partition("CMD ")
        if found:
            return exec_form(command)
    return None


def problems(stages):
    """What is wrong with the image."""
    final = stages[-1]
    return [*_build(stages), *_user_and_state(final), *_start(final)]


def _build(stages):
    if len(stages) < 2:
        yield "one stage: what builds would stay in the image"
        return
    runs = [r for stage in stages for v in values(stage, "RUN") for r in v.split("&&")]
    installs = [r for r in runs if re.search(r"\bpip\b.* install ", r)]
    for wanted in ("--require-hashes", "-r requirements.lock", "--only-binary=:all:"):
        if not installs or wanted not in installs[0]:
            yield f"the packages are installed without {wanted}"
    if not all("--no-cache-dir" in r for r in installs):
        yield "pip keeps a cache: install with --no-cache-dir"
    for stage in stages:
        if "slim" not in values(stage, "FROM")[0] and "PYTHON" not in values(stage, "FROM")[0]:
            yield f"not a slim base: {values(stage, 'FROM')[0]}"
    found = COMPILERS.search(" ".join(values(stages[-1], "RUN")))
    if found:
        yield f"the last stage holds {found[0]}"
    if not all(v.startswith("--from=build ") for v in values(stages[-1], "COPY")):
        yield "the last stage copies from elsewhere than the build"


def _user_and_state(final):
    user = (values(final, "USER") or [""])[-1]
    if not re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user):
        yield f"user {user!r}: want two numbers that are not root's"
    volumes = values(final, "VOLUME")
    if len(volumes) != 1:
        yield f"{len(volumes)} volumes: want one for everything that is written"
        return
    environment = settings(final, "ENV")
    for name, value in (
        ("WORKDIR", (values(final, "WORKDIR") or [""])[-1]),
        ("XDG_CACHE_HOME", environment.get("XDG_CACHE_HOME", "")),
    ):
        if not f"{value}/".startswith(f"{volumes[0]}/"):
            yield f"{name} is not below the volume {volumes[0]}"
    if environment.get("PYTHONDONTWRITEBYTECODE") != "1":
        yield "bytecode would be written into the image's own folders"


def _start(final):
    entry = [exec_form(v) for v in values(final, "ENTRYPOINT")]
    if entry != [["outrider"]]:
        yield 'the entry point is not ["outrider"]: a shell would keep signals to itself'
    if any(exec_form(v) is None for v in values(final, "CMD")):
        yield "CMD is in shell form"
    health = health_command(final)
    if not health or health[0] != "python" or "/healthz" not in health[-1]:
        yield "no health check that asks /healthz with Python"
    labels = settings(final, "LABEL")
    missing = sorted(LABELS - {k.rpartition(".")[2] for k in labels})
    if missing:
        yield f"no label org.opencontainers.image.{missing[0]}"


def project_version():
    """The version in pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return re.findall(r'^version = "(.+)"$', text, re.MULTILINE)[0]
