"""One sign-in as fields, and the rules that read them, whatever form it came in."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any, Final, NamedTuple

from connectors.normalise.problems import NoEvidenceError, kind_of
from pipeline.model.event import EventFlag
from pipeline.model.vocabulary import Source

# Plain text, since hashing an enum member costs a Python call for every record.
_SIGNIN: Final = Source.ENTRA_SIGNIN.value
_BACKGROUND: Final = Source.ENTRA_SIGNIN_NONINTERACTIVE.value
INTERACTIVE: Final = {True: _SIGNIN, False: _BACKGROUND}
# Diagnostic-settings categories, beta's signInEventTypes and Log Analytics table names.
SOURCES: Final = {
    "entra_signin": _SIGNIN,
    "entra_signin_noninteractive": _BACKGROUND,
    "signinlogs": _SIGNIN,
    "interactiveuser": _SIGNIN,
    "noninteractiveusersigninlogs": _BACKGROUND,
    "noninteractiveuser": _BACKGROUND,
    "aadnoninteractiveusersigninlogs": _BACKGROUND,
}


class SigninFields(NamedTuple):
    """One sign-in as text, in whatever form it came; None where the form has no such field."""

    id: str | None = None
    created: str | None = None
    received: str | None = None
    category: str | None = None
    interactive: bool | None = None
    tenant: str | None = None
    home_tenant: str | None = None
    resource_tenant: str | None = None
    user_type: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    app_id: str | None = None
    app_name: str | None = None
    client_app: str | None = None
    operating_system: str | None = None
    browser: str | None = None
    user_agent: str | None = None
    resource_id: str | None = None
    resource_name: str | None = None
    code: Any = None
    status: str | None = None
    country: str | None = None
    system_number: Any = None
    address: str | None = None
    latency: Any = None
    principal: str | None = None
    token: str | None = None
    correlation: str | None = None


def source_of(fields: SigninFields) -> str:
    """Which of the two sign-in logs a record belongs to.

    Raises:
        NoEvidenceError: to neither; no user signed in.
    """
    if fields.category:
        source = SOURCES.get(fields.category.strip().casefold())
        if source is None:
            raise NoEvidenceError(kind_of("signin", fields.category))
        return source
    if fields.principal and not fields.user_id and not fields.user_name:
        raise NoEvidenceError("signin:servicePrincipal")
    return INTERACTIVE[fields.interactive is not False]


def tenant_of(home: str | None, reached: str | None, kind: str | None) -> str | None:
    """Whose log a Graph record stands in: a guest's sign-in is logged where it went."""
    if home and reached and home != reached:
        return reached if (kind or "").casefold() == "guest" else home
    return home or reached


def guest_flag(home: str | None, reached: str | None, kind: str | None) -> EventFlag:
    """Whether a user of another tenant signed in."""
    abroad = bool(home and reached and home.casefold() != reached.casefold())
    return EventFlag.GUEST if abroad or (kind or "").casefold() == "guest" else EventFlag.NONE


def country_of(text: str | None) -> str | None:
    """Two-letter code, or the name a forwarder wrote; the last part of a portal place."""
    last = (text or "").rsplit(",", 1)[-1].strip()[:40]
    return (last.upper() if len(last) == 2 else last) or None


def system_of(number: Any) -> str | None:
    """``AS3320`` of an AS number given as int or text; 0 and anything else is unknown."""
    text = str(number).strip() if isinstance(number, (int, str)) else ""
    return f"AS{int(text)}" if text.isdecimal() and int(text) > 0 else None


def word_of(value: Any) -> str | None:
    """A result given as a word instead of a code."""
    return value if isinstance(value, str) and value.strip() else None


def made_id(fields: SigninFields) -> str:
    """An id for a record without one: the token's, which encodes it, else of the content."""
    if fields.token:
        try:
            text = base64.b64decode(fields.token + "==", altchars=b"-_").decode("ascii")
            if len(text) == 36:
                return text
        except (binascii.Error, ValueError):
            pass
    parts = (
        fields.created,
        fields.user_id or fields.user_name,
        fields.app_id or fields.app_name,
        fields.resource_id or fields.resource_name,
        fields.correlation,
        fields.address,
    )
    return hashlib.blake2b(repr(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()
