"""The national clouds of Microsoft 365: the same services at other addresses.

Sources: Microsoft's reference of the Office 365 Management Activity API (hosts by cloud), of
Microsoft Graph's national cloud deployments, and of Azure's endpoints by cloud.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

CloudName: TypeAlias = Literal["public", "gcc", "gcc_high", "dod", "china"]


@dataclass(frozen=True, slots=True)
class Cloud:
    """Addresses of one cloud.

    Attributes:
        login: of the sign-in service.
        graph: of Microsoft Graph.
        activity: of the Office 365 Management Activity API; None = it is not offered there.
        activity_audience: what a token for that API is for: in every cloud but those with a
            host of their own in another domain, the same as of the world-wide one.
        portal: of the Entra admin centre, for links that an administrator opens.
        event_hubs: domain of Event Hubs namespaces.
        storage: domain of storage accounts.
        monitor: of Azure Monitor, which tokens for sending logs to it are for.
    """

    login: str
    graph: str
    activity: str | None
    activity_audience: str
    portal: str
    event_hubs: str
    storage: str
    monitor: str


CLOUDS: Final[Mapping[CloudName, Cloud]] = {
    "public": Cloud(
        "https://login.microsoftonline.com",
        "https://graph.microsoft.com",
        "https://manage.office.com",
        "https://manage.office.com",
        "https://entra.microsoft.com",
        "servicebus.windows.net",
        "blob.core.windows.net",
        "https://monitor.azure.com",
    ),
    "gcc": Cloud(
        "https://login.microsoftonline.com",
        "https://graph.microsoft.com",
        "https://manage-gcc.office.com",
        "https://manage.office.com",
        "https://entra.microsoft.com",
        "servicebus.windows.net",
        "blob.core.windows.net",
        "https://monitor.azure.com",
    ),
    "gcc_high": Cloud(
        "https://login.microsoftonline.us",
        "https://graph.microsoft.us",
        "https://manage.office365.us",
        "https://manage.office365.us",
        "https://entra.microsoft.us",
        "servicebus.usgovcloudapi.net",
        "blob.core.usgovcloudapi.net",
        "https://monitor.azure.us",
    ),
    "dod": Cloud(
        "https://login.microsoftonline.us",
        "https://dod-graph.microsoft.us",
        "https://manage.protection.apps.mil",
        "https://manage.protection.apps.mil",
        "https://entra.microsoft.us",
        "servicebus.usgovcloudapi.net",
        "blob.core.usgovcloudapi.net",
        "https://monitor.azure.us",
    ),
    "china": Cloud(
        "https://login.partner.microsoftonline.cn",
        "https://microsoftgraph.chinacloudapi.cn",
        None,
        "",
        "https://entra.microsoftonline.cn",
        "servicebus.chinacloudapi.cn",
        "blob.core.chinacloudapi.cn",
        "https://monitor.azure.cn",
    ),
}
