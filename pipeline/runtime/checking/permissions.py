"""The permissions that each source needs, by name, and which of them are not granted.

Names and ids: Microsoft Graph permissions reference
(https://learn.microsoft.com/graph/permissions-reference), and the reference of the Office 365
Management APIs. Each id was read in several public copies of these and of set-up scripts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.runtime.checking.finding import Finding, State

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

GRAPH_ID: Final = "00000003-0000-0000-c000-000000000000"
ACTIVITY_ID: Final = "c5393580-f805-4401-95e8-94b7a6ef2fc2"


@dataclass(frozen=True, slots=True)
class Permission:
    """An application permission (an app role of a resource).

    Attributes:
        name: as Entra shows it.
        resource: id of the application whose role it is, the same in every tenant.
        api: its name.
        role_id: of the role.
        why: what it is for.
        instead: a wider permission that does as well.
        optional: whether the source works without it.
    """

    name: str
    resource: str
    api: str
    role_id: str
    why: str
    instead: str = ""
    optional: bool = False


_GRAPH: Final = "Microsoft Graph"
_ACTIVITY: Final = "Office 365 Management APIs"
READ_LOGS: Final = Permission(
    "AuditLog.Read.All",
    GRAPH_ID,
    _GRAPH,
    "b0afded3-3588-46d8-8b3d-9842eff778da",
    "sign-ins and directory audits",
)
READ_DIRECTORY: Final = Permission(
    "Directory.Read.All",
    GRAPH_ID,
    _GRAPH,
    "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
    "without it Graph does not see the licence that the reports need",
)
READ_HEALTH: Final = Permission(
    "ServiceHealth.Read.All",
    GRAPH_ID,
    _GRAPH,
    "79c261e0-fe76-4144-aad5-bdc68fbe4037",
    "advisories and health overviews",
)
READ_MESSAGES: Final = Permission(
    "ServiceMessage.Read.All",
    GRAPH_ID,
    _GRAPH,
    "1b620472-6534-4fe6-9df2-4680e8aa28ec",
    "Message Center posts that speak of failing access; they are left out without it",
    optional=True,
)
QUERY_AUDIT: Final = Permission(
    "AuditLogsQuery-Exchange.Read.All",
    GRAPH_ID,
    _GRAPH,
    "6b0d2622-d34e-4470-935b-b96550e5ca8d",
    "searches of the mailbox audit log",
    instead="AuditLogsQuery.Read.All",
)
READ_ACTIVITY: Final = Permission(
    "ActivityFeed.Read",
    ACTIVITY_ID,
    _ACTIVITY,
    "594c1fb6-4f81-4475-ae41-0c394909246c",
    "mailbox audit records",
)
NEEDED: Final[Mapping[str, tuple[Permission, ...]]] = {
    "graph_signins": (READ_LOGS, READ_DIRECTORY),
    "directory_audits": (READ_LOGS, READ_DIRECTORY),
    "activity": (READ_ACTIVITY,),
    "audit_query": (QUERY_AUDIT,),
    "service_health": (READ_HEALTH, READ_MESSAGES),
}
"""By source. Event Hubs and storage accounts have roles of Azure instead (:data:`AZURE`)."""

AZURE: Final[Mapping[str, str]] = {
    "event_hubs": "Azure Event Hubs Data Receiver",
    "blobs": "Storage Blob Data Reader",
}
"""By source, the role of Azure at its namespace or storage account."""


def granted(
    where: str, needed: Iterable[Permission], roles: Collection[str], consent: str
) -> list[Finding]:
    """A finding for each permission.

    Args:
        where: source that needs them.
        needed: by it.
        roles: that the token carries.
        consent: address where an administrator consents; empty = there is none, as for a
            managed identity.
    """
    nobody = "" if roles else " (nor is any other: nobody has consented yet)"
    found = []
    for permission in needed:
        name, other = permission.name, permission.instead
        wider = f" (or {other})" if other else ""
        if name in roles or (other and other in roles):
            held = name if name in roles else other
            found.append(Finding(where, "permission", State.OK, f"{held} is granted"))
            continue
        remedy = (
            f"add the application permission {name}{wider} of {permission.api} to the application, "
            f"then have an administrator (Privileged Role Administrator) open {consent}"
            if consent
            else f"grant the identity the role {name} of {permission.api}: 'outrider setup "
            "--credential managed_identity' prints the command"
        )
        found.append(
            Finding(
                where,
                "permission",
                State.WARN if permission.optional else State.FAIL,
                f"{name} is not granted{nobody}: {permission.why}",
                remedy,
            )
        )
    return found
