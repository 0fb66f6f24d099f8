"""What Microsoft Graph's refusals of its reports mean, and what to do about each.

Codes seen in public: ``Authentication_MSGraphPermissionMissing`` (microsoft-graph-explorer-v4
issue 3165), ``Authentication_ApplicationHasNoReadAuditLogDataAccess`` (microsoft-graph-docs-contrib
issue 6659), ``Authentication_ApplicationHasNoDirectoryReadAccess`` (microsoft-graph-docs issue
2789), ``Authentication_RequestFromNonPremiumTenantOrB2CTenant`` (issues 12537 and 11986: told
now and then to licensed tenants too, above all without Directory.Read.All), ``BadRequest`` with
"Invalid filter clause" (issue 14173), "Query option 'Select' is not allowed"
(microsoft-graph-devx-api issue 1250), "Invalid Skip Token" with an empty code or ``UnknownError``
(microsoft-graph-docs issue 8612, msgraph-sdk-powershell issue 1388), ``Directory_ExpiredPageToken``
(msgraph-sdk-java issue 368), "Resource not found for the segment" in the cloud of 21Vianet
(msgraph-sdk-dotnet issue 2842). How a report answers to 410, and to a role that a signed-in user
lacks, is nowhere shown: those are told by their status, and by the word "roles".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pipeline.model.errors import AuthError, FatalError, OutriderError, RetriableError

if TYPE_CHECKING:
    from connectors.http.answers import RefusedError

READ_LOGS: Final = "AuditLog.Read.All"
READ_DIRECTORY: Final = "Directory.Read.All"
PERMISSIONS: Final = (READ_LOGS, READ_DIRECTORY)

_AGAIN_SECONDS: Final = 60.0
# A licence check that fails although there is a licence works again within minutes.
_LICENCE_SECONDS: Final = 300.0
_REDIRECTS: Final = range(300, 400)
_NO_ACCESS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_NOTHING_THERE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_PAGE_LOST: Final = _NOTHING_THERE | {HTTPStatus.BAD_REQUEST}


class Refused(StrEnum):
    """Why Graph refuses a report: what a person, or this program, has to change."""

    PERMISSION = "permission"
    LICENCE = "licence"
    ROLE = "role"
    NOT_OFFERED = "not_offered"  # not in this cloud, or not in this version
    QUERY = "query"
    SELECT = "select"  # whole records have to be asked for
    PAGE = "page"  # the link to the next page is good no more
    REDIRECT = "redirect"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal that is understood.

    Attributes:
        kind: what is to be changed.
        message: what is refused and the remedy, one sentence without the service's words.
        permissions: that are missing, or may be, by name.
    """

    kind: Refused
    message: str
    permissions: tuple[str, ...] = ()

    def error(self, *, worked: bool) -> OutriderError:
        """What to raise.

        Args:
            worked: whether the same was answered before; a licence that is said to be
                missing since then is asked for again.
        """
        if self.kind in {Refused.PAGE, Refused.REDIRECT}:
            return RetriableError(self.message, retry_after=_AGAIN_SECONDS)
        if self.kind is Refused.LICENCE and worked:
            return RetriableError(self.message, retry_after=_LICENCE_SECONDS)
        if self.kind in {Refused.PERMISSION, Refused.LICENCE, Refused.ROLE}:
            return AuthError(self.message)
        return FatalError(self.message)


_NO_READ_LOGS: Final = frozenset(
    {
        "Authentication_MSGraphPermissionMissing",
        "Authentication_ApplicationHasNoReadAuditLogDataAccess",
    }
)
_NO_READ_DIRECTORY: Final = "Authentication_ApplicationHasNoDirectoryReadAccess"
_NO_LICENCE: Final = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
_EXPIRED: Final = "Directory_ExpiredPageToken"
_SKIP_TOKEN: Final = re.compile(r"(?i)skip\s?token|page token")
_SELECT: Final = re.compile(r"(?i)query option '\$?select'|could not find a property")
_ROLE: Final = re.compile(r"(?i)\broles?\b")
_CONSENT: Final = (
    "granted to the application as an application permission, with admin consent; 'outrider "
    "setup' prints the commands"
)
_OTHER_WAY: Final = "read these logs from Event Hubs or a storage account instead"


def refusal_of(
    refused: RefusedError, who: str, otherwise: str = _OTHER_WAY, *, first_page: bool = True
) -> Refusal:
    """What a refusal means.

    Args:
        refused: as the client raised it.
        who: was asked for what, for the message: ``"Microsoft Graph, Entra sign-ins (beta)"``.
        otherwise: how else to get the records, where this way is not open.
        first_page: whether it was asked by its address; else by a link to a next page.
    """
    told = f"HTTP {refused.status}{', ' if refused.code else ''}{refused.code}"
    if refused.status in _REDIRECTS:
        return Refusal(
            Refused.REDIRECT,
            f"{who}: answered with {told}, which Graph never does; let the proxy pass its address",
        )
    if refused.status in _PAGE_LOST and (
        not first_page or refused.code == _EXPIRED or _SKIP_TOKEN.search(refused.text)
    ):
        return Refusal(
            Refused.PAGE,
            f"{who}: the link to the next page is good no more ({told}); the window is read anew",
        )
    if refused.status in _NO_ACCESS:
        return _forbidden(refused, who, told)
    if refused.status in _NOTHING_THERE:
        return Refusal(
            Refused.NOT_OFFERED,
            f"{who}: not offered there ({told}); check microsoft.cloud, or {otherwise}",
        )
    if refused.status == HTTPStatus.BAD_REQUEST:
        return _misunderstood(refused, who, told, otherwise)
    return Refusal(
        Refused.OTHER,
        f"{who}: refused with {told}, for a reason unknown here; look at the service health of "
        "Microsoft 365, and please report it",
    )


def _forbidden(refused: RefusedError, who: str, told: str) -> Refusal:
    code, text = refused.code, refused.text
    if code == _NO_LICENCE:
        return Refusal(
            Refused.LICENCE,
            f"{who}: refused for want of a licence ({told}); the tenant needs Entra ID P1 or P2, "
            f"and the application needs {READ_DIRECTORY} beside {READ_LOGS}, as Graph cannot see "
            "the licence without it",
            (READ_DIRECTORY,),
        )
    if code == _NO_READ_DIRECTORY:
        missing: tuple[str, ...] = (READ_DIRECTORY,)
    elif code in _NO_READ_LOGS:
        missing = (READ_LOGS,)
    elif _ROLE.search(text) and not any(name in text for name in PERMISSIONS):
        return Refusal(
            Refused.ROLE,
            f"{who}: the account that signed in lacks a role ({told}); give it Reports Reader, or "
            f"use an application with {READ_LOGS} and {READ_DIRECTORY}",
        )
    else:
        missing = tuple(name for name in PERMISSIONS if name in text) or PERMISSIONS
    others = [name for name in PERMISSIONS if name not in missing]
    beside = f" (beside {others[0]}, which it needs too)" if others else ""
    return Refusal(
        Refused.PERMISSION,
        f"{who}: refused ({told}); {' and '.join(missing)}{beside} must be {_CONSENT}",
        missing,
    )


def _misunderstood(refused: RefusedError, who: str, told: str, otherwise: str) -> Refusal:
    if _SELECT.search(refused.text):
        return Refusal(
            Refused.SELECT,
            f"{who}: a field that is asked for is unknown there ({told}); {otherwise}, and please "
            "report it",
        )
    return Refusal(
        Refused.QUERY,
        f"{who}: the filter by time is not understood there ({told}); {otherwise}, and please "
        "report it",
    )
