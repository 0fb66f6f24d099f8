"""The image: held to hadolint, to our own rules, and its health check asked for real."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths
from packaging.requirements import Requirement

from pipeline.runtime.health import Health, HealthServer
from pipeline.runtime.metrics import Metrics
from tests.docker import image
from tests.docker.files import DOCKER, ROOT

PATH = DOCKER / "Dockerfile"
BROKEN = {
    "no tag": ("python:${PYTHON}\nARG", "python\nARG", "DL3006"),
    "the newest": ("python:${PYTHON}\nARG", "python:latest\nARG", "DL3007"),
    "root": ("USER 10001:10001", "USER root", "DL3002"),
    "shell form": ('ENTRYPOINT ["outrider"]', "ENTRYPOINT outrider", "DL3025"),
    "pip's cache": ("--no-cache-dir --only", "--only", "pip keeps a cache"),
    "a wrong port": ("EXPOSE 9464", "EXPOSE 99464", "DL3011"),
    "a shell's mistake": ("groupadd --gid 10001 outrider", "[ $x = 1 ] && true", "SC2086"),
    "a user by name": ("USER 10001:10001", "USER outrider", "user 'outrider'"),
    "no hashes": ("--require-hashes ", "", "without --require-hashes"),
    "a compiler's work": ("--only-binary=:all: ", "", "without --only-binary"),
    "no lock": ("-r requirements.lock", "numpy==2.0.0", "without -r requirements.lock"),
    "a large base": ("FROM python:${PYTHON} AS", "FROM python:3.11 AS", "not a slim base"),
    "a compiler": ("RUN groupadd", "RUN apt-get install gcc && groupadd", "the last stage holds"),
    "the whole context": ("COPY --from=build /opt/outrider", "COPY .", "copies from elsewhere"),
    "no volume": ("VOLUME /var/lib/outrider\n", "", "0 volumes"),
    "two volumes": ("USER 10001", "VOLUME /cache\nUSER 10001", "2 volumes"),
    "a cache elsewhere": ("XDG_CACHE_HOME=/var/lib/outrider", "XDG_CACHE_HOME=/root", "XDG_CACHE"),
    "bytecode": ("PYTHONDONTWRITEBYTECODE=1", "PYTHONDONTWRITEBYTECODE=", "bytecode"),
    "a shell": ('ENTRYPOINT ["outrider"]', 'ENTRYPOINT ["sh", "-c"]', "keep signals"),
    "CMD in shell form": ('CMD ["--help"]', "CMD --help", "CMD is in shell form"),
    "health by curl": ('CMD ["python", "-I", "-c"', 'CMD ["curl", "-f"', "with Python"),
    "another address": ("'/healthz'", "'/readyz'", "no health check"),
    "no licence": ("image.licenses", "image.licence", "image.licenses"),
}


def found_in(path):
    return [*image.hadolint(path), *image.problems(image.instructions(path))]


def test_the_dockerfile_keeps_all_rules():
    assert found_in(PATH) == []


@pytest.mark.parametrize(("old", "new", "told"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_dockerfile_is_told(old, new, told, tmp_path):
    text = PATH.read_text("utf-8")
    assert old in text
    broken = tmp_path / "broken"
    broken.write_text(text.replace(old, new), "utf-8")
    assert told in "\n".join(found_in(broken))


def test_one_stage_is_told(tmp_path):
    (tmp_path / "broken").write_text("FROM python:3.11-slim\nRUN true\n", "utf-8")
    assert "one stage" in "\n".join(found_in(tmp_path / "broken"))


def test_the_version_is_that_of_the_project():
    stages = image.instructions(PATH)
    assert image.settings(stages[-1], "ARG")["VERSION"] == image.project_version()


def health(port):
    command = image.health_command(image.instructions(PATH)[-1])
    asked = [sys.executable, *(w.replace("9464", str(port)) for w in command[1:])]
    assert asked[-1] != command[-1]
    return subprocess.run(asked, check=False, capture_output=True, timeout=30).returncode


def test_the_health_check_tells_a_turning_loop_from_a_stuck_one():
    state = Health()
    with HealthServer("127.0.0.1:0", state, Metrics()) as server:
        assert health(server.port) == 0
        state.turned_at -= 3600
        assert health(server.port) == 1
    assert health(server.port) == 1, "nobody listens any more"


def context(ignore):
    return exclude_paths(str(ROOT), ignore, dockerfile="docker/Dockerfile")


def patterns():
    lines = (DOCKER / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def copied():
    """What the build takes from the context."""
    for stage in image.instructions(PATH):
        for value in image.values(stage, "COPY"):
            if not value.startswith("--from"):
                yield from (word for word in value.split()[:-1])


def test_the_context_holds_what_is_built_and_little_else():
    sent = {Path(p) for p in context(patterns()) if (ROOT / p).is_file()} - {
        Path("docker/Dockerfile"),  # it is always sent
        Path("docker/Dockerfile.dockerignore"),
        Path(".dockerignore"),
    }
    wanted = set(copied())
    assert {p.parts[0] for p in sent} == wanted
    assert not [p for p in sent if p.suffix == ".pyc"]
    assert sum((ROOT / p).stat().st_size for p in sent) < 8 * 2**20


def test_a_context_without_the_list_is_seen_to_be_large():
    assert {"tests", "docs"} <= {Path(p).parts[0] for p in context(["**/.venv", "**/.git"])}


def needed(names):
    """Distributions that the named ones need, with themselves."""
    found = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        for text in requires(name) or ():
            told = Requirement(text)
            if told.marker is None or told.marker.evaluate({"extra": ""}):
                waiting.append(told.name)
    return found


def locked():
    """Distributions that the image holds."""
    text = (ROOT / "requirements.lock").read_text("utf-8")
    return set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))


def test_traces_can_be_sent_from_the_image():
    # Nothing can be installed into it: its root file system is read-only.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = needed(Requirement(text).name for text in project["optional-dependencies"]["otel"])
    assert "opentelemetry-sdk" in wanted
    assert wanted - locked() == set()


def test_what_is_taken_out_again_is_needed_by_the_build_alone():
    runs = " ".join(image.values(image.instructions(PATH)[0], "RUN"))
    gone = set(runs.partition("uninstall --yes ")[2].partition("&&")[0].split())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    kept = needed(Requirement(text).name for text in project["dependencies"])
    assert {"numpy", "typing-extensions"} <= kept
    assert gone == needed({"hatchling"}) - kept
