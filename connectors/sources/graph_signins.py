"""Entra sign-ins through Microsoft Graph: ``auditLogs/signIns``, of beta or of v1.0.

Needs Entra ID P1 or P2 and the application permissions AuditLog.Read.All and Directory.Read.All
(microsoft-graph-docs-contrib, signin-list.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from connectors.sources.graph_listing import Listing
from connectors.sources.graph_windows import GraphWindows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from connectors.http.client import HttpClient
    from connectors.normalise.settings import NormaliseSettings
    from pipeline.model.clock import Clock

NAME: Final = "graph_signins"
Version: TypeAlias = Literal["beta", "v1.0"]
Kind: TypeAlias = Literal["interactiveUser", "nonInteractiveUser"]
KINDS: Final[tuple[Kind, ...]] = ("interactiveUser", "nonInteractiveUser")

# What connectors.normalise reads of a sign-in: fewer fields, smaller answers, less throttling.
_FIELDS: Final = (
    "id",
    "createdDateTime",
    "userId",
    "userPrincipalName",
    "appId",
    "appDisplayName",
    "ipAddress",
    "clientAppUsed",
    "isInteractive",
    "resourceId",
    "resourceDisplayName",
    "status",
    "deviceDetail",
    "location",
)
# v1.0 knows none of these (microsoft-graph-docs-contrib, v1.0/resources/signin.md).
_BETA_FIELDS: Final = (
    "userAgent",
    "signInEventTypes",
    "servicePrincipalId",
    "homeTenantId",
    "resourceTenantId",
    "userType",
    "autonomousSystemNumber",
    "processingTimeInMilliseconds",
)
_HUBS: Final = "read these logs from Event Hubs or a storage account instead"


def signins(version: Version, kinds: Sequence[Kind] = KINDS) -> Listing:
    """The report of sign-ins.

    Args:
        version: of Graph. v1.0 tells interactive sign-ins only.
        kinds: of sign-ins, where the version tells both.
    """
    beta = version == "beta"
    terms = " or ".join(f"t eq '{kind}'" for kind in kinds)
    return Listing(
        name=NAME,
        what="Entra sign-ins",
        version=version,
        path="auditLogs/signIns",
        time="createdDateTime",
        fields=_FIELDS + (_BETA_FIELDS if beta else ()),
        told_apart=("status", "errorCode"),
        # Without it beta too tells interactive ones only.
        condition=f"signInEventTypes/any(t: {terms})" if beta else "",
        otherwise=f'set version = "v1.0" (interactive sign-ins only), or {_HUBS}'
        if beta
        else f'set version = "beta", which some clouds keep more current, or {_HUBS}',
    )


class GraphSignins(GraphWindows):
    """Reads sign-ins; how, see :class:`~connectors.sources.graph_windows.GraphWindows`.

    Args:
        client: of Microsoft Graph, with the identity and the budget of the tenant.
        settings: key, sites, and the tenant, which records of v1.0 do not name.
        lookback: how far back the very first reading goes.
        version: of Graph.
        kinds: of sign-ins; v1.0 has no choice.
        clock: tells how old things are.
    """

    def __init__(
        self,
        client: HttpClient,
        settings: NormaliseSettings,
        *,
        lookback: timedelta,
        version: Version = "beta",
        kinds: Sequence[Kind] = KINDS,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(client, settings, signins(version, kinds), lookback=lookback, clock=clock)

    @property
    def remark(self) -> str:
        """What this way does not tell, and what to do; empty if nothing is left out."""
        if self.listing.version == "beta":
            return ""
        return (
            f"{self.listing.who}: interactive sign-ins only, which leaves most traffic of mail "
            f'clients out; set version = "beta", or {_HUBS}'
        )
