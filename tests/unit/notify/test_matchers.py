"""Labels and matchers over them."""

from __future__ import annotations

import pytest

from pipeline.notify.matchers import all_match, labels_of, parse, parse_all

LABELS = {
    "severity": ("high",),
    "verdict": ("service_outage",),
    "client": ("outlook_ios", "owa"),
    "tenant": ("contoso",),
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("severity=high", True),
        ("severity=low,high", True),
        ("severity=low", False),
        ("severity!=low", True),
        ("severity!=low,high", False),
        ("severity>=high", True),
        ("severity>=critical", False),
        ("severity<=high", True),
        ("severity<=medium", False),
        ("client=owa", True),
        ("client=teams,owa", True),
        ("client!=teams", True),
        ("client!=owa", False),
        (" tenant = contoso , fabrikam ", True),
        ("service=exchange_online", False),
        ("service!=exchange_online", True),
    ],
)
def test_a_matcher_says_what_alertmanager_would(text, matches):
    assert parse(text).matches(LABELS) is matches


def test_all_of_a_list_have_to_match_and_an_empty_list_matches_everything():
    assert all_match(parse_all(["severity=high", "client=owa"]), LABELS)
    assert not all_match(parse_all(["severity=high", "client=teams"]), LABELS)
    assert all_match((), LABELS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("severity", "is no matcher"),
        ("sevrity=high", "there is no label 'sevrity'; there are severity, verdict"),
        ("severity=hihg", "severity is one of: critical, high"),
        ("client=outlook", "client is one of"),
        ("client>=owa", "is for one severity"),
        ("severity>=low,high", "is for one severity"),
        ("tenant=", "tenant is one of: a name"),
        ("tenant=a,,b", "tenant is one of: a name"),
    ],
)
def test_what_no_incident_can_have_is_refused_with_what_it_can(text, said):
    with pytest.raises(ValueError, match=said):
        parse(text)


def test_labels_come_from_an_incident():
    found = labels_of(
        {
            "severity": "low",
            "verdict": "attack",
            "clients": ["owa", "ews"],
            "services": ["teams"],
            "tenants": ["t"],
            "state": "open",
            "reason": "opened",
        }
    )
    assert found["client"] == ("ews", "owa")
    assert parse("reason=opened").matches(found)
