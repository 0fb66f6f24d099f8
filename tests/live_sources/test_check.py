"""``outrider check`` against broken set-ups, one thing broken in each: named, and with what to do."""

from __future__ import annotations

import json
import socket
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from pipeline.model.errors import ExitCode
from pipeline.report.checked import checked_text
from pipeline.runtime.checking import disk
from pipeline.runtime.checking.finding import Finding, State, exit_code
from pipeline.runtime.checking.permissions import NEEDED, granted
from tests.kafka.broker import free_ports
from tests.live_sources.checked_tenant import Tenant
from tests.services.activity import AUDIENCE as ACTIVITY
from tests.services.activity_words import without_audit_log
from tests.services.blobs import SIGNATURE, Storage
from tests.services.entra import CLIENT, TENANT
from tests.services.event_hubs import KEY, connection_string
from tests.services.graph import AUDIENCE as GRAPH
from tests.services.server import Reply, serving

OK, WARN, FAIL, SKIP = State.OK, State.WARN, State.FAIL, State.SKIP


@pytest.fixture
def made(tmp_path, monkeypatch):
    return Tenant(tmp_path, monkeypatch)


@pytest.fixture
def tenant(made):
    with made.open():
        yield made


def bad(found):
    """Where, what and state of everything that is not well, without what was not tried."""
    return {(f.where, f.what, str(f.state)) for f in found if f.state in {WARN, FAIL}}


def of(found, where, what):
    return next(f for f in found if (f.where, f.what) == (where, what) and f.state is not OK)


def test_a_tenant_in_good_order_is_well_in_every_point(tenant):
    found = tenant.look()
    assert bad(found) == set()
    assert {f.state for f in found} == {OK}
    assert exit_code(found) == ExitCode.OK
    looked = {(f.where, f.what) for f in found}
    assert {
        ("state", "folder"), ("state", "space"), ("sign-in", "name"), ("sign-in", "TLS"),
        ("sign-in", "clock"), ("sign-in", "tenant"), ("sign-in", "token"),
        ("Microsoft Graph", "TLS"), ("graph_signins", "permission"), ("graph_signins", "licence"),
        ("graph_signins", "last record"), ("directory_audits", "last record"),
        ("activity", "audit log"), ("activity", "subscription"), ("activity", "last record"),
        ("audit_query", "answer"), ("service_health", "answer"), ("status_page", "answer"),
    } <= looked  # fmt: skip
    age = next(f for f in found if f.where == "graph_signins" and f.what == "last record")
    assert age.told == "the newest record is 9 min old"
    assert not (tenant.folder / "state").exists()  # nothing is changed anywhere
    assert tenant.activity.asked["start"] == 0


# The table: what is broken, and the one finding that has to name it.


def refuse(code):
    def breaks(tenant):
        tenant.entra.code = code

    return breaks


def revoke(role, audience=None):
    def breaks(tenant):
        tenant.entra.roles[audience or GRAPH].remove(role)

    return breaks


def wrong_secret(tenant):
    tenant.write("secret", b"a-wrong-one")
    tenant.secrets.append("a-wrong-one")


def other_application(tenant):
    tenant.change("microsoft", client_id="00000000-1111-4222-8333-444444444444")


def other_tenant(tenant):
    tenant.change("microsoft", tenant="00000000-1111-4222-8333-444444444444")


def no_consent(tenant):
    tenant.entra.roles = {}


def no_licence(tenant):
    tenant.graph.reports.licence = None


def audit_log_off(tenant):
    tenant.activity.broken = without_audit_log("Audit.Exchange")


def subscription_off(tenant):
    tenant.activity.disable()


def no_subscription(tenant):
    tenant.activity.subscriptions.clear()


def clock_off(minutes):
    def breaks(tenant):
        tenant.entra.skew = timedelta(minutes=minutes)

    return breaks


def strange_authority(tenant):
    tenant.change("microsoft", ca_file=str(tenant.folder / "stranger.pem"))


def unknown_name(tenant):
    tenant.change("microsoft", graph_address="https://graph.example.invalid")
    known = socket.getaddrinfo

    def look_up(host, *args, **more):
        if host == "graph.example.invalid":
            raise socket.gaierror(-2, "Name or service not known")
        return known(host, *args, **more)

    tenant.monkeypatch.setattr(socket, "getaddrinfo", look_up)


def closed_port(tenant):
    tenant.change("microsoft", activity_address=f"https://localhost:{free_ports(1)[0]}")


def no_tls(tenant):
    plain = Tenant(tenant.folder, tenant.monkeypatch).page  # any service that speaks no TLS
    tenant.stack = serving(plain)
    tenant.stack.__enter__()
    tenant.change("microsoft", graph_address=plain.root.replace("http:", "https:"))


def certificate_ends(days):
    def breaks(tenant):
        tenant.own_certificate(days)

    return breaks


def silent_for_days(tenant):
    tenant.graph.reports._kept["signIns"].clear()


def nothing_audited(tenant):
    tenant.activity.blobs.clear()


def searches_refused(tenant):
    tenant.graph.searches.audit_log = False


def no_beta(tenant):
    tenant.graph.reports.offered.discard(("beta", "signIns"))


def page_moved(tenant):
    tenant.change("collect.status_page", address=tenant.page.address("/old/feed"))


def no_activity_in_this_cloud(tenant):
    tenant.change("microsoft", cloud="china", activity_address=None)


def quota_used_up(tenant):
    tenant.graph.reports.limit = (0, 10.0)
    tenant.graph.reports._asked = [tenant.clock.now()]


def open_secret(tenant):
    (tenant.folder / "secret").chmod(0o644)


CONSENT = f"/{TENANT}/adminconsent?client_id={CLIENT}"
BROKEN = {
    "a wrong secret": (wrong_secret, "sign-in", "token", FAIL, "AADSTS7000215|value, not its id"),
    "an expired secret": (refuse(7000222), "sign-in", "token", FAIL, "AADSTS7000222|make a new one"),
    "an unknown application": (other_application, "sign-in", "token", FAIL, "AADSTS700016|client_id"),
    "an application without a principal": (
        refuse(7000229), "sign-in", "token", FAIL, f"AADSTS7000229|{CONSENT}",
    ),
    "a certificate that is not there": (
        refuse(700027), "sign-in", "token", FAIL, "AADSTS700027|upload it",
    ),
    "a wrong tenant": (other_tenant, "sign-in", "tenant", FAIL, "AADSTS90002|check tenant"),
    "a wrong cloud": (refuse(900382), "sign-in", "token", FAIL, "AADSTS900382|set cloud"),
    "kept out by Conditional Access": (refuse(53003), "sign-in", "token", FAIL, "AADSTS53003|Conditional"),
    "no consent": (no_consent, "service_health", "permission", FAIL, f"nobody has consented|{CONSENT}"),
    "no AuditLog.Read.All": (
        revoke("AuditLog.Read.All"), "graph_signins", "permission", FAIL, f"AuditLog.Read.All is not|{CONSENT}",
    ),
    "no Directory.Read.All": (
        revoke("Directory.Read.All"), "graph_signins", "permission", FAIL, f"Directory.Read.All is not|{CONSENT}",
    ),
    "no ServiceHealth.Read.All": (
        revoke("ServiceHealth.Read.All"), "service_health", "permission", FAIL,
        f"ServiceHealth.Read.All is not|{CONSENT}",
    ),
    "no ServiceMessage.Read.All": (
        revoke("ServiceMessage.Read.All"), "service_health", "permission", WARN,
        "ServiceMessage.Read.All is not|left out",
    ),
    "no AuditLogsQuery": (
        revoke("AuditLogsQuery.Read.All"), "audit_query", "permission", FAIL,
        f"AuditLogsQuery-Exchange.Read.All is not|{CONSENT}",
    ),
    "no ActivityFeed.Read": (
        revoke("ActivityFeed.Read", ACTIVITY), "activity", "permission", FAIL,
        f"ActivityFeed.Read is not|Office 365 Management APIs|{CONSENT}",
    ),
    "no P1": (no_licence, "graph_signins", "licence", FAIL, "licence|Entra ID P1 or P2"),
    "no audit log": (audit_log_off, "activity", "audit log", FAIL, "no audit log|Purview"),
    "a subscription that is off": (subscription_off, "activity", "subscription", WARN, "disabled|12 hours"),
    "no subscription": (no_subscription, "activity", "subscription", WARN, "not there yet|12 hours"),
    "a clock that is 10 min behind": (clock_off(10), "sign-in", "clock", FAIL, "s behind|NTP"),
    "a clock that is 10 min ahead": (clock_off(-10), "sign-in", "clock", FAIL, "s ahead|NTP"),
    "a clock that is 2 min off": (clock_off(2), "sign-in", "clock", WARN, "s behind|NTP"),
    "an authority nobody knows": (strange_authority, "sign-in", "TLS", FAIL, "not trusted|ca_file"),
    "a name nobody knows": (unknown_name, "Microsoft Graph", "name", FAIL, "nobody knows|DNS"),
    "a port that is closed": (closed_port, "activity", "TLS", FAIL, "nothing listens|firewall"),
    "a port without TLS": (no_tls, "Microsoft Graph", "TLS", FAIL, "no TLS|host and port"),
    "our certificate ends soon": (certificate_ends(12), "sign-in", "certificate", WARN, "11 more days|outrider setup"),
    "our certificate has ended": (certificate_ends(-2), "sign-in", "certificate", FAIL, "expired on|outrider setup"),
    "no sign-in for a day": (silent_for_days, "graph_signins", "last record", WARN, "no record|licence was given"),
    "nothing audited for a day": (nothing_audited, "activity", "last record", WARN, "nothing became|AuditDisabled"),
    "searches are kept from us": (searches_refused, "audit_query", "answer", FAIL, "Purview"),
    "no beta in this cloud": (no_beta, "graph_signins", "answer", FAIL, "not offered|v1.0"),
    "a status page that has moved": (page_moved, "status_page", "answer", FAIL, "no status feed|status_page.address"),
    "a cloud without the activity API": (
        no_activity_in_this_cloud, "activity", "name", FAIL, "offers no Management|audit_query",
    ),
    "a quota that others use up": (quota_used_up, "graph_signins", "answer", WARN, "used up|same application"),
    "a secret that everybody may read": (open_secret, "configuration", "remark", WARN, "everybody|chmod o-r"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named_with_what_to_do(tenant, name):
    breaks, where, what, state, words = BROKEN[name]
    breaks(tenant)
    found = tenant.look()
    named = of(found, where, what)
    assert named.state is state
    for word in words.split("|"):
        assert word in f"{named.told} {named.remedy}", named
    assert named.remedy
    assert exit_code(found) == (ExitCode.FAILURE if state is FAIL else ExitCode.PARTIAL_DATA)


def test_a_missing_permission_is_named_for_each_source_that_needs_it_and_for_no_other(tenant):
    tenant.graph.reports.limit = None
    for audience, role, sources in (
        (None, "AuditLog.Read.All", {"graph_signins", "directory_audits"}),
        (None, "Directory.Read.All", {"graph_signins", "directory_audits"}),
        (None, "ServiceHealth.Read.All", {"service_health"}),
        (None, "ServiceMessage.Read.All", {"service_health"}),
        (None, "AuditLogsQuery.Read.All", {"audit_query"}),
        (ACTIVITY, "ActivityFeed.Read", {"activity"}),
    ):
        revoke(role, audience)(tenant)
        found = tenant.look()
        assert {w for w, _, _ in bad(found)} == sources
        assert {w for w, what, _ in bad(found) if what == "permission"} == sources
        tenant.entra.roles[audience or GRAPH].append(role)


def test_the_narrow_permission_for_searches_does_as_well(tenant):
    narrow = "AuditLogsQuery-Exchange.Read.All"
    tenant.monkeypatch.setattr("tests.services.audit_queries.PERMISSION", narrow)
    roles = tenant.entra.roles[GRAPH]
    roles[roles.index("AuditLogsQuery.Read.All")] = narrow
    assert bad(tenant.look()) == set()


def test_a_managed_identity_has_no_page_for_consent_and_is_told_of_the_command():
    (found,) = granted("activity", NEEDED["activity"], {"Other.Read"}, "")
    assert found.state is FAIL
    assert "outrider setup --credential managed_identity" in found.remedy
    assert "http" not in found.remedy


def test_a_file_that_is_missing_is_told_with_its_path(tenant):
    tenant.change("microsoft", secret_file=str(tenant.folder / "gone"))
    token = of(tenant.look(), "sign-in", "token")
    assert (token.state, str(tenant.folder / "gone") in token.told) == (FAIL, True)


def test_with_a_token_that_does_not_tell_its_roles_the_requests_do(tenant):
    tenant.monkeypatch.setattr("pipeline.runtime.checking.sign_in.claims_of", lambda _token: {})
    revoke("ServiceHealth.Read.All")(tenant)
    found = tenant.look()
    assert ("service_health", "answer", "fail") in bad(found)
    assert "ServiceHealth.Read.All" in of(found, "service_health", "answer").remedy


def test_what_leans_on_a_failure_is_not_tried_and_counts_for_nothing(tenant):
    refuse(7000222)(tenant)
    found = tenant.look()
    skipped = {(f.where, f.what) for f in found if f.state is SKIP}
    assert ("service_health", "permission") in skipped
    assert bad(found) == {("sign-in", "token", "fail")}
    assert not [r for r in tenant.graph.requests if r.headers.get("authorization")]


@pytest.mark.parametrize(
    ("days", "name", "state", "words"),
    [
        (3, "localhost", WARN, "good for 2 more days"),
        (-1, "localhost", FAIL, "has expired"),
        (90, "elsewhere.example.net", FAIL, "for another host name"),
    ],
)
def test_a_services_certificate_is_looked_at(made, days, name, state, words):
    with made.open(graph=made.tls(days, name)) as tenant:
        found = of(tenant.look(), "Microsoft Graph", "TLS")
    assert found.state is state
    assert words in found.told
    assert found.remedy


def test_tenants_are_told_apart(tenant):
    other = "7b1d0c44-0000-4000-8000-2c9e8f7a6b5c"
    tenant.change("microsoft", tenants=[other])
    tenant.only("service_health")
    found = tenant.look()
    assert ("sign-in, " + other, "tenant", "fail") in bad(found)
    assert {f.where for f in found if f.state is OK} >= {f"service_health, {TENANT}"}


def test_a_share_of_the_quota_is_told_where_the_service_tells_it(tenant):
    tenant.only("audit_query")
    answer = tenant.graph.answer

    def tells(request):
        return Reply(
            document=answer(request).document, headers={"x-ms-throttle-limit-percentage": "0.9"}
        )

    tenant.graph.answer = tells
    quota = of(tenant.look(), "audit_query", "quota")
    assert (quota.state, quota.told) == (WARN, "10% of the quota are left")


def test_behind_a_proxy_names_are_its_business(tenant):
    tenant.monkeypatch.setenv("HTTPS_PROXY", f"http://localhost:{free_ports(1)[0]}")
    found = tenant.look()
    name = next(f for f in found if (f.where, f.what) == ("sign-in", "name"))
    assert (name.state, "proxy" in name.told) == (OK, True)
    assert (
        "HTTPS_PROXY" in of(found, "sign-in", "tenant").told + of(found, "sign-in", "tenant").remedy
    )


# Folder, brokers, Event Hubs, storage


def test_a_folder_that_takes_no_files_is_named():
    (found, *_) = disk.room(Path("/proc/outrider-state"))
    assert (found.what, found.state) == ("folder", FAIL)
    assert "/proc" in found.told
    assert "--state" in found.remedy


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "state").write_text("")
    (found,) = disk.room(tmp_path / "state" / "deep")
    assert (found.state, "is no folder" in found.told) == (FAIL, True)


@pytest.mark.parametrize(("free", "state"), [(2**27, FAIL), (2**30, WARN), (2**34, OK)])
def test_room_on_the_disk_is_looked_at(tmp_path, monkeypatch, free, state):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _path: Usage(free))
    assert disk.room(tmp_path)[-1].state is state


class Usage:
    def __init__(self, free):
        self.free = free


def test_brokers_that_are_not_reached_are_named_one_by_one(tenant):
    tenant.only()
    closed, other = free_ports(2)
    tenant.change("kafka", servers=[f"localhost:{closed}", f"localhost:{other}"])
    found = tenant.look()
    assert [f.told for f in found if f.where == "kafka" and f.state is FAIL] == [
        f"localhost:{closed}: nothing listens there",
        f"localhost:{other}: nothing listens there",
    ]
    assert of(found, "kafka", "topics").state is SKIP


def test_topics_that_are_missing_are_named(tenant, namespace):
    tenant.only()
    tenant.change("kafka", servers=list(namespace.servers), prefix="never-made")
    topics = of(tenant.look(), "kafka", "topics")
    assert topics.state is FAIL
    assert "outrider kafka init" in topics.remedy


@pytest.fixture
def hubs(tenant, namespace, hub):
    """The configuration reads one hub of the namespace, by a connection string."""
    tenant.only()
    tenant.secrets.append(KEY)
    tenant.change(
        "collect.event_hubs",
        enabled=True,
        namespace=str(namespace.address),
        hubs=[hub],
        connection_string_file=str(tenant.write("connection", connection_string().encode())),
        ca_file=str(namespace.certificates.ca_file),
    )
    return tenant


def test_hubs_are_read_one_by_one(hubs, namespace, hub):
    namespace.send(hub, [b'{"records": []}'])
    hubs.change("collect.event_hubs", hubs=[hub, "insights-logs-never-made"])
    found = hubs.look()
    assert ("event_hubs", "hub", "fail") in bad(found)
    assert "insights-logs-never-made" in of(found, "event_hubs", "hub").told
    assert any(f.state is OK and f"{hub}: 2 partitions" in f.told for f in found)
    old = of(found, "event_hubs", "last record")  # what it holds is of March 2026
    assert "the newest record is" in old.told


def test_a_wrong_key_of_event_hubs_is_named(hubs):
    wrong = connection_string(key="d3Jvbmcta2V5")
    hubs.write("connection", wrong.encode())
    hubs.secrets.append("d3Jvbmcta2V5")
    hub = of(hubs.look(), "event_hubs", "hub")
    assert hub.state is FAIL
    assert "connection string" in hub.remedy


def test_a_namespace_of_another_authority_is_named(hubs, namespace):
    hubs.change("collect.event_hubs", ca_file=str(namespace.certificates.stranger_file))
    found = of(hubs.look(), "event_hubs", "TLS")
    assert (found.state, "ca_file" in found.remedy) == (FAIL, True)


@pytest.fixture
def account(tenant):
    """A storage account with a log of this hour; the identity of [microsoft] reads it."""
    tenant.only()
    tenant.secrets.append(SIGNATURE)
    made = Storage(tenant.clock, entra=tenant.entra)
    hour = tenant.clock.now().replace(minute=0, second=0, microsecond=0)
    made.append("insights-logs-signinlogs", hour, b"{}\n")
    with serving(made, tenant.tls()):
        tenant.change(
            "collect.blobs", enabled=True, address=made.root, containers=list(made.containers)
        )
        yield made


def test_containers_are_looked_into(tenant, account):
    found = tenant.look()
    assert bad(found) == set()
    told = [f.told for f in found if f.where == "blobs"]
    assert "insights-logs-signinlogs: the newest record is 0 min old" in told


def test_a_container_that_is_silent_is_named(tenant, account):
    account.make("insights-logs-auditlogs")
    tenant.change("collect.blobs", containers=list(account.containers))
    found = of(tenant.look(), "blobs", "last record")
    assert (found.state, "insights-logs-auditlogs: no record" in found.told) == (WARN, True)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"reader": False}, "Storage Blob Data Reader"),
        ({"containers": {}}, "has no container insights-logs-signinlogs"),
        ({"code": (403, "AuthorizationFailure")}, "network rules"),
    ],
)
def test_an_account_that_keeps_us_out_is_named(tenant, account, broken, words):
    for name, value in broken.items():
        setattr(account, name, value)
    container = of(tenant.look(), "blobs", "container")
    assert container.state is FAIL
    assert words in f"{container.told}; {container.remedy}"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ("se=2020-01-01T00:00:00Z&sp=rl", "expired"),
        ("se=2099-01-01T00:00:00Z&sp=l", "Read and List"),
    ],
)
def test_a_signature_is_looked_at_before_anything_is_asked(tenant, account, changed, words):
    text = f"sv=2021-12-02&ss=b&srt=co&{changed}&sig={quote(SIGNATURE)}"
    tenant.change("collect.blobs", sas_file=str(tenant.write("sas", text.encode())))
    container = of(tenant.look(), "blobs", "container")
    assert (container.state, words in container.told) == (FAIL, True)
    assert not account.requests


def test_with_a_signature_nobody_signs_in(tenant, account):
    text = f"sv=2021-12-02&ss=b&srt=co&se=2099-01-01T00:00:00Z&sp=rl&sig={quote(SIGNATURE)}"
    tenant.change("collect.blobs", sas_file=str(tenant.write("sas", text.encode())))
    assert bad(tenant.look()) == set()
    assert not tenant.entra.requests


# The command


@pytest.mark.parametrize(
    ("breaks", "code"), [(None, 0), (subscription_off, 4), (no_licence, 1), (clock_off(10), 1)]
)
def test_the_command_tells_it_by_its_exit_code(tenant, capsys, breaks, code):
    from pipeline.cli.main import main

    if breaks is not None:
        breaks(tenant)
    state = str(tenant.folder / "state")
    assert main(["check", "--config", str(tenant.config), "--state", state]) == code
    text = capsys.readouterr().out
    assert text.splitlines()[-1].startswith("0 failures, 0 warnings" if code == 0 else "")
    assert ("FAIL" in text, "WARN" in text) == (code == 1, code == 4)
    assert main(["check", "--config", str(tenant.config), "--state", state, "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["exit_code"]) == ("outrider.check/1", code)
    assert {f["schema"] for f in document["findings"]} == {"outrider.finding/1"}


def test_without_a_configuration_only_the_folder_is_looked_at(tmp_path, capsys):
    from pipeline.cli.main import main

    assert main(["check", "--state", str(tmp_path)]) == ExitCode.OK
    text = capsys.readouterr().out
    assert "nothing is read live" in text
    assert "sign-in" not in text


def test_the_text_keeps_to_80_columns_and_puts_the_remedy_below():
    long = Finding("graph_signins", "permission", FAIL, "x " * 100, "do this " * 20)
    lines = checked_text([long]).splitlines()
    assert max(len(line) for line in lines) <= 80
    assert sum("-> do this" in line for line in lines) == 1
    assert lines[-1] == "1 failure, 0 warnings, 0 ok."


def test_requests_follow_the_same_authorities(tenant):
    """The look at TLS trusts what the requests trust, by REQUESTS_CA_BUNDLE too."""
    tenant.only("status_page")
    tenant.change("microsoft", ca_file=None)
    assert ("status_page", "TLS", "fail") in bad(tenant.look())
    tenant.monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tenant.folder / "ca.pem"))
    assert requests.get(tenant.page.address("/api/feed/mac"), timeout=9).ok
    assert bad(tenant.look()) == set()
