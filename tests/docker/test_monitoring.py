"""What watches a run: scraping, alerts and the dashboard, held to the metrics that exist."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.docker import calls, manifests, promtool, watching
from tests.docker.files import DOCKER, compose_file, document

ROLES = ["collect", "deliver", "detect", "serve"]
RULES = DOCKER / "prometheus" / "alerts.yaml"
GONE = DOCKER / "prometheus" / "roles.yaml"
CLUSTER = DOCKER / "prometheus" / "kubernetes.yaml"
SCRAPING = DOCKER / "prometheus" / "prometheus.yaml"
BOARD = DOCKER / "grafana" / "dashboards" / "outrider.json"
PROVISIONED = DOCKER / "grafana" / "provisioning"


@pytest.fixture
def rules():
    return document(RULES)


@pytest.fixture
def scraping():
    return document(SCRAPING)


@pytest.fixture
def board():
    return json.loads(BOARD.read_text("utf-8"))


@pytest.fixture
def sources():
    told = document(PROVISIONED / "datasources" / "prometheus.yaml")
    return {s["uid"]: s for s in told["datasources"]}


def changed(told, path, value):
    broken = copy.deepcopy(told)
    place = broken
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return broken


@pytest.mark.parametrize("path", [RULES, GONE], ids=lambda p: p.name)
def test_every_alert_can_be_asked_and_says_what_to_do(path):
    assert list(watching.alert_problems(document(path))) == []


FIRST = ("groups", 0, "rules", 0)
BROKEN_ALERTS = {
    "no PromQL": ((*FIRST, "expr"), "sum by (job (up)", "no PromQL"),
    "no such metric": ((*FIRST, "expr"), "outrider_lag > 1", "no metric outrider_lag"),
    "a counter without its ending": (
        (*FIRST, "expr"),
        "rate(outrider_failures[5m]) > 0",
        "no metric outrider_failures",
    ),
    "no such label": ((*FIRST, "expr"), 'up{tenant="x"} == 0', "up has no label tenant"),
    "adding up by no label": (
        (*FIRST, "expr"),
        "sum by (feed) (outrider_lag_messages) > 0",
        "feed is no label",
    ),
    "a text that names what is gone": (
        (*FIRST, "expr"),
        "sum by (job) (up) == 0",
        "names the label instance",
    ),
    "a text that names what is not there": (
        (*FIRST, "expr"),
        'absent(up{job="x"})',
        "names the label instance",
    ),
    "no duration": ((*FIRST, "for"), "5 minutes", "is no duration"),
    "no severity": ((*FIRST, "labels"), {}, "has no severity"),
    "no description": ((*FIRST, "annotations", "description"), None, "wants a summary"),
    "an unknown key": ((*FIRST, "fore"), "5m", "unknown key fore"),
    "one name twice": ((*FIRST, "alert"), "OutriderLate", "OutriderLate stands twice"),
}


@pytest.mark.parametrize(("path", "value", "told"), BROKEN_ALERTS.values(), ids=list(BROKEN_ALERTS))
def test_a_broken_alert_is_told(path, value, told, rules):
    assert told in "\n".join(watching.alert_problems(changed(rules, path, value)))


def test_what_an_operator_must_hear_of_has_an_alert(rules):
    asked = " ".join(r["expr"] for r in rules["groups"][0]["rules"])
    for metric in (
        "up",
        "outrider_commits_total",
        "outrider_lag_messages",
        "outrider_watermark_delay_seconds",
        "outrider_failures_total",
        "outrider_sink_failures_total",
        "outrider_dead_letters_total",
    ):
        assert re.search(rf"\b{metric}\b", asked), metric


@pytest.mark.parametrize("cases", ["alerts.test.yaml", "roles.test.yaml"])
def test_alerts_fire_and_keep_quiet_when_they_should(cases):
    command = [promtool.find(), "test", "rules", str(Path(__file__).with_name(cases))]
    done = subprocess.run(command, check=False, capture_output=True, timeout=120)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def test_a_missing_promtool_is_a_failure_where_it_is_needed(monkeypatch):
    monkeypatch.setattr(promtool, "REQUIRED", True)
    monkeypatch.setattr(promtool.shutil, "which", lambda *_, **__: None)
    with pytest.raises(pytest.fail.Exception, match="comes with Prometheus"):
        promtool.find()


def test_a_run_in_one_process_misses_no_role(rules):
    # It has none of the four jobs: a rule of `absent` would fire for ever.
    assert [r["alert"] for r in rules["groups"][0]["rules"] if "absent" in r["expr"]] == []


def test_each_job_is_missed_when_it_is_gone(scraping):
    asked = [r["expr"] for r in document(GONE)["groups"][0]["rules"]]
    jobs = [j["job_name"] for j in scraping["scrape_configs"]]
    assert sorted(asked) == sorted(f'absent(up{{job="{job}"}})' for job in jobs)


def test_in_a_cluster_each_role_has_the_job_that_the_rules_know():
    found = set()
    for job in document(CLUSTER)["scrape_configs"]:
        for labels in watching.found_pods(manifests.built("base")):
            if (named := watching.relabelled(job, labels)) is not None:
                found.add((named["job"], labels[watching.COMPONENT], "authorization" in job))
    assert found == {(f"outrider-{role}", role, role == "serve") for role in ROLES}
    assert document(CLUSTER)["rule_files"] == [RULES.name, GONE.name]


def test_prometheus_asks_every_role(scraping):
    assert list(watching.scrape_problems(scraping, ROLES, calls.PORT)) == []
    assert scraping["rule_files"] == [RULES.name, GONE.name]


BROKEN_SCRAPING = {
    "an unknown key": (("scrape_config",), [], "unknown key scrape_config"),
    "no duration": (("global", "scrape_interval"), "15", "is no duration"),
    "another port": (
        ("scrape_configs", 0, "dns_sd_configs", 0, "port"),
        9090,
        "asks port 9090",
    ),
    "another role": (
        ("scrape_configs", 0, "dns_sd_configs", 0, "names"),
        ["colect"],
        "asks ['colect']",
    ),
    "a role too few": (("scrape_configs", 0), None, "and there are"),
}


@pytest.mark.parametrize(
    ("path", "value", "told"), BROKEN_SCRAPING.values(), ids=list(BROKEN_SCRAPING)
)
def test_broken_scraping_is_told(path, value, told, scraping):
    broken = changed(scraping, path, value)
    assert told in "\n".join(watching.scrape_problems(broken, ROLES, calls.PORT))


def test_the_token_that_prometheus_shows_is_one_that_it_is_given(scraping):
    service = compose_file("compose.yaml")["services"]["prometheus"]
    named = [
        j["authorization"]["credentials_file"]
        for j in scraping["scrape_configs"]
        if "authorization" in j
    ]
    assert named == [f"/run/secrets/{s}" for s in service["secrets"]]


def test_the_dashboard_shows_what_exists(board, sources):
    assert list(watching.dashboard_problems(board, sources)) == []


PANEL = ("panels", 1)
BROKEN_BOARD = {
    "no such metric": (
        (*PANEL, "targets", 0, "expr"),
        "sum(outrider_evnts_total)",
        "no metric outrider_evnts_total",
    ),
    "no PromQL": ((*PANEL, "targets", 0, "expr"), "sum(", "no PromQL"),
    "an unknown legend": ((*PANEL, "targets", 0, "legendFormat"), "{{sink}}", "names sink"),
    "no query": ((*PANEL, "targets"), [], "asks nothing"),
    "no description": ((*PANEL, "description"), "", "does not say"),
    "another source": ((*PANEL, "datasource", "uid"), "x", "x is not provisioned"),
    "another source of a query": (
        (*PANEL, "targets", 0, "datasource", "uid"),
        "x",
        "x is not provisioned",
    ),
    "another source of a variable": (
        ("templating", "list", 0, "datasource", "uid"),
        "x",
        "variable job",
    ),
    "one id twice": ((*PANEL, "id"), 1, "id 1 stands twice"),
    "one over another": (("panels", 2, "gridPos", "x"), 0, "lies over another"),
    "too wide": ((*PANEL, "gridPos", "w"), 25, "wider than the page"),
}


@pytest.mark.parametrize(("path", "value", "told"), BROKEN_BOARD.values(), ids=list(BROKEN_BOARD))
def test_a_broken_dashboard_is_told(path, value, told, board, sources):
    broken = changed(board, path, value)
    assert told in "\n".join(watching.dashboard_problems(broken, sources))


def test_every_metric_has_a_place_in_the_dashboard(board):
    families = {re.sub(r"_(total|bucket|sum|count)$", "", n) for n in watching.exposed()}
    shown = {re.sub(r"_(total|bucket)$", "", n) for n in watching.asked_for(board)}
    assert families - shown == set()


def test_grafana_finds_what_is_provisioned(sources):
    services = compose_file("compose.yaml")["services"]
    mounted = {v.split(":")[1]: v.split(":")[0] for v in services["grafana"]["volumes"]}
    (provider,) = document(PROVISIONED / "dashboards" / "outrider.yaml")["providers"]
    folder = DOCKER / mounted[provider["options"]["path"]]
    assert BOARD.resolve() in [p.resolve() for p in folder.iterdir()]
    assert (DOCKER / mounted["/etc/grafana/provisioning"]).resolve() == PROVISIONED.resolve()
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{BOARD.name}"
    assert [s["url"] for s in sources.values()] == ["http://prometheus:9090"]
    command = services["prometheus"]["command"]
    assert f"--config.file=/etc/prometheus/{SCRAPING.name}" in command
    assert "./prometheus:/etc/prometheus:ro" in services["prometheus"]["volumes"]
