"""Closed sets: clients, services, sources, outcomes, signals, verdicts and how they relate."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Client(StrEnum):
    """What a user held in the hand when reaching Microsoft 365."""

    OUTLOOK_IOS = "outlook_ios"
    OUTLOOK_ANDROID = "outlook_android"
    OUTLOOK_MAC_NEW = "outlook_mac_new"
    OUTLOOK_MAC_LEGACY = "outlook_mac_legacy"
    OUTLOOK_MAC = "outlook_mac"
    OUTLOOK_WINDOWS_CLASSIC = "outlook_windows_classic"
    OUTLOOK_WINDOWS_NEW = "outlook_windows_new"
    OWA = "owa"
    ACTIVESYNC = "activesync"
    IMAP4 = "imap4"
    POP3 = "pop3"
    SMTP_AUTH = "smtp_auth"
    EWS = "ews"
    GRAPH = "graph"
    POWERSHELL = "powershell"
    TEAMS = "teams"
    COPILOT = "copilot"
    OFFICE_WEB = "office_web"
    SYSTEM = "system"
    OTHER = "other"

    @property
    def label(self) -> str:
        """The name an operator reads, e.g. ``Outlook for iOS``."""
        return CLIENT_LABELS[self]


CLIENT_LABELS: Final[dict[Client, str]] = {
    Client.OUTLOOK_IOS: "Outlook for iOS",
    Client.OUTLOOK_ANDROID: "Outlook for Android",
    Client.OUTLOOK_MAC_NEW: "new Outlook for Mac",
    Client.OUTLOOK_MAC_LEGACY: "legacy Outlook for Mac",
    Client.OUTLOOK_MAC: "Outlook for Mac",
    Client.OUTLOOK_WINDOWS_CLASSIC: "classic Outlook for Windows",
    Client.OUTLOOK_WINDOWS_NEW: "new Outlook for Windows",
    Client.OWA: "Outlook on the web",
    Client.ACTIVESYNC: "ActiveSync mail apps",
    Client.IMAP4: "IMAP4",
    Client.POP3: "POP3",
    Client.SMTP_AUTH: "authenticated SMTP",
    Client.EWS: "Exchange Web Services",
    Client.GRAPH: "Microsoft Graph",
    Client.POWERSHELL: "PowerShell",
    Client.TEAMS: "Microsoft Teams",
    Client.COPILOT: "Microsoft 365 Copilot",
    Client.OFFICE_WEB: "Office on the web",
    Client.SYSTEM: "server-side traffic",
    Client.OTHER: "other clients",
}

# A coarse client and the finer ones it may stand for: sign-in logs cannot tell
# new from legacy Outlook for Mac, the mailbox audit log can.
FINER_CLIENTS: Final[dict[Client, frozenset[Client]]] = {
    Client.OUTLOOK_MAC: frozenset({Client.OUTLOOK_MAC_NEW, Client.OUTLOOK_MAC_LEGACY}),
}

# Clients that share a product line; used to weigh how close two clients are.
CLIENT_FAMILIES: Final[dict[str, frozenset[Client]]] = {
    "mobile": frozenset({Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID}),
    "mac": frozenset({Client.OUTLOOK_MAC, Client.OUTLOOK_MAC_NEW, Client.OUTLOOK_MAC_LEGACY}),
    "windows": frozenset({Client.OUTLOOK_WINDOWS_CLASSIC, Client.OUTLOOK_WINDOWS_NEW}),
    "legacy_protocol": frozenset({Client.IMAP4, Client.POP3, Client.SMTP_AUTH, Client.EWS}),
}


def same_client(left: Client, right: Client) -> bool:
    """Whether two clients may be one: equal, or one is the coarse form of the other."""
    return (
        left == right
        or right in FINER_CLIENTS.get(left, ())
        or left in FINER_CLIENTS.get(right, ())
    )


def finest(clients: frozenset[Client]) -> frozenset[Client]:
    """Drop each coarse client one of whose finer forms is in the set too."""
    return frozenset(c for c in clients if not FINER_CLIENTS.get(c, frozenset()) & clients)


class Service(StrEnum):
    """The Microsoft 365 service that was asked for: the resource, not the app."""

    EXCHANGE_ONLINE = "exchange_online"
    OFFICE_WEB = "office_web"
    COPILOT = "copilot"
    TEAMS = "teams"
    SHAREPOINT = "sharepoint"
    ONEDRIVE = "onedrive"
    IDENTITY = "identity"
    OTHER = "other"

    @property
    def label(self) -> str:
        """The name an operator reads, e.g. ``Exchange Online``."""
        return SERVICE_LABELS[self]


SERVICE_LABELS: Final[dict[Service, str]] = {
    Service.EXCHANGE_ONLINE: "Exchange Online",
    Service.OFFICE_WEB: "Office on the web",
    Service.COPILOT: "Microsoft 365 Copilot",
    Service.TEAMS: "Microsoft Teams",
    Service.SHAREPOINT: "SharePoint Online",
    Service.ONEDRIVE: "OneDrive",
    Service.IDENTITY: "Entra ID sign-in",
    Service.OTHER: "other services",
}


class Source(StrEnum):
    """The log a record came from."""

    ENTRA_SIGNIN = "entra_signin"
    ENTRA_SIGNIN_NONINTERACTIVE = "entra_signin_noninteractive"
    EXCHANGE_AUDIT = "exchange_audit"
    ENTRA_DIRECTORY_AUDIT = "entra_directory_audit"


class Outcome(StrEnum):
    """How one attempt ended, from the code table; an unknown code is never success."""

    SUCCESS = "success"
    SERVICE_FAULT = "service_fault"
    THROTTLED = "throttled"
    USER_ERROR = "user_error"
    ATTACK_SIGNAL = "attack_signal"
    POLICY = "policy"
    INTERRUPT = "interrupt"
    EXPIRED_SESSION = "expired_session"
    CLIENT_CONFIG = "client_config"
    FEDERATION = "federation"
    UNKNOWN_FAILURE = "unknown_failure"


class OutcomeFamily(StrEnum):
    """Failures grouped by whose hands they point to."""

    SERVICE = "service"
    TENANT = "tenant"
    CREDENTIAL = "credential"


# Interrupts (MFA prompts, account pickers) and expired sessions are steps of a
# good sign-in, so they belong to no family and count neither way.
OUTCOME_FAMILIES: Final[dict[Outcome, OutcomeFamily]] = {
    Outcome.SERVICE_FAULT: OutcomeFamily.SERVICE,
    Outcome.UNKNOWN_FAILURE: OutcomeFamily.SERVICE,
    Outcome.THROTTLED: OutcomeFamily.SERVICE,
    Outcome.POLICY: OutcomeFamily.TENANT,
    Outcome.FEDERATION: OutcomeFamily.TENANT,
    Outcome.CLIENT_CONFIG: OutcomeFamily.TENANT,
    Outcome.USER_ERROR: OutcomeFamily.CREDENTIAL,
    Outcome.ATTACK_SIGNAL: OutcomeFamily.CREDENTIAL,
}


class Signal(StrEnum):
    """What a detector watches."""

    FAILURE_RATE = "failure_rate"
    ACTIVE_USERS = "active_users"
    ACCESS_VOLUME = "access_volume"
    RETRY_PRESSURE = "retry_pressure"
    CLIENT_SHIFT = "client_shift"
    NEW_ERROR = "new_error"
    LATENCY = "latency"


class FlagKind(StrEnum):
    """What a detector says happened."""

    FAILURE_SPIKE = "failure_spike"
    VOLUME_DROP = "volume_drop"
    RETRY_SURGE = "retry_surge"
    CLIENT_SHIFT = "client_shift"
    NEW_ERROR = "new_error"


# What says that people are missing from a client, by their number or by where they are.
MISSING_KINDS: Final = frozenset({FlagKind.VOLUME_DROP, FlagKind.CLIENT_SHIFT})


class Verdict(StrEnum):
    """Whose fault an incident is."""

    SERVICE_OUTAGE = "service_outage"
    TENANT_CHANGE = "tenant_change"
    ATTACK = "attack"
    LOCAL_NETWORK = "local_network"
    TELEMETRY_GAP = "telemetry_gap"
    UNDETERMINED = "undetermined"

    @property
    def label(self) -> str:
        """The words an operator reads."""
        return VERDICT_LABELS[self]


VERDICT_LABELS: Final[dict[Verdict, str]] = {
    Verdict.SERVICE_OUTAGE: "Microsoft 365 outage",
    Verdict.TENANT_CHANGE: "our own change",
    Verdict.ATTACK: "attack on accounts",
    Verdict.LOCAL_NETWORK: "one site's network",
    Verdict.TELEMETRY_GAP: "gap in our telemetry",
    Verdict.UNDETERMINED: "undetermined",
}
