"""The one table of what to do with an answer: whole, unambiguous, and as the documents show it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from connectors.sinks.rules import EVERYBODY, Rule, rows_for_reading, rule_for, rules
from pipeline.model.errors import AuthError, FatalError, RetriableError, ThrottledError
from tests.services.splunk import REPLIES

OUTPUTS = (Path(__file__).parents[2] / "docs/outputs.md").read_text("utf-8").splitlines()
HTTP = (200, 202, 204, 302, 400, 401, 403, 404, 408, 413, 418, 422, 429, 500, 502, 503, 504)


def test_no_answer_has_two_rows():
    counted = Counter((r.destination, r.status, r.code) for r in rules())
    assert [key for key, count in counted.items() if count > 1] == []


def test_a_remedy_stands_where_a_person_has_to_act_and_only_there():
    assert [r for r in rules() if (r.then == "fatal") != bool(r.remedy)] == []
    assert [r for r in rules() if not r.meaning] == []


@pytest.mark.parametrize("status", HTTP)
def test_everybody_has_a_row_for_each_status(status):
    assert rule_for(EVERYBODY, status).meaning != "an answer that nobody knows"


def test_what_nobody_knows_is_tried_again():
    assert rule_for("splunk", 100).then == "retry"
    assert rule_for("no such destination", 999, "code").then == "retry"


@pytest.mark.parametrize(
    ("code", "then"),
    [
        *((code, "retry") for code in (8, 9, 18, 19, 20)),
        *((code, "split") for code in (6, 12, 13, 15)),
        *((code, "fatal") for code in (1, 2, 3, 4, 7, 10, 11, 14, 16)),
        (0, "accepted"),
        (5, "reject"),
        (17, "accepted"),
    ],
)
def test_each_code_of_splunk_has_its_row(code, then):
    status, _ = REPLIES[code]
    rule = rule_for("splunk", status, str(code))
    assert (rule.then, rule.status, rule.code) == (then, str(status), str(code))


def test_a_code_tells_more_than_a_status():
    assert rule_for("splunk", 503, "4").then == "fatal"
    assert rule_for("splunk", 503, "99").then == "retry"
    assert rule_for("sentinel", 400, "InvalidStream").then == "fatal"
    assert rule_for("sentinel", 400, "Another").then == "split"


def test_a_credential_and_a_pace_have_errors_of_their_own():
    assert type(rule_for("splunk", 403, "4").trouble("x", "y")) is AuthError
    assert type(rule_for("splunk", 400, "7").trouble("x", "y")) is FatalError
    throttled = rule_for("sentinel", 429).trouble("Sentinel", "HTTP 429", 7.0)
    assert type(throttled) is ThrottledError
    assert throttled.retry_after == 7.0
    later = rule_for("elastic", 503).trouble("Elasticsearch", "HTTP 503")
    assert type(later) is RetriableError
    assert later.retry_after == 30.0
    assert str(later) == "Elasticsearch: a failure of its own (HTTP 503)"


def test_a_remedy_ends_the_message():
    rule = Rule("x", "404", "", "fatal", "nothing is at this address", "check the address")
    told = str(rule.trouble("x.main", "HTTP 404"))
    assert told == "x.main: nothing is at this address (HTTP 404); check the address"


def test_the_documents_show_every_row_under_its_destination():
    for name in dict.fromkeys(r.destination for r in rules()):
        heading = f"### Answers: {name}"
        assert heading in OUTPUTS, f"docs/outputs.md lacks '{heading}'"
        at = OUTPUTS.index(heading)
        shown = []
        for line in OUTPUTS[at + 1 :]:
            if line.startswith("#"):
                break
            shown += [line] if line.startswith("|") else []
        wanted = ["| status | code | then | meaning and remedy |", "|---|---|---|---|"]
        wanted += rows_for_reading(name)
        assert shown == wanted, "docs/outputs.md differs; it should be:\n" + "\n".join(wanted)
