"""Directory audit records to rows: what the tenant changed about itself.

Source: Graph directoryAudit and its Azure Monitor and Log Analytics forms (AuditLogs).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from connectors.normalise.clients import Profile
from connectors.normalise.columns import Context, Rows
from connectors.normalise.outcomes import outcome_of_word
from connectors.normalise.problems import UnusableError
from connectors.normalise.tables import rows as table_rows
from connectors.normalise.tenants import tenant_name
from pipeline.model.reject import RejectReason
from pipeline.model.vocabulary import Client, Service, Source

if TYPE_CHECKING:
    from connectors.normalise.pseudonyms import Pseudonyms
    from connectors.normalise.settings import NormaliseSettings

OPERATIONS: Final = (
    "conditional_access",
    "federation",
    "certificate",
    "app_credentials",
    "named_location",
    "authentication_method",
    "licence",
    "other",
)
_PROFILE: Final = Profile(Client.OTHER, Service.IDENTITY)


class DirectoryFields(NamedTuple):
    """One directory audit record as text, in whatever form it came."""

    id: str | None = None
    created: str | None = None
    received: str | None = None
    tenant: str | None = None
    activity: str | None = None
    service: str | None = None
    category: str | None = None
    result: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    correlation: str | None = None


@cache
def _rules() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    table = sorted(table_rows("directory_operations"), key=lambda r: int(r["priority"]))
    return tuple((r["operation"], r["field"], re.compile(r["pattern"])) for r in table)


def operation_of(activity: str | None, service: str | None) -> str:
    """Which kind of change an activity is, one of OPERATIONS.

    >>> operation_of("Update conditional access policy", "Conditional Access")
    'conditional_access'
    """
    fields = {"activity": activity or "", "service": service or ""}
    found = (o for o, f, p in _rules() if p.search(fields[f].strip()))
    return next(found, "other")


class Directories:
    """Reads directory audit records into rows."""

    def __init__(self, settings: NormaliseSettings, pseudonyms: Pseudonyms) -> None:
        self.rows = Rows()
        self._tenant = settings.tenant
        self._pseudonyms = pseudonyms

    def add(self, fields: DirectoryFields, at: int) -> None:
        """Take a directory audit record of any form.

        Raises:
            UnusableError: the record has no time, or no tenant can be called so.
        """
        if not fields.created:
            raise UnusableError(
                RejectReason.MISSING_FIELD,
                "activityDateTime: not in the record; export the column with the event time",
            )
        rows = self.rows
        place = (fields.tenant, fields.activity, fields.service, fields.result)
        context = rows.context_codes.get(place)
        if context is None:
            context = rows.context_code(
                place,
                Context(
                    tenant=tenant_name(fields.tenant, self._tenant),
                    source=Source.ENTRA_DIRECTORY_AUDIT.value,
                    operation=operation_of(fields.activity, fields.service),
                    outcome=outcome_of_word(fields.result).value,
                    error_code=None,
                    country=None,
                    network=None,
                    flags=0,
                ),
            )
        if not rows.profiles:
            rows.profile_code((), _PROFILE)
        user = fields.user_id or fields.user_name
        ident = fields.id or f"{fields.created} {fields.activity} {fields.correlation}"
        rows.ids.append(ident)
        rows.created.append(fields.created)
        rows.received.append(fields.received)
        rows.profile.append(0)
        rows.context.append(context)
        rows.user.append(self._pseudonyms.user(user, fields.user_name) if user else 0)
        rows.at.append(at)
