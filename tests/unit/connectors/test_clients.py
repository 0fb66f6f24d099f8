"""Which client and service a record shows: first match wins, most specific first."""

from __future__ import annotations

import pytest

from connectors.normalise.clients import (
    AuditTraits,
    SigninTraits,
    audit_profile,
    service_of,
    signin_profile,
)
from connectors.normalise.tables import rows
from pipeline.model.vocabulary import Client, Service

EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
OFFICE = "d3590ed6-52b3-4102-aeff-aad2292ab01c"
MOBILE = "27922004-5251-4030-b22d-91ecd9a37ea4"
APPLE = "f8d98a96-0999-43f5-8af3-69971c7bb423"
GRAPH = "00000003-0000-0000-c000-000000000000"
CLASSIC = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.14326; Pro)"

SIGNINS: list[tuple[dict[str, str], str]] = [
    ({"app_id": MOBILE, "operating_system": "Ios"}, "outlook_ios"),
    ({"app_id": MOBILE.upper(), "operating_system": "iPadOS 17"}, "outlook_ios"),
    ({"app_id": MOBILE, "operating_system": "Android"}, "outlook_android"),
    ({"app_id": MOBILE, "user_agent": "Outlook-Android/2.0"}, "outlook_android"),
    ({"app_id": MOBILE, "user_agent": "X (iPhone; CPU iPhone OS 16_6)"}, "outlook_ios"),
    ({"app_id": MOBILE}, "other"),
    ({"app_id": OFFICE, "operating_system": "MacOs"}, "outlook_mac"),
    ({"app_id": OFFICE, "operating_system": "Windows10"}, "outlook_windows_classic"),
    ({"app_id": OFFICE, "operating_system": "MacOs", "resource_id": GRAPH}, "other"),
    ({"app_id": OFFICE, "user_agent": "Edg/136 OneOutlook/1.2025.516"}, "outlook_windows_new"),
    ({"app_id": "5d661950-3475-41cd-a2c3-d671a3162bc1"}, "outlook_windows_new"),
    ({"app_id": "9199bf20-a13f-4107-85dc-02114787ef48"}, "owa"),
    ({"app_id": EXCHANGE, "client_app": "Browser"}, "owa"),
    ({"app_id": EXCHANGE, "client_app": "IMAP4"}, "imap4"),
    ({"app_id": EXCHANGE, "client_app": "imap"}, "imap4"),
    ({"app_id": EXCHANGE, "client_app": "POP3"}, "pop3"),
    ({"app_id": EXCHANGE, "client_app": "Authenticated SMTP"}, "smtp_auth"),
    ({"app_id": EXCHANGE, "client_app": "Exchange ActiveSync"}, "activesync"),
    ({"app_id": EXCHANGE, "client_app": "MAPI over HTTP"}, "outlook_windows_classic"),
    ({"app_id": EXCHANGE, "client_app": "Exchange Web Services"}, "ews"),
    (
        {"client_app": "Exchange Web Services", "operating_system": "MacOs"},
        "outlook_mac",
    ),
    ({"client_app": "Exchange Web Services", "user_agent": CLASSIC}, "outlook_windows_classic"),
    ({"app_id": APPLE, "operating_system": "Ios"}, "activesync"),
    ({"app_id": APPLE, "operating_system": "MacOs"}, "ews"),
    ({"user_agent": "Apple-iPhone15C4/2401.539"}, "activesync"),
    ({"app_name": "One Outlook Web"}, "owa"),
    ({"app_id": OFFICE, "app_name": "One Outlook Web", "resource_id": GRAPH}, "other"),
    ({"app_id": "1fec8e78-bce4-4aaf-ab1b-5451cc387264"}, "teams"),
    ({"app_id": "4765445b-32c6-49b0-83e6-1d93765276ca"}, "office_web"),
    ({"app_id": "0ec893e0-5785-4de6-99da-4ed124e5296c"}, "copilot"),
    ({"app_id": "fb78d390-0c51-40cd-8e17-fdbfab77341b"}, "powershell"),
    ({"app_id": "99999999-0000-0000-0000-000000000000", "resource_id": GRAPH}, "graph"),
    ({"app_id": "c44b4083-3bb0-49c1-b47d-974e53cbdf3c", "resource_id": GRAPH}, "other"),
    ({"client_app": "Other clients"}, "other"),
    ({}, "other"),
]


def traits(**fields: str) -> SigninTraits:
    blank = dict.fromkeys(SigninTraits._fields)
    return SigninTraits(**{**blank, "resource_id": EXCHANGE, **fields})  # type: ignore[arg-type] # all are text


@pytest.mark.parametrize(("fields", "client"), SIGNINS, ids=lambda x: str(x)[:60])
def test_clients_of_sign_ins(fields: dict[str, str], client: str) -> None:
    assert signin_profile(traits(**fields)).client == client


def test_only_what_no_rule_knows_is_reported() -> None:
    assert signin_profile(traits(app_id=OFFICE, resource_id=GRAPH)).unmatched is None
    text = signin_profile(
        traits(app_id="99999999-0000-0000-0000-000000000000", user_agent="Foo/1.2 (jo's; x)")
    ).unmatched
    assert text == "99999999-0000-0000-0000-000000000000  Foo/1.2"


def test_versions_and_devices() -> None:
    new = signin_profile(
        traits(user_agent="x OneOutlook/1.2025.516.400", operating_system="Windows11")
    )
    assert (new.version, new.device) == ("1.2025.516.400", "windows")
    web = signin_profile(
        traits(app_id="9199bf20-a13f-4107-85dc-02114787ef48", browser="Edge 91.0.864")
    )
    assert (web.version, web.device) == ("Edge 91", None)
    assert signin_profile(traits(operating_system="Mac OS X")).device == "mac"
    assert signin_profile(traits(user_agent=CLASSIC)).version == "16.0.14326"


@pytest.mark.parametrize(
    ("resource", "name", "service"),
    [
        (EXCHANGE, None, Service.EXCHANGE_ONLINE),
        ("", "Office 365 Exchange Online", Service.EXCHANGE_ONLINE),
        (
            "22222222-0000-0000-0000-000000000000",
            "Office 365 SharePoint Online",
            Service.SHAREPOINT,
        ),
        ("00000003-0000-0ff1-ce00-000000000000", "renamed", Service.SHAREPOINT),
        ("cc15fd57-2c6c-4117-a88c-83b1d56b4bbe", None, Service.TEAMS),
        ("4765445b-32c6-49b0-83e6-1d93765276ca", None, Service.OFFICE_WEB),
        ("fb8d773d-7ef8-4ec0-a117-179f88add510", None, Service.COPILOT),
        ("00000002-0000-0000-c000-000000000000", None, Service.IDENTITY),
        (GRAPH, "Microsoft Graph", Service.OTHER),
        (None, None, Service.OTHER),
    ],
)
def test_services_follow_the_resource(
    resource: str | None, name: str | None, service: Service
) -> None:
    assert service_of(resource, name) is service


AUDITS: list[tuple[dict[str, str], str]] = [
    ({"client_info": "Client=REST;Client=RESTSystem;;"}, "system"),
    ({"client_info": "Client=Hub Transport"}, "system"),
    ({"client_info": "Client=TBA;Service=MSExchangeMailboxAssistants;Action=X"}, "system"),
    ({"client_info": "Client=NotificationBroker"}, "system"),
    ({"client_info": "Client=WebServices;Action=ConfigureGroupMailbox"}, "system"),
    (
        {
            "client_info": "Client=REST;;",
            "actor_info": "Client=REST;Client=RESTSystem;UserAgent=[NoUserAgent]",
        },
        "system",
    ),
    ({"client_info": "Client=OWA;x", "token_type": "SubstrateProcessorCallbackPft"}, "system"),
    ({"client_info": "Client=OWA;x", "logon_type": "3"}, "system"),
    ({"user_id": "S-1-5-18"}, "system"),
    ({"client_info": "Client=WebServices;MicrosoftNinja/1.0 Teams/1.0 SkypeSpaces/1.0a"}, "teams"),
    ({"client_info": "Client=OutlookService;Outlook-iOS/2.0;"}, "outlook_ios"),
    ({"client_info": "Client=OutlookService;Outlook-Android/2.0;"}, "outlook_android"),
    (
        {
            "client_info": "Client=REST;;;Client=REST;X (Client=OutlookService;Outlook-iOS/2.0;)[AppId=1]"
        },
        "outlook_ios",
    ),
    ({"client_info": "Client=ActiveSync;UserAgent=Outlook-iOS-Android/1.0;x"}, "activesync"),
    ({"client_info": "Client=ActiveSync;UserAgent=Apple-iPhone9C1/1402.100"}, "activesync"),
    ({"client_info": "Client=Rest;MacOutlook"}, "outlook_mac_new"),
    (
        {"client_info": "Client=WebServices;UserAgent=MacOutlook/14.3.2 (Intel)"},
        "outlook_mac_legacy",
    ),
    ({"client_info": "Client=OWA;Mozilla/5.0 OneOutlook/1.2"}, "outlook_windows_new"),
    (
        {
            "client_info": "Client=OWA;Action=ViaProxy",
            "app_id": "5d661950-3475-41cd-a2c3-d671a3162bc1",
        },
        "outlook_windows_new",
    ),
    ({"client_info": "Client=OWA;Action=ViaProxy", "app_id": EXCHANGE}, "owa"),
    ({"client_info": "Client=MSExchangeRPC"}, "outlook_windows_classic"),
    (
        {
            "client_info": "Client=WebServices;Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0)"
        },
        "outlook_windows_classic",
    ),
    ({"client_info": "Client=POP3/IMAP4;Protocol=IMAP4"}, "imap4"),
    ({"client_info": "Client=POP3/IMAP4;Protocol=POP3"}, "pop3"),
    ({"client_info": "Client=Microsoft.Exchange.Powershell; Microsoft WinRM"}, "powershell"),
    ({"client_info": "Client=REST;;", "app_id": GRAPH}, "graph"),
    ({"client_info": "Client=WebServices;ExchangeServicesClient/0.9"}, "ews"),
    ({"client_info": "Client=Rest;UnknownClient"}, "other"),
    ({"client_info": "Client=Strange"}, "other"),
    ({}, "other"),
]


@pytest.mark.parametrize(("fields", "client"), AUDITS, ids=lambda x: str(x)[:60])
def test_clients_of_audit_records(fields: dict[str, str], client: str) -> None:
    blank = dict.fromkeys(AuditTraits._fields)
    found = audit_profile(AuditTraits(**{**blank, **fields}))  # type: ignore[arg-type] # all are text
    assert found.client == client
    assert (found.unmatched is not None) == (client == "other")


def test_the_tables_name_known_clients_and_services_only() -> None:
    for table in ("signin_clients", "exchange_clients"):
        assert {r["client"] for r in rows(table)} <= set(Client)
    assert {r["service"] for r in rows("services")} <= set(Service)
    ids = [r["resource_id"] for r in rows("services")]
    assert len(ids) == len(set(ids))
