"""Directory audit records (Graph ``directoryAudit``): daily administration and changes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.model.clock import rfc3339
from pipeline.simulate.population import MEMBER
from pipeline.simulate.spec import guid, stream

if TYPE_CHECKING:
    from pipeline.simulate.world import World

_DAILY: Final = (
    ("Update user", "UserManagement", "Core Directory", "User"),
    ("Add member to group", "GroupManagement", "Core Directory", "Group"),
    ("Update device", "Device", "Core Directory", "Device"),
    ("Reset user password", "UserManagement", "Core Directory", "User"),
    ("User registered security info", "UserManagement", "Authentication Methods", "User"),
    ("Consent to application", "ApplicationManagement", "Core Directory", "ServicePrincipal"),
)
_WEIGHTS: Final = (0.40, 0.22, 0.22, 0.08, 0.06, 0.02)


def directory_pages(world: World) -> list[tuple[str, dict[str, Any]]]:
    """One page a week, newest first, as (file name, page)."""
    spec = world.spec
    rng = stream(spec.seed, "directory")
    records = [_change(world, change, rng) for change in world.plan.changes]
    for day in range(7 * spec.weeks):
        start = spec.begin + timedelta(days=day)
        busy = 1.0 if start.weekday() < 5 else 0.1
        hours = rng.uniform(7, 17, int(rng.poisson(busy * (3 + spec.users / 60))))
        records += [_daily(world, start + timedelta(hours=float(h)), rng) for h in hours]
    records.sort(key=lambda r: str(r["activityDateTime"]), reverse=True)
    pages = []
    for week in range(spec.weeks):
        first = spec.begin + timedelta(weeks=week)
        low, high = rfc3339(first), rfc3339(first + timedelta(weeks=1))
        mine = [r for r in records if low <= r["activityDateTime"] < high]
        page = {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#auditLogs/directoryAudits",
            "value": mine,
        }
        pages.append((f"directoryAudits-{first:%Y-%m-%d}.json", page))
    return pages


def _daily(world: World, at: datetime, rng: np.random.Generator) -> dict[str, Any]:
    people = world.people.accounts
    members = np.flatnonzero(people.kind == MEMBER)
    activity, category, service, kind = _DAILY[int(rng.choice(len(_DAILY), p=_WEIGHTS))]
    target = int(rng.choice(members))
    name = {"User": people.name[target], "Group": "Project team", "Device": "NB-" + f"{target:05d}"}
    return _record(
        world, rng, at, activity, category, service, kind, name.get(kind, "Contoso Ticketing")
    )


def _change(world: World, change: Any, rng: np.random.Generator) -> dict[str, Any]:
    return _record(
        world,
        rng,
        change.at + timedelta(seconds=float(rng.uniform(0, 50))),
        change.activity,
        change.category,
        change.service,
        change.target_type,
        change.target,
    )


def _record(
    world: World,
    rng: np.random.Generator,
    at: datetime,
    activity: str,
    category: str,
    service: str,
    kind: str,
    target: str,
) -> dict[str, Any]:
    people = world.people.accounts
    admin = 0
    rid = guid(rng.bytes(16).hex())
    return {
        "id": f"Directory_{rid}_{int(rng.integers(1, 10**8)):08d}",
        "category": category,
        "correlationId": guid(rng.bytes(16).hex()),
        "result": "success",
        "resultReason": "",
        "activityDisplayName": activity,
        "activityDateTime": rfc3339(at),
        "loggedByService": service,
        "operationType": activity.split(" ", maxsplit=1)[0],
        "initiatedBy": {
            "app": None,
            "user": {
                "id": people.object_id[admin],
                "displayName": people.name[admin],
                "userPrincipalName": people.upn[admin],
                "ipAddress": world.people.addresses[int(people.office_ip[admin])],
            },
        },
        "targetResources": [
            {
                "id": guid(rng.bytes(16).hex()),
                "displayName": target,
                "type": kind,
                "modifiedProperties": [],
            }
        ],
        "additionalDetails": [],
    }
