"""What Entra's refusals mean, and what to do about each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.errors import AuthError, OutriderError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRY_SECONDS: Final = 30.0
_OTHER_CLOUD: Final = "the tenant lives in another Microsoft cloud; set cloud to it"
_FEDERATED: Final = (
    "no federated credential of the application fits the token; compare its issuer, subject and "
    "audience with those of the credential"
)
_SCOPE: Final = "the scope is not of the right form; write the resource's address and /.default"

# Codes of the client credentials flow, by Microsoft's reference of AADSTS error codes.
REMEDIES: Final[Mapping[int, str]] = {
    53003: "Conditional Access keeps this workload out; an administrator has to let it in",
    70011: _SCOPE,
    70021: _FEDERATED,
    90002: "there is no such tenant; check tenant, and cloud",
    90038: _OTHER_CLOUD,
    500011: "the tenant knows nothing by the name in scope; check scope, and that the resource's "
    "application is there",
    501051: "the application has no role at the resource; an administrator has to assign one",
    700016: "the tenant does not know the application; check client_id and tenant, or have an "
    "administrator consent to it",
    700024: "the signed request is not valid at this time; set this machine's clock",
    700027: "the certificate is not one of the application's; upload it there, or use the right one",
    700211: _FEDERATED,
    700212: _FEDERATED,
    700213: _FEDERATED,
    900021: "tenant is no tenant's id; check it",
    900023: "tenant is neither an id nor a domain; check it",
    900382: _OTHER_CLOUD,
    900432: _OTHER_CLOUD,
    1002012: _SCOPE,
    70016: "nobody has entered the code in time; start again",
    70018: "the person has declined; start again, or use a credential of the application",
    70020: "nobody has entered the code in time; start again",
    7000112: "the application is disabled; an administrator has to enable it",
    7000215: "the client secret is wrong; write the secret's value, not its id, into the file",
    7000218: "the application lets nobody sign in with a code; allow public client flows in its "
    "registration",
    7000222: "the client secret has expired; make a new one and write it into the file",
    7000229: "the application has no service principal in the tenant; an administrator has to "
    "add it there",
}
# The service has a problem of its own: these pass.
_PASSING: Final = frozenset({50000, 50087, 90024, 90033, 90055})
_PASSING_ERRORS: Final = frozenset({"temporarily_unavailable", "server_error"})


def code_of(document: Mapping[str, Any]) -> int | None:
    """The AADSTS code of a refusal, None if it carries none.

    >>> code_of({"error_description": "AADSTS90002: Tenant 'x' not found."})
    90002
    """
    for code in document.get("error_codes") or ():
        if isinstance(code, int):
            return code
    match = re.search(r"AADSTS(\d+)", str(document.get("error_description", "")))
    return None if match is None else int(match[1])


def refusal(document: Mapping[str, Any], who: str, remedy: str) -> OutriderError:
    """What to raise for a refusal.

    The service's own words are left out: they may quote what was sent.

    Args:
        document: the refusal, as the service sends it.
        who: signs in where, for the message.
        remedy: for a refusal without a code.
    """
    code = code_of(document)
    error = re.sub(r"[^a-z_]", "", str(document.get("error", "")))[:40]
    name = f"AADSTS{code}" if code is not None else error or "no code"
    if code in _PASSING or (code not in REMEDIES and error in _PASSING_ERRORS):
        return RetriableError(f"{who}: Entra has a problem of its own ({name})", retry_after=30.0)
    if code is not None:
        unknown = f"look {name} up in Microsoft's list of AADSTS error codes"
        remedy = REMEDIES.get(code, unknown)
    correlation = re.sub(r"[^0-9a-f-]", "", str(document.get("correlation_id", "")).lower())[:36]
    mark = f" (correlation id {correlation})" if correlation else ""
    return AuthError(f"{who}: refused with {name}: {remedy}{mark}")
