"""Rules for what watches: Prometheus' files and the dashboard, by the metrics that exist."""

from __future__ import annotations

import re

import promql_parser
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from pipeline.runtime.metrics import Metrics

# What Prometheus itself knows of each target, and of its alerts.
TARGET = {"job", "instance"}
_META = "__meta_kubernetes_pod_"
COMPONENT = f"{_META}label_app_kubernetes_io_component"
BUILT_IN = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity"}}
SEVERITIES = {"critical", "warning"}
_EQUAL = promql_parser.MatchOp.Equal
_UNIT = r"(?:ms|[smhdwy])"
_DURATION = re.compile(rf"(\d+{_UNIT})+")
_TEMPLATE = re.compile(r"\{\{\s*\$labels\.(\w+)")
_LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def exposed():
    """Labels of every series that the program exposes, by its name as Prometheus reads it."""
    metrics = Metrics()
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase) and metric._labelnames:
            metric.labels(*metric._labelnames)  # without a child there is no series
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {name: labels for name, labels in found.items() if not name.endswith("_created")}


class Query:
    """One PromQL expression: the series it asks for, and the labels of its result.

    Raises:
        ValueError: it is none.
    """

    def __init__(self, text, known):
        self.known = known
        self.problems = []
        self.metrics = set()
        plain = text.replace("$__rate_interval", "5m").replace("$job", "outrider.*")
        self.labels = self._visit(promql_parser.parse(plain))

    def _visit(self, node):
        """Labels of what a part of the expression gives; None for a number or a text."""
        kind = type(node).__name__
        if kind == "AggregateExpr":
            return self._aggregate(node)
        if kind in {"VectorSelector", "MatrixSelector"}:
            return self._series(getattr(node, "vector_selector", node))
        if kind == "Call" and node.func.name == "absent":
            self._visit(node.args[0])
            return {m.name for m in node.args[0].matchers.matchers if m.op == _EQUAL}
        parts = {
            "BinaryExpr": lambda: (node.lhs, node.rhs),
            "Call": lambda: node.args,
            "ParenExpr": lambda: (node.expr,),
            "SubqueryExpr": lambda: (node.expr,),
            "UnaryExpr": lambda: (node.expr,),
        }.get(kind, tuple)()
        found = [self._visit(part) for part in parts]
        return next((f for f in found if f is not None), None)

    def _series(self, node):
        labels = self.known.get(node.name)
        self.metrics.add(node.name)
        if labels is None:
            self.problems.append(f"there is no metric {node.name}")
            return TARGET
        for matcher in node.matchers.matchers:
            if matcher.name not in labels | TARGET:
                self.problems.append(f"{node.name} has no label {matcher.name}")
        return labels | TARGET

    def _aggregate(self, node):
        inner = self._visit(node.expr)
        wanted = set(node.modifier.labels) if node.modifier is not None else set()
        for label in sorted(wanted - (inner or set())):
            self.problems.append(f"{label} is no label of what is added up")
        return wanted


def query(text, known):
    """A query, or what is wrong with its grammar."""
    try:
        return Query(text, known), []
    except ValueError as error:
        return None, [f"no PromQL: {text}: {str(error).splitlines()[0]}"]


def alert_problems(rules):
    """What is wrong with a file of alert rules."""
    known = {**exposed(), **BUILT_IN}
    names = []
    for group in rules["groups"]:
        for rule in group["rules"]:
            names.append(rule.get("alert"))
            found = _rule(rule, known)
            yield from (f"{rule.get('alert')}: {told}" for told in found)
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"{name} stands twice"


def _rule(rule, known):
    unknown = set(rule) - {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
    if unknown:
        yield f"unknown key {min(unknown)}"
    if not _DURATION.fullmatch(rule.get("for", "0s")):
        yield f"{rule['for']} is no duration"
    if rule.get("labels", {}).get("severity") not in SEVERITIES:
        yield "has no severity"
    told = rule.get("annotations", {})
    if set(told) != {"summary", "description"}:
        yield "wants a summary and a description"
    asked, problems = query(rule["expr"], known)
    yield from problems
    if asked is None:
        return
    yield from asked.problems
    for name in _TEMPLATE.findall(" ".join(told.values())):
        if name not in (asked.labels or set()):
            yield f"its text names the label {name}, which its result lacks"


def scrape_problems(config, roles, port):
    """What is wrong with the scrape configuration, given the roles and their port."""
    unknown = set(config) - {"global", "rule_files", "scrape_configs"}
    if unknown:
        yield f"unknown key {min(unknown)}"
    for name, value in config["global"].items():
        if name not in {"scrape_interval", "evaluation_interval"}:
            yield f"global: unknown key {name}"
        elif not _DURATION.fullmatch(value):
            yield f"global: {value} is no duration"
    asked = []
    for job in config["scrape_configs"]:
        unknown = set(job) - {"job_name", "dns_sd_configs", "authorization"}
        if unknown:
            yield f"{job['job_name']}: unknown key {min(unknown)}"
        (place,) = job["dns_sd_configs"]
        asked += place["names"]
        if [job["job_name"]] != [f"outrider-{name}" for name in place["names"]]:
            yield f"{job['job_name']}: asks {place['names']}"
        if (place["type"], place["port"]) != ("A", port):
            yield f"{job['job_name']}: asks port {place['port']} by {place['type']}"
    if sorted(asked) != sorted(roles):
        yield f"asks {sorted(asked)}, and there are {sorted(roles)}"


def found_pods(objects):
    """What Prometheus finds out about each port of the pods of some manifests."""
    for told in objects:
        template = told.get("spec", {}).get("template")
        if template is None:
            continue
        labels = {
            f"{_META}label_{re.sub(r'[^0-9A-Za-z_]', '_', name)}": value
            for name, value in template["metadata"]["labels"].items()
        }
        for container in template["spec"]["containers"]:
            for port in container.get("ports", ()):
                yield {**labels, f"{_META}name": "x-0", f"{_META}container_port_name": port["name"]}


def relabelled(job, labels):
    """Labels of a target by the rules of a job; None if it is left out. We keep and replace."""
    labels = {"job": job["job_name"], **labels}
    for rule in job["relabel_configs"]:
        text = ";".join(labels[name] for name in rule["source_labels"])
        match = re.fullmatch(rule.get("regex", "(.*)"), text)
        if rule.get("action") == "keep":
            if match is None:
                return None
        elif match is not None:
            value = rule.get("replacement", "$1").replace("$1", match[1])
            labels[rule["target_label"]] = value
    return labels


def dashboard_problems(board, sources):
    """What is wrong with a dashboard, given the provisioned data sources by uid."""
    known = {**exposed(), **BUILT_IN}
    seen, places = set(), []
    for panel in board["panels"]:
        title = panel.get("title")
        if panel["id"] in seen:
            yield f"{title}: id {panel['id']} stands twice"
        seen.add(panel["id"])
        yield from (f"{title}: {told}" for told in _overlap(panel["gridPos"], places))
        places.append(panel["gridPos"])
        if panel["type"] != "row":
            yield from (f"{title}: {told}" for told in _panel(panel, known, sources))
    for variable in board["templating"]["list"]:
        if variable["datasource"]["uid"] not in sources:
            yield f"variable {variable['name']}: data source {variable['datasource']['uid']}"


def _overlap(place, places):
    if place["x"] + place["w"] > 24:
        yield "is wider than the page"
    for other in places:
        apart = (
            place["x"] >= other["x"] + other["w"]
            or other["x"] >= place["x"] + place["w"]
            or place["y"] >= other["y"] + other["h"]
            or other["y"] >= place["y"] + place["h"]
        )
        if not apart:
            yield "lies over another panel"


def _panel(panel, known, sources):
    if not panel.get("targets"):
        yield "asks nothing"
    if not panel.get("description"):
        yield "does not say what it shows"
    for told in (panel, *panel.get("targets", ())):
        if told["datasource"]["uid"] not in sources:
            yield f"data source {told['datasource']['uid']} is not provisioned"
    for target in panel.get("targets", ()):
        asked, problems = query(target["expr"], known)
        yield from problems
        if asked is None:
            continue
        yield from asked.problems
        for name in _LEGEND.findall(target.get("legendFormat", "")):
            if name not in (asked.labels or set()):
                yield f"its legend names {name}, which its result lacks"


def asked_for(board):
    """Names of all metrics that a dashboard asks for."""
    known = {**exposed(), **BUILT_IN}
    targets = (t for p in board["panels"] for t in p.get("targets", ()))
    return {name for t in targets for name in query(t["expr"], known)[0].metrics}
