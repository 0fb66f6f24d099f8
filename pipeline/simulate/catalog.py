"""Client programs, resources and their signatures, as the two logs write them.

Sources: application ids from merill/microsoft-info MicrosoftApps.csv and the Microsoft
page on first-party applications; client strings of the audit log from the public
invictus-ir/o365_dataset, SEKOIA intake-formats and microsoft/CSS-Exchange; legacy values
of clientAppUsed from entra-docs howto-customize-filter-logs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.model.vocabulary import Client

EXCHANGE: Final = "00000002-0000-0ff1-ce00-000000000000"
GRAPH: Final = "00000003-0000-0000-c000-000000000000"

# Resources by short name: (id, display name).
RESOURCES: Final[dict[str, tuple[str, str]]] = {
    "exchange": (EXCHANGE, "Office 365 Exchange Online"),
    "graph": (GRAPH, "Microsoft Graph"),
    "teams": ("cc15fd57-2c6c-4117-a88c-83b1d56b4bbe", "Microsoft Teams Services"),
    "sharepoint": ("00000003-0000-0ff1-ce00-000000000000", "Office 365 SharePoint Online"),
    "shell": ("5f09333a-842c-47da-a157-57da27fcbca5", "Office365 Shell WCSS-Server"),
    "copilot": ("fb8d773d-7ef8-4ec0-a117-179f88add510", "Enterprise Copilot Platform"),
    "azure": (
        "797f4846-ba00-4fd7-ba43-dac1f8f63013",
        "Windows Azure Service Management API",
    ),
    "directory": ("00000002-0000-0000-c000-000000000000", "Windows Azure Active Directory"),
    "search": ("66a88757-258c-4c72-893c-3e8bed4d6899", "Office 365 Search Service"),
}
RESOURCE_NAMES: Final = tuple(RESOURCES)

_EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/145.0.0.0 Safari/537.36 Edg/145.0.0.0"
)
_CHROME_MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/145.0.0.0 Safari/537.36"
)
_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
)
_PIXEL = (
    "Mozilla/5.0 (Linux; Android 15; Pixel 8 Build/AP4A; wv) AppleWebKit/537.36 (KHTML, like "
    "Gecko) Version/4.0 Chrome/133.0.6943.137 Mobile Safari/537.36 PKeyAuth/1.0"
)
_NATIVE = "Mobile Apps and Desktop clients"


@dataclass(frozen=True, slots=True)
class Software:
    """One build of one client program and how each log names it.

    ``info`` is the audit log's ClientInfoString; ``{user}`` and ``{device}`` in it are
    filled per mailbox. An empty ``info`` means it never touches a mailbox.
    """

    client: Client
    app_id: str
    app_name: str
    used: str
    system: str
    browser: str
    agent: str
    info: str = ""
    audit_app: str = ""
    process: str = ""
    version: str = ""
    weight: float = 1.0


_OUTLOOK = "27922004-5251-4030-b22d-91ecd9a37ea4"
_OFFICE = "d3590ed6-52b3-4102-aeff-aad2292ab01c"
_OWA = "9199bf20-a13f-4107-85dc-02114787ef48"
_NEW = "5d661950-3475-41cd-a2c3-d671a3162bc1"
_TEAMS = "1fec8e78-bce4-4aaf-ab1b-5451cc387264"
_APPLE = "f8d98a96-0999-43f5-8af3-69971c7bb423"
_HOME = "4765445b-32c6-49b0-83e6-1d93765276ca"
_TEAMS_INFO = (
    "Client=WebServices;MicrosoftNinja/1.0 Teams/1.0 (ExchangeServicesClient/1.0.0.0) "
    "SkypeSpaces/1.0a$*+;"
)
_EAS_INFO = (
    "Client=ActiveSync;UserAgent=Apple-iPhone15C4/2403.9;Version=161;Action=/Microsoft-Server-"
    "ActiveSync/Proxy/default.eas?User={user}&DeviceId={device}&DeviceType=iPhone&Cmd=Sync"
)
_EAS_SAMSUNG = (
    "Client=ActiveSync;UserAgent=Android-SAMSUNG-SM-S928B/101.15;Version=161;Action=/Microsoft-"
    "Server-ActiveSync/Proxy/default.eas?User={user}&DeviceId={device}&DeviceType=SMS928B&Cmd=Sync"
)
_OFFICE_AGENT = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.{build}; Pro)"

SOFTWARE: Final[tuple[Software, ...]] = (
    *(
        Software(
            Client.OUTLOOK_IOS,
            _OUTLOOK,
            "Outlook Mobile",
            _NATIVE,
            system,
            "Mobile Safari 18.3",
            _IPHONE,
            "Client=OutlookService;Outlook-iOS/2.0;",
            _OUTLOOK,
            weight=weight,
        )
        for system, weight in (("Ios 18.3.1", 0.7), ("Ios 17.7.2", 0.3))
    ),
    *(
        Software(
            Client.OUTLOOK_ANDROID,
            _OUTLOOK,
            "Outlook Mobile",
            _NATIVE,
            system,
            "Chrome Mobile WebView 133.0.6943",
            _PIXEL,
            "Client=OutlookService;Outlook-Android/2.0;",
            _OUTLOOK,
            weight=weight,
        )
        for system, weight in (("Android 15", 0.6), ("Android 14", 0.4))
    ),
    Software(
        Client.OUTLOOK_MAC_NEW,
        _OFFICE,
        "Microsoft Office",
        _NATIVE,
        "MacOs",
        "Mobile Safari",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_3_1) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        "Client=REST;MacOutlook/16.106.26022512 (Mac OS X 15.3.1 (24D70));",
        _OFFICE,
        version="16.106.26022512",
    ),
    Software(
        Client.OUTLOOK_MAC_LEGACY,
        _OFFICE,
        "Microsoft Office",
        _NATIVE,
        "MacOs",
        "Mobile Safari",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 13_6) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        "Client=WebServices;MacOutlook/16.78.23100802 (Mac OS X 13.6 (22G120));",
        _OFFICE,
        version="16.78.23100802",
    ),
    *(
        Software(
            Client.OUTLOOK_WINDOWS_CLASSIC,
            _OFFICE,
            "Microsoft Office",
            _NATIVE,
            system,
            "Rich Client 5.0.2.0",
            _OFFICE_AGENT.format(build=build.rsplit(".", 1)[0].removeprefix("16.0.")),
            "Client=MSExchangeRPC",
            "",
            "OUTLOOK.EXE",
            build,
            weight,
        )
        for system, build, weight in (
            ("Windows10", "16.0.17928.20440", 0.35),
            ("Windows11", "16.0.18526.20144", 0.65),
        )
    ),
    Software(
        Client.OUTLOOK_WINDOWS_NEW,
        _NEW,
        "Microsoft Outlook",
        _NATIVE,
        "Windows11",
        "Edge 145.0.0",
        f"{_EDGE} OneOutlook/1.2026.218.400",
        f"Client=OWA;{_EDGE} OneOutlook/1.2026.218.400;",
        _NEW,
        weight=0.6,
    ),
    Software(
        Client.OUTLOOK_WINDOWS_NEW,
        _NEW,
        "Microsoft Outlook",
        _NATIVE,
        "Windows10",
        "Edge 145.0.0",
        f"{_EDGE} OneOutlook/1.2026.211.300",
        "Client=OWA;Action=ViaProxy",
        _NEW,
        weight=0.4,
    ),
    Software(
        Client.OWA,
        _OWA,
        "One Outlook Web",
        "Browser",
        "Windows10",
        "Edge 145.0.0",
        _EDGE,
        f"Client=OWA;{_EDGE};",
        _OWA,
        weight=0.7,
    ),
    Software(
        Client.OWA,
        _OWA,
        "One Outlook Web",
        "Browser",
        "MacOs",
        "Chrome 145.0.0",
        _CHROME_MAC,
        "Client=OWA;Action=ViaProxy",
        _OWA,
        weight=0.3,
    ),
    Software(
        Client.ACTIVESYNC,
        _APPLE,
        "Apple Internet Accounts",
        _NATIVE,
        "Ios 18.3.1",
        "Mobile Safari 18.3",
        "Apple-iPhone15C4/2403.9",
        _EAS_INFO,
        EXCHANGE,
        weight=0.6,
    ),
    Software(
        Client.ACTIVESYNC,
        EXCHANGE,
        "Office 365 Exchange Online",
        "Exchange ActiveSync",
        "",
        "",
        "Android-SAMSUNG-SM-S928B/101.15",
        _EAS_SAMSUNG,
        EXCHANGE,
        weight=0.4,
    ),
    Software(
        Client.IMAP4,
        EXCHANGE,
        "Office 365 Exchange Online",
        "IMAP4",
        "",
        "",
        "",
        "Client=POP3/IMAP4;Protocol=IMAP4",
        weight=0.7,
    ),
    Software(
        Client.IMAP4,
        "9e5f94bc-e8a4-4e73-b8be-63364c29d753",
        "Mozilla Thunderbird",
        _NATIVE,
        "Windows10",
        "Firefox 128.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Thunderbird/128.7.1",
        "Client=POP3/IMAP4;Protocol=IMAP4",
        weight=0.3,
    ),
    Software(
        Client.EWS,
        _APPLE,
        "Apple Internet Accounts",
        _NATIVE,
        "MacOs",
        "Safari 18.3",
        "Mac+OS+X/15.3.1 (24D70) accountsd/113",
        "Client=WebServices;AppleExchangeWebServices/814.80.3 Mail/3826.400.131;",
        _APPLE,
    ),
    Software(
        Client.GRAPH,
        "de8bc8b5-d9f9-48b1-a8ad-b748da725064",
        "Graph Explorer",
        "Browser",
        "Windows10",
        "Edge 145.0.0",
        _EDGE,
        "Client=REST;;",
        GRAPH,
    ),
    Software(
        Client.POWERSHELL,
        "fb78d390-0c51-40cd-8e17-fdbfab77341b",
        "Microsoft Exchange REST API Based Powershell",
        _NATIVE,
        "Windows10",
        "Rich Client 4.61.3.0",
        "",
        "Client=Microsoft.Exchange.Powershell; Microsoft WinRM Client",
        "fb78d390-0c51-40cd-8e17-fdbfab77341b",
    ),
    Software(
        Client.TEAMS,
        _TEAMS,
        "Microsoft Teams",
        _NATIVE,
        "Windows11",
        "Rich Client 4.66.1.0",
        f"{_EDGE} Teams/25332.1210.4188.1171",
        _TEAMS_INFO,
        _TEAMS,
        weight=0.8,
    ),
    Software(
        Client.TEAMS,
        "5e3ce6c0-2b1f-4285-8d4b-75ee78787346",
        "Microsoft Teams Web Client",
        "Browser",
        "MacOs",
        "Chrome 145.0.0",
        _CHROME_MAC,
        _TEAMS_INFO,
        _TEAMS,
        weight=0.2,
    ),
    Software(Client.OFFICE_WEB, _HOME, "OfficeHome", "Browser", "Windows10", "Edge 145.0.0", _EDGE),
    Software(
        Client.OFFICE_WEB,
        "4b233688-031c-404b-9a80-a4f3f2351f90",
        "Office.com",
        "Browser",
        "MacOs",
        "Chrome 145.0.0",
        _CHROME_MAC,
        weight=0.5,
    ),
    Software(
        Client.COPILOT,
        "c0ab8ce9-e9a0-42e7-b064-33d422df41f1",
        "M365ChatClient",
        "Browser",
        "Windows10",
        "Edge 145.0.0",
        _EDGE,
    ),
    # Not mail, yet part of every tenant's sign-in log.
    Software(
        Client.OTHER,
        "ab9b8c07-8f02-4f72-87fa-80105867a763",
        "OneDrive SyncEngine",
        _NATIVE,
        "Windows10",
        "Rich Client 5.0.2.0",
        "",
        weight=0.8,
    ),
    Software(
        Client.OTHER,
        "c44b4083-3bb0-49c1-b47d-974e53cbdf3c",
        "Azure Portal",
        "Browser",
        "Windows10",
        "Edge 145.0.0",
        _EDGE,
        weight=0.2,
    ),
)


# Server-side callers of mailboxes in the audit log: (client string, app id, share).
SYSTEM_CALLERS: Final = (
    ("Client=REST;Client=RESTSystem;;", "13937bba-652e-4c46-b222-3003f4d1ff97", 0.62),
    ("Client=REST;Client=RESTSystem;;", "b669c6ea-1adf-453f-b8bc-6d526592b419", 0.31),
    (
        "Client=TBA;Service=MSExchangeMailboxAssistants;Action=CalendarRepairAssistant",
        "",
        0.05,
    ),
    ("Client=WebServices;Action=ConfigureGroupMailbox", "", 0.02),
)
FIRST_SYSTEM: Final = len(SOFTWARE)

# Programs without a person, in the logs of service principals and managed identities.
PRINCIPALS: Final = (
    ("6f4b1c9e-2d33-4f0a-9c51-7a1b6d2e8f01", "Contoso HR Sync"),
    ("a92d7e54-81c6-4b3d-8e2f-3c5d9b7a6102", "Contoso Backup"),
    ("3e8c5a17-f4b2-4d69-a7c0-5b9e1d4f8303", "Contoso Ticketing"),
    ("d17b9f62-0a5e-4c84-b3d9-8f2a6c7e5404", "Contoso Web Shop"),
)
# Apps a sprayer knocks at: older protocols and scripts.
SPRAYED: Final[tuple[Software, ...]] = (
    Software(
        Client.POWERSHELL,
        "1b730954-1685-4b74-9bfd-dac224a7b894",
        "Azure Active Directory PowerShell",
        _NATIVE,
        "Windows10",
        "",
        "python-requests/2.31.0",
        weight=0.4,
    ),
    Software(
        Client.SMTP_AUTH,
        EXCHANGE,
        "Office 365 Exchange Online",
        "Authenticated SMTP",
        "",
        "",
        "BAV2ROPC",
        weight=0.4,
    ),
    Software(
        Client.OWA,
        _OWA,
        "One Outlook Web",
        "Browser",
        "Linux",
        "Chrome 120.0.0",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0",
        weight=0.2,
    ),
)
SPRAYED_RESOURCES: Final = ("directory", "exchange", "exchange")
# What a sign-in row's ``software`` counts through.
SIGNIN_SOFTWARE: Final[tuple[Software, ...]] = (
    *SOFTWARE,
    *SPRAYED,
    *(Software(Client.OTHER, app, name, "", "", "", "") for app, name in PRINCIPALS),
)
FIRST_SPRAYED: Final = len(SOFTWARE)
FIRST_PRINCIPAL: Final = len(SOFTWARE) + len(SPRAYED)
