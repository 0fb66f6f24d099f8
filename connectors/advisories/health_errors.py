"""What Graph's refusals of service communications mean, and what to do about each.

Sources: Microsoft Graph's pages of ``serviceAnnouncement`` (permissions by operation) and its
list of error codes. Its limits, 240 requests in 60 s and 800 in an hour for each application and
tenant (service-specific throttling limits, section Service Communications), are far from a look
each five minutes, which takes some 25 requests in an hour.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pipeline.model.errors import AuthError, FatalError, OutriderError, RetriableError

if TYPE_CHECKING:
    from connectors.http.answers import RefusedError

SERVICE: Final = "Microsoft 365 service health"
HEALTH: Final = "ServiceHealth.Read.All"
MESSAGES: Final = "ServiceMessage.Read.All"

_SOON: Final = 60.0
_GONE: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


def translated(refused: RefusedError, what: str, permission: str, *, first: bool) -> OutriderError:
    """What to raise for a refusal; the service's own words are left out.

    Args:
        refused: what the HTTP client raised.
        what: was asked for, for the message: ``"issues"``.
        permission: that it needs, by name.
        first: whether the first page was asked for, and not one that the service linked.
    """
    where = f"{SERVICE}, {what}"
    code = f", {refused.code}" if refused.code else ""
    status = f"(HTTP {refused.status}{code})"
    if refused.status in _GONE and not first:
        return RetriableError(
            f"{where}: a page that it linked is gone {status}; the listing starts anew",
            retry_after=_SOON,
        )
    if refused.status == HTTPStatus.FORBIDDEN:
        return AuthError(
            f"{where}: refused {status}; give the application the application permission "
            f"{permission} of Microsoft Graph, and have an administrator consent ('outrider "
            "check' prints the address)"
        )
    if refused.status == HTTPStatus.NOT_FOUND:
        return FatalError(
            f"{where}: not there {status}; check microsoft.cloud and microsoft.graph_address: "
            "not every cloud offers it, and status_page needs no sign-in"
        )
    if refused.status == HTTPStatus.GONE:
        return FatalError(
            f"{where}: Microsoft has retired this address {status}; a newer version of this "
            "program is needed, and status_page works meanwhile"
        )
    return FatalError(
        f"{where}: refused {status}; check microsoft.graph_address, and let proxies on the way "
        "pass requests unchanged"
    )
