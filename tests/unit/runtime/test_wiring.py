"""What the configuration switches on is made, with the budgets and identities that it should share."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.normalise.settings import NormaliseSettings
from pipeline.model.errors import ConfigError
from pipeline.runtime.config import load
from pipeline.runtime.live.wiring import Wiring

TENANT = "9a3f1c52-0000-4000-8000-5d2c1b0a9f8e"
OTHER = "7b1d0c44-0000-4000-8000-2c9e8f7a6b5c"
WHO = {"tenant": TENANT, "client_id": "app", "secret_file": "/run/secrets/s"}
SETTINGS = NormaliseSettings(key=b"a key of the tests")
EVERY = (
    "graph_signins", "directory_audits", "activity", "audit_query",
    "event_hubs", "blobs", "service_health", "status_page",
)  # fmt: skip
NEEDED = {
    "collect.event_hubs.namespace": "contoso-logs",
    "collect.blobs.account": "contosologs",
    "collect.status_page.address": "https://status.example.net/feed",
}


def config(*names, who=None, **more):
    flags = {f"microsoft.{k}": v for k, v in (WHO if who is None else who).items()}
    flags |= {f"collect.{n}.enabled": True for n in names}
    return load(None, environ={}, flags={**flags, **NEEDED, **more})


def made(found):
    wiring = Wiring(found, SETTINGS)
    return [*wiring.sources(), *wiring.advisories()]


@pytest.mark.parametrize("name", EVERY)
def test_each_is_made_when_it_is_switched_on_and_not_before(name):
    assert [x.kind for x in made(config(name))] == [name]
    assert made(config()) == []


def test_each_has_the_bound_of_its_section():
    (live,) = made(config("activity", **{"collect.activity.alarm_minutes": 77}))
    assert live.alarm == timedelta(minutes=77)


def test_several_tenants_are_read_each_by_itself_with_one_identity_each():
    found = config("graph_signins", "activity", **{"microsoft.tenants": [OTHER]})
    wiring = Wiring(found, SETTINGS)
    assert [x.name for x in wiring.sources()] == [
        f"graph_signins/{TENANT}",
        f"activity/{TENANT}",
        f"graph_signins/{OTHER}",
        f"activity/{OTHER}",
    ]
    assert wiring.identity(TENANT) is wiring.identity(TENANT)
    assert wiring.identity(TENANT) is not wiring.identity(OTHER)


def test_a_cloud_without_the_activity_api_says_so():
    with pytest.raises(ConfigError, match=r"'china' offers no Management Activity API"):
        made(config("activity", **{"microsoft.cloud": "china"}))


@pytest.mark.parametrize(
    ("cloud", "graph", "activity"),
    [
        ("public", "https://graph.microsoft.com", "https://manage.office.com"),
        ("gcc", "https://graph.microsoft.com", "https://manage-gcc.office.com"),
        ("gcc_high", "https://graph.microsoft.us", "https://manage.office365.us"),
        ("dod", "https://dod-graph.microsoft.us", "https://manage.protection.apps.mil"),
        ("china", "https://microsoftgraph.chinacloudapi.cn", None),
    ],
)
def test_every_cloud_has_its_addresses(cloud, graph, activity):
    microsoft = config(**{"microsoft.cloud": cloud}).microsoft
    assert (microsoft.graph, microsoft.activity) == (graph, activity)


@pytest.mark.parametrize("name", EVERY[:-1])
def test_whoever_signs_in_has_to_say_as_whom(name):
    with pytest.raises(ConfigError, match=r"microsoft\.tenant is missing"):
        config(name, who={})


def test_a_domain_is_no_tenant_where_logs_are_read():
    with pytest.raises(ConfigError, match=r"'contoso\.example' is a domain"):
        config("activity", who={**WHO, "tenant": "contoso.example"})


@pytest.mark.parametrize("key", sorted(NEEDED))
def test_what_is_switched_on_has_to_say_where(key):
    name = key.split(".")[1]
    with pytest.raises(ConfigError, match=rf"{key.removeprefix('collect.')} is missing"):
        config(name, **{key: None})


def test_a_connection_string_needs_no_application():
    flags = {"collect.event_hubs.connection_string_file": "/run/secrets/hubs"}
    assert [x.kind for x in made(config("event_hubs", who={}, **flags))] == ["event_hubs"]


@pytest.mark.parametrize(
    "address", ["http://graph.example.net", "graph.example.net", "https://a/b"]
)
def test_tokens_go_nowhere_readable(address):
    with pytest.raises(ConfigError, match=r"must be https://HOST"):
        config(**{"microsoft.graph_address": address})
