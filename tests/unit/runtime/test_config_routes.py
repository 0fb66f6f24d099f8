"""Routes as they are written: strict, and a wrong name is an error that says what there is."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from pipeline.model.errors import ConfigError
from pipeline.runtime.config_routes import Notify
from pipeline.runtime.notify_settings import notify_settings

SINKS = ["pagerduty.oncall", "slack.team"]


def read(section):
    return notify_settings(Notify.model_validate_json(json.dumps(section)), SINKS)


def test_nothing_configured_has_sensible_routes():
    told, unclear = read({}).root.children
    assert told.sinks == ("pagerduty.oncall", "slack.team")
    assert unclear.sinks == ("slack.team",)
    assert {str(m) for m in told.matchers} == {
        "severity=critical,high,medium",
        "verdict!=undetermined",
    }


def test_sinks_without_routes_are_told_everything():
    root = read({"sinks": ["slack.team"]}).root
    assert (root.children, root.sinks) == ((), ("slack.team",))


def test_what_a_route_does_not_set_is_as_around_it():
    section = {
        "sinks": ["slack.team"],
        "repeat_interval_hours": 1,
        "group_by": ["tenant"],
        "routes": {
            "a": {
                "group_wait_seconds": 5,
                "continue": True,
                "routes": {"b": {"repeat_interval_hours": 0, "group_by": []}},
            }
        },
    }
    root = read(section).root
    (a,) = root.children
    (b,) = a.children
    assert (root.group_wait.seconds, root.group_interval.seconds) == (30, 300)
    assert (a.name, a.sinks, a.goes_on, a.group_wait.seconds) == ("a", ("slack.team",), True, 5)
    assert a.repeat_interval.seconds == 3600
    assert (b.name, b.repeat_interval, b.group_by) == ("a.b", None, ())
    assert (b.group_interval.seconds, b.goes_on) == (0, False)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (
            {"routes": {"night": {"sinks": ["pagerduty.oncal"]}}},
            (
                "notify.routes.night.sinks: there is no destination 'pagerduty.oncal', did you mean "
                "pagerduty.oncall.; there are: pagerduty.oncall, slack.team"
            ),
        ),
        (
            {"routes": {"a": {"routes": {"b": {"sinks": ["x.y"]}}}}},
            "notify.routes.a.routes.b.sinks: there is no destination 'x.y'; there are",
        ),
        ({"sinks": ["splunk.main"]}, "notify.sinks: there is no destination 'splunk.main'"),
    ],
)
def test_a_route_to_nowhere_is_named_with_what_there_is(section, said):
    with pytest.raises(ConfigError, match=said):
        read(section)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"routes": {"a": {"match": ["sevrity=high"]}}}, "there is no label 'sevrity'"),
        ({"routes": {"a": {"match": ["severity=hihg"]}}}, "severity is one of"),
        ({"routes": {"a b": {}}}, "should match pattern"),
        ({"routes": {"a": {"sink": ["slack.team"]}}}, "Extra inputs"),
        ({"routes": {"a": {"goes_on": True}}}, "Extra inputs"),
        ({"quiet_hours": ["nights"]}, "quiet_hours: there are no hours or dates 'nights'"),
        (
            {"routes": {"a": {"routes": {"b": {"quiet_hours": ["x"]}}}}},
            "routes.a.routes.b.quiet_hours: there are no hours or dates 'x'; there are: none",
        ),
        ({"maintenance": {"m": {"times": ["x"]}}}, "maintenance.m.times"),
        ({"hours": {"n": {"start": "25:00"}}}, "is no time of the clock"),
        ({"hours": {"n": {"start": "22:00+01:00"}}}, "is no time of the clock"),
        ({"hours": {"n": {"time_zone": "Berlin"}}}, "is no IANA time zone"),
        ({"hours": {"n": {"weekdays": []}}}, "at least 1"),
        (
            {"dates": {"n": {"starts_at": "2026-12-24", "ends_at": "2026-12-23T10:00"}}},
            "ends_at must be behind",
        ),
        (
            {"dates": {"n": {"starts_at": "2026-12-24T10:00Z", "ends_at": "2026-12-23T10:00"}}},
            "without a zone",
        ),
        ({"public_url": "outrider.example.net"}, "is no address"),
        ({"public_url": "https://user:pass@example.net"}, "is no address"),
        ({"public_url": "https://example.net/?q=1"}, "is no address"),
        ({"reasons": ["rerouted"]}, "Input should be"),
        ({"inhibit": {"i": {"source": [], "target": ["severity=low"]}}}, "at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(section, said):
    with pytest.raises(ValidationError, match=said):
        Notify.model_validate_json(json.dumps(section))


def test_hours_and_dates_of_one_name_count_both():
    section = {
        "hours": {"away": {"start": "22:00", "end": "07:00"}},
        "dates": {"away": {"starts_at": "2026-12-24T18:00", "ends_at": "2026-12-27T07:00"}},
        "quiet_hours": ["away"],
    }
    assert len(read(section | {"sinks": ["slack.team"]}).root.quiet.times) == 2
