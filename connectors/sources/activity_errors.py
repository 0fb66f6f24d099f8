"""What the Management Activity API's refusals mean, and what to do about each.

Source: Microsoft's reference of the Office 365 Management Activity API, section Errors; what it
does not list (AF20024, AF20055, the tenant without an audit log) is as the service sends it.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.model.errors import AuthError, FatalError, OutriderError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.http.answers import RefusedError

SERVICE: Final = "Office 365 Management Activity API"
PERMISSION: Final = "ActivityFeed.Read"
ALREADY_ENABLED: Final = "AF20024"
_SOON: Final = 60.0
# A subscription that was stopped or started less than 15 minutes ago cannot be started.
RESTART_SECONDS: Final = 900.0


class Kind(Enum):
    """What follows from a refusal."""

    PERMISSION = auto()  # AuthError
    SETTING = auto()  # FatalError: a person has to change something
    SUBSCRIPTION = auto()  # SubscriptionError: it can be started
    CONTENT = auto()  # ContentError: of one blob
    PASSING = auto()  # RetriableError


class Meaning(NamedTuple):
    """One row of the table."""

    kind: Kind
    what: str
    remedy: str


class SubscriptionError(RetriableError):
    """There is no subscription, or it is disabled: it has to be started."""


class ContentError(RetriableError):
    """One blob that cannot be had; ``code`` is the service's."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, retry_after=_SOON)
        self.code = code


_PROXY: Final = "let proxies on the way pass requests and their headers unchanged"
_TIMES: Final = (
    "set this machine's clock: content is listed by at most 24 hours, up to 7 days back, by the "
    "service's clock"
)
_NO_LOG: Final = (
    "turn the audit log on for the organisation (Purview: Audit, Start recording), check tenant "
    "and cloud, and wait up to a day"
)
_RESTARTED: Final = "it is started again, without what became available in between"

MEANINGS: Final[Mapping[str, Meaning]] = {
    "AF10001": Meaning(
        Kind.PERMISSION,
        f"the application lacks the permission {PERMISSION}",
        f"give it the application permission {PERMISSION} of Office 365 Management APIs, and have "
        "an administrator consent",
    ),
    "AF20001": Meaning(Kind.SETTING, "a parameter got lost", _PROXY),
    "AF20002": Meaning(
        Kind.SETTING,
        "a parameter is of the wrong type",
        "write tenant and publisher as GUIDs",
    ),
    "AF20003": Meaning(
        Kind.SETTING,
        "the webhook of the subscription would expire in the past",
        "remove the webhook, none is needed here",
    ),
    "AF20010": Meaning(
        Kind.SETTING,
        "the token is of another tenant",
        "set tenant to the id of the tenant that the application signs in to",
    ),
    "AF20011": Meaning(
        Kind.SETTING, "does not know the tenant", f"check tenant, and cloud; else {_NO_LOG}"
    ),
    "AF20012": Meaning(
        Kind.SETTING,
        "the tenant is not set up as it should be at the service",
        "open a support case with Microsoft and name AF20012",
    ),
    "AF20013": Meaning(
        Kind.SETTING, "tenant is no GUID", "write the tenant's id, not its domain, into tenant"
    ),
    "AF20020": Meaning(
        Kind.SETTING,
        "knows no such kind of content",
        "set content to Audit.Exchange, Audit.AzureActiveDirectory or Audit.General",
    ),
    "AF20021": Meaning(
        Kind.SETTING,
        "the webhook of the subscription does not answer",
        "remove the webhook, none is needed here",
    ),
    "AF20022": Meaning(Kind.SUBSCRIPTION, "there is no subscription", _RESTARTED),
    "AF20023": Meaning(Kind.SUBSCRIPTION, "somebody disabled the subscription", _RESTARTED),
    ALREADY_ENABLED: Meaning(
        Kind.PASSING, "the subscription is enabled already", "nothing is to be done"
    ),
    "AF20030": Meaning(Kind.SETTING, "refuses the stretch of time", _TIMES),
    "AF20055": Meaning(Kind.SETTING, "refuses the start of the stretch of time", _TIMES),
    "AF20031": Meaning(
        Kind.PASSING, "refuses a link to the next page of its own", "the listing starts anew"
    ),
    "AF20050": Meaning(
        Kind.CONTENT, "a blob that was listed does not exist", "it is asked for again for 7 days"
    ),
    "AF20051": Meaning(
        Kind.CONTENT,
        "a blob has expired",
        "it cannot be had any more: the service keeps 7 days; do not stop reading for so long",
    ),
    "AF20052": Meaning(
        Kind.CONTENT,
        "refuses the name of a blob that it listed",
        "it is asked for again for 7 days",
    ),
    "AF20053": Meaning(Kind.SETTING, "several languages were asked for", _PROXY),
    "AF20054": Meaning(Kind.SETTING, "the language asked for is no language", _PROXY),
    "AF429": Meaning(Kind.PASSING, "asked too often", "it is asked again after a pause"),
    "AF50000": Meaning(
        Kind.PASSING, "a failure of its own", "it is asked again; if it lasts, look at its status"
    ),
}

# Reasons of ours for a stretch that is missing, beside the codes of the service.
DAMAGED: Final = "damaged"
FAILING: Final = "failing"
OFF: Final = "off"
OLD: Final = "old"
_REASONS: Final[Mapping[str, str]] = {
    DAMAGED: "a blob comes cut off or is no JSON: it is asked for again for 7 days; if a proxy "
    "on the way limits the size of answers, lift that",
    FAILING: "a blob cannot be fetched: it is asked for again for 7 days",
    OFF: "the subscription was off, and what became available meanwhile cannot be had any more: "
    "keep anything else from stopping it",
    OLD: "it was not read within 7 days, and the service keeps no more: keep the collector running",
}


def reason(key: str, content: str) -> str:
    """Why a stretch is missing, in one sentence.

    Args:
        key: a code of the service, or one of ours.
        content: the kind of content.
    """
    meaning = MEANINGS.get(key)
    told = _REASONS[key] if meaning is None else f"{meaning.what} ({key}): {meaning.remedy}"
    return f"{SERVICE}, {content}: {told}"


def translated(refused: RefusedError, content: str = "") -> OutriderError:
    """What to raise for a refusal; the service's own words are left out.

    Args:
        refused: what the HTTP client raised.
        content: the kind of content that was asked for, if one was.
    """
    where = f"{SERVICE}, {content}" if content else SERVICE
    # The error of a tenant without an audit log carries a stack trace instead of a code.
    if re.search(r"Tenant \S+ does not exist", refused.text) and refused.code not in MEANINGS:
        return FatalError(f"{where}: knows no audit log of the tenant: {_NO_LOG}")
    meaning = MEANINGS.get(refused.code)
    if meaning is not None:
        return _raised(meaning, f"{where}: {meaning.what} ({refused.code}): ", refused.code)
    if refused.status == HTTPStatus.FORBIDDEN:
        return AuthError(
            f"{where}: refused (HTTP 403): {MEANINGS['AF10001'].remedy}, and let policies of the "
            "tenant not keep it out"
        )
    if refused.status == HTTPStatus.NOT_FOUND:
        return FatalError(f"{where}: nothing there (HTTP 404): check tenant, and cloud")
    code = f", {refused.code}" if re.fullmatch(r"AF\d{1,6}", refused.code) else ""
    return FatalError(
        f"{where}: refused (HTTP {refused.status}{code}): look it up in Microsoft's reference of "
        "the API, and report it"
    )


def without_permission(error: AuthError, content: str = "") -> AuthError:
    """The same error, told as a missing permission if it is one: the API says so with a 401."""
    if "AF10001" not in str(error):
        return error
    meaning = MEANINGS["AF10001"]
    where = f"{SERVICE}, {content}" if content else SERVICE
    return AuthError(f"{where}: {meaning.what} (AF10001): {meaning.remedy}")


def _raised(meaning: Meaning, text: str, code: str) -> OutriderError:
    message = text + meaning.remedy
    if meaning.kind is Kind.PERMISSION:
        return AuthError(message)
    if meaning.kind is Kind.SETTING:
        return FatalError(message)
    if meaning.kind is Kind.SUBSCRIPTION:
        return SubscriptionError(message, retry_after=_SOON)
    if meaning.kind is Kind.CONTENT:
        return ContentError(message, code)
    return RetriableError(message, retry_after=_SOON)
