"""The compose files: their schema, our own rules, and the settings of their broker on a real one."""

from __future__ import annotations

import copy
import os
import re
import subprocess

import pytest

from pipeline.model.errors import ConfigError
from pipeline.runtime.config import load
from pipeline.runtime.kafka.topics import init, verify
from tests.docker import calls, composed, manifests
from tests.docker.files import DOCKER, compose_file, documents, filled_in
from tests.kafka.broker import JAVA, Cluster, fetch, require

NAMES = ("compose.yaml", "compose.embedded.yaml")
ROLES = ("collect", "detect", "deliver", "serve")


@pytest.fixture(params=NAMES)
def either(request):
    return compose_file(request.param)


@pytest.fixture
def full():
    return compose_file("compose.yaml")


def test_both_files_keep_all_rules(either):
    assert composed.problems(either) == []


BROKEN = {
    "an unknown key": (("kafka", "healthchek"), {}, "healthchek"),
    "a wrong type": (("kafka", "deploy", "replicas"), [], "replicas"),
    "no version": (("kafka", "image"), "apache/kafka", "no fixed version"),
    "the newest": (("kafka", "image"), "apache/kafka:latest", "no fixed version"),
    "privileged": (("serve", "privileged"), True, "more rights"),
    "the host's network": (("serve", "network_mode"), "host", "more rights"),
    "capabilities": (("serve", "cap_drop"), [], "keeps capabilities"),
    "new privileges": (("serve", "security_opt"), [], "may gain privileges"),
    "never started again": (("serve", "restart"), None, "no restart policy"),
    "an endless log": (("serve", "logging", "options"), {}, "grows without end"),
    "no limits": (("serve", "deploy"), {}, "no limit"),
    "an open port": (("serve", "ports"), ["9464:9464"], "open to everybody"),
    "a secret by value": (
        ("grafana", "environment", "GF_SECURITY_ADMIN_PASSWORD"),
        "x",
        "by value",
    ),
    "no health check": (("kafka", "healthcheck"), None, "no health check"),
    "an undeclared volume": (("serve", "volumes"), ["x:/var/lib/outrider"], "x is not declared"),
    "an undeclared network": (("serve", "networks"), ["x"], "x is not declared"),
    "an undeclared secret": (("collect", "secrets"), ["x"], "x is not declared"),
    "waiting for nobody": (
        ("serve", "depends_on"),
        {"x": {"condition": "service_healthy"}},
        "does not exist",
    ),
    "waiting for a start": (
        ("serve", "depends_on", "kafka", "condition"),
        "service_started",
        "only to have started",
    ),
    "waiting for an end that never comes": (("init", "restart"), "always", "started again"),
    "waiting for no health": (("prometheus", "healthcheck"), {"disable": True}, "tells none"),
    "an unknown option": (("detect", "command"), ["detect", "--nme=x"], "No such option"),
    "an unknown command": (("detect", "command"), ["detct"], "No such command"),
    "another port": (("detect", "command", 1), "--listen=0.0.0.0:80", "port 9464 is asked"),
    "loopback only": (("detect", "command", 1), "--listen=127.0.0.1:9464", "port 9464 is asked"),
    "a writable root": (("detect", "read_only"), False, "root file system"),
    "state that is lost": (("deliver", "command", 1), "--out=/tmp", "no volume holds"),
    "writable logs": (("collect", "volumes", 1), "/srv/logs:/logs", "may write to /srv/logs"),
    "logs that are not there": (("collect", "command", 1), "/log", "reads /log, which"),
    "no configuration": (("detect", "configs"), [], "no configuration is put"),
    "a key that is not given": (("collect", "secrets"), ["grafana-password"], "not given to it"),
    "a token that is not given": (("serve", "secrets"), ["privacy-key"], "not given to it"),
}


@pytest.mark.parametrize(("path", "value", "told"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_file_is_told(path, value, told, full):
    broken = copy.deepcopy(full)  # what anchors share is changed in one place alone
    place = broken["services"]
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    assert told in "\n".join(composed.problems(broken))


def test_a_secret_that_might_be_committed_is_told(full):
    full["secrets"]["privacy-key"] = {"file": "./privacy-key"}
    assert "nothing is committed" in "\n".join(composed.problems(full))


def test_an_unused_volume_is_told(full):
    full["volumes"]["x"] = {}
    assert "x is not used" in "\n".join(composed.problems(full))


def test_a_key_that_stands_twice_is_told():
    with pytest.raises(Exception, match="image stands twice"):
        documents("a: {image: x, image: y}")


def test_a_folder_that_nobody_named_is_asked_for():
    text = (DOCKER / "compose.yaml").read_text("utf-8")
    with pytest.raises(KeyError, match="LOGS_FOLDER"):
        filled_in(text, {})
    assert filled_in("$$A ${B:-c} ${D}", {"D": "e"}) == "$A c e"


def test_secrets_are_kept_out_of_the_repository():
    assert (DOCKER / "secrets" / ".gitignore").read_text("utf-8").splitlines()[1:] == [
        "*",
        "!.gitignore",
    ]


def test_all_roles_run_and_workers_are_not_named_by_hand(full):
    services = full["services"]
    assert {s["command"][0] for s in services.values() if "outrider:" in s["image"]} == {
        *ROLES,
        "kafka",
    }
    assert services["init"]["command"] == ["kafka", "init"]
    # Each container has a host name of its own, and that names the worker: so it can be scaled.
    for role in ("detect", "deliver"):
        assert calls.option(services[role]["command"], "--name") is None, role
        assert not {"container_name", "hostname"} & set(services[role]), role


def test_a_worker_can_hold_what_the_other_one_held(full):
    sizes = {"M": 2**20, "G": 2**30}
    limit = full["services"]["detect"]["deploy"]["resources"]["limits"]["memory"]
    assert int(limit[:-1]) * sizes[limit[-1]] > manifests.WORKER_BYTES


def test_the_configuration_fits_the_broker(full):
    config = composed.config_of(full["services"]["detect"], full).kafka
    broker = full["services"]["kafka"]["environment"]
    assert [f"PLAINTEXT://{s}" for s in config.servers] == [broker["KAFKA_ADVERTISED_LISTENERS"]]
    assert config.replication == 1, "there is one broker"
    assert config.partitions >= full["services"]["detect"]["deploy"]["replicas"]
    # It lets everybody in, so nobody outside may reach it.
    assert full["services"]["kafka"]["networks"] == ["inside"]
    assert full["networks"]["inside"]["internal"] is True
    assert "ports" not in full["services"]["kafka"]


@pytest.mark.parametrize("name", ["outrider.toml", "outrider.embedded.toml"])
def test_a_typo_in_a_configuration_is_told(name, tmp_path):
    text = (DOCKER / name).read_text("utf-8")
    assert load(DOCKER / name, environ={}).backfill.workers == 2
    (tmp_path / name).write_text(text.replace("workers", "wrokers"), "utf-8")
    with pytest.raises(ConfigError, match="wrokers"):
        load(tmp_path / name, environ={})


LOGGERS = "Configuration: {Loggers: {Root: {level: INFO, AppenderRef: []}, Logger: []}}\n"


class Composed(Cluster):
    """A broker with the settings of the compose file, translated by the image's own program."""

    def __init__(self, folder, environment):
        super().__init__(folder)
        (folder / "given").mkdir()
        (folder / "mounted").mkdir()
        (folder / "final").mkdir()
        settings = {
            **environment,
            "KAFKA_LISTENERS": self.listeners(0),
            "KAFKA_ADVERTISED_LISTENERS": self.listeners(0).partition(",")[0],
            "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@127.0.0.1:{self.controllers[0]}",
            "KAFKA_LOG_DIRS": str(folder / "data"),
            "CLUSTER_ID": "b3V0cmlkZXItdGVzdHMtMg",
        }
        # What the image brings along is left out as soon as there are settings of one's own.
        for name in ("server.properties", "log4j2.yaml", "tools-log4j2.yaml"):
            (folder / "given" / name).write_text(LOGGERS if "log4j2" in name else "")
        command = [*JAVA, "kafka.docker.KafkaDockerWrapper", "setup"]
        command += ["--default-configs-dir", str(folder / "given")]
        command += ["--mounted-configs-dir", str(folder / "mounted")]
        command += ["--final-configs-dir", str(folder / "final")]
        known = {k: v for k, v in os.environ.items() if not k.startswith("KAFKA_")}
        env = {**known, **settings}
        done = subprocess.run(command, check=False, env=env, capture_output=True, timeout=60)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        self.properties = (folder / "final" / "server.properties").read_text("utf-8")
        (folder / "node0.properties").write_text(self.properties, "utf-8")


def test_a_real_broker_starts_with_these_settings_and_takes_our_topics(full, tmp_path):
    require()
    fetch()
    environment = full["services"]["kafka"]["environment"]
    given = {k: v for k, v in environment.items() if k != "KAFKA_HEAP_OPTS"}
    broker = Composed(tmp_path, given)
    try:
        broker.start()
        config = composed.config_of(full["services"]["init"], full).kafka
        there = config.model_copy(update={"servers": broker.servers})
        assert len(init(there)) >= 6
        assert verify(there) == config.partitions
        assert init(there) == []
    finally:
        broker.kill()
    lines = dict(re.findall(r"^([\w.]+)=(.*)$", broker.properties, re.MULTILINE))
    unknown = {k for k in given if k.removeprefix("KAFKA_").lower().replace("_", ".") not in lines}
    assert unknown == set()
