"""Changes the tenant made to itself, from its own directory audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 # read back at run time by documents.from_json
from enum import StrEnum


class ChangeKind(StrEnum):
    """What was changed; each kind can break sign-ins in its own way."""

    CONDITIONAL_ACCESS = "conditional_access"
    FEDERATION = "federation"
    CERTIFICATE = "certificate"
    APP_CREDENTIALS = "app_credentials"
    NAMED_LOCATION = "named_location"
    AUTHENTICATION_METHOD = "authentication_method"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class TenantChange:
    """One administrative change; who made it is not kept."""

    tenant: str
    at: datetime
    kind: ChangeKind
