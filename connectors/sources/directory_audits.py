"""Entra's directory audit through Microsoft Graph: what the tenant changes about itself.

Changes of Conditional Access, federation, certificates, credentials of applications and named
locations are what a verdict weighs against an outage. Needs the application permission
AuditLog.Read.All, and Directory.Read.All for the licence check
(microsoft-graph-docs-contrib, directoryaudit-list.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connectors.sources.graph_listing import Listing
from connectors.sources.graph_windows import KEPT, GraphWindows

if TYPE_CHECKING:
    from datetime import timedelta

    from connectors.http.client import HttpClient
    from connectors.normalise.settings import NormaliseSettings
    from pipeline.model.clock import Clock

NAME: Final = "directory_audits"
LISTING: Final = Listing(
    name=NAME,
    what="directory audits",
    version="v1.0",
    path="auditLogs/directoryAudits",
    time="activityDateTime",
    # What connectors.normalise reads of a directory audit record.
    fields=(
        "id",
        "activityDateTime",
        "activityDisplayName",
        "loggedByService",
        "result",
        "initiatedBy",
    ),
    told_apart=("result",),
    condition="",
    otherwise="read these logs from Event Hubs or a storage account instead",
)


class DirectoryAudits(GraphWindows):
    """Reads directory audits; how, see :class:`~connectors.sources.graph_windows.GraphWindows`.

    Args:
        client: of Microsoft Graph, with the identity and the budget of the tenant.
        settings: key, and the tenant, which the records do not name.
        lookback: how far back the very first reading goes.
        clock: tells how old things are.
        kept: how long Entra keeps the records: 30 days, 7 without P1 or P2
            (:data:`~connectors.sources.graph_windows.KEPT_WITHOUT_LICENCE`).
    """

    def __init__(
        self,
        client: HttpClient,
        settings: NormaliseSettings,
        *,
        lookback: timedelta,
        clock: Clock | None = None,
        kept: timedelta = KEPT,
    ) -> None:
        super().__init__(client, settings, LISTING, lookback=lookback, clock=clock, kept=kept)
