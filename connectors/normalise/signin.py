"""Sign-in records to rows: the fast reader of parsed JSON, and one for fields of any form.

Sources: Graph signIn (v1.0, beta), Azure Monitor sign-in schema, Log Analytics SigninLogs and
AADNonInteractiveUserSignInLogs; the traps of each are noted where they are handled.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from connectors.normalise.clients import SigninTraits, is_known, signin_profile
from connectors.normalise.columns import Context, Rows
from connectors.normalise.outcomes import codes, outcome_of_code, outcome_of_word, read_code
from connectors.normalise.problems import NoEvidenceError, UnusableError, kind_of
from pipeline.model.event import EventFlag
from pipeline.model.reject import RejectReason
from pipeline.model.vocabulary import Source

if TYPE_CHECKING:
    from connectors.normalise.pseudonyms import Pseudonyms
    from connectors.normalise.settings import NormaliseSettings

OPERATION: Final = "SignIn"
_NAMES_NEEDED: Final = -1
_NOWHERE: Final = (None, None, None)
_LARGEST: Final = 2**31 - 1
_INTERACTIVE: Final = {True: Source.ENTRA_SIGNIN, False: Source.ENTRA_SIGNIN_NONINTERACTIVE}
# Diagnostic-settings categories, beta's signInEventTypes and Log Analytics table names.
_SOURCES: Final = {
    "entra_signin": Source.ENTRA_SIGNIN,
    "entra_signin_noninteractive": Source.ENTRA_SIGNIN_NONINTERACTIVE,
    "signinlogs": Source.ENTRA_SIGNIN,
    "interactiveuser": Source.ENTRA_SIGNIN,
    "noninteractiveusersigninlogs": Source.ENTRA_SIGNIN_NONINTERACTIVE,
    "noninteractiveuser": Source.ENTRA_SIGNIN_NONINTERACTIVE,
    "aadnoninteractiveusersigninlogs": Source.ENTRA_SIGNIN_NONINTERACTIVE,
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


class BlockKeys:
    """Which optional keys stand anywhere in a block of JSON.

    Asking a parsed object for a key that it lacks costs 2 us, finding out for a whole
    block of records less than 1 us a record, once.
    """

    __slots__ = (
        "_data",
        "_time",
        "agent",
        "browser",
        "device",
        "latency",
        "number",
        "place",
        "system",
        "tenants",
    )

    def __init__(self, data: bytes | bytearray | None = None) -> None:
        self._data = data
        self._time: bool | None = None

        def has(key: bytes) -> bool:
            return data is None or key in data

        self.agent = has(b'"userAgent"')
        self.number = has(b'"autonomousSystemNumber"')
        self.device = has(b'"deviceDetail"')
        self.system = has(b'"operatingSystem"')
        self.browser = has(b'"browser"')
        self.place = has(b'"countryOrRegion"')
        self.tenants = has(b'"homeTenantId"')
        self.latency = has(b'"processingTimeInMilliseconds"')

    @property
    def time(self) -> bool:
        """Whether any envelope tells a time; a short key, so looked for only when asked."""
        if self._time is None:
            self._time = self._data is None or b'"time"' in self._data
        return self._time


class Signins:
    """Reads sign-ins into rows; ``keys`` is to be set for every block."""

    def __init__(self, settings: NormaliseSettings, pseudonyms: Pseudonyms) -> None:
        self.rows = Rows(Source.ENTRA_SIGNIN.value)
        self.keys = BlockKeys()
        self._tenant = settings.tenant
        self._sites = bool(settings.site_names)
        self._pseudonyms = pseudonyms

    def flat(self, record: Any, at: int) -> None:
        """Take a Graph signIn object.

        Raises:
            KeyError, TypeError, AttributeError: it is none, or an unusual one; nothing
                was taken.
        """
        source = _INTERACTIVE[record["isInteractive"]]
        self._take(record, at, source, None, None, None)

    def envelope(self, record: Any, at: int) -> None:
        """Take an Azure Monitor record with the sign-in under ``properties``.

        Raises:
            KeyError, TypeError, AttributeError: it is none, or an unusual one; nothing
                was taken.
            NoEvidenceError: it is of a category without users.
        """
        category = record["category"]
        source = _SOURCES.get(category.casefold())
        if source is None:
            if category.endswith("SignInLogs"):
                raise NoEvidenceError(kind_of("signin", category))
            raise KeyError(category)
        time = record.get("time") if self.keys.time else None
        if time is not None and type(time) is not str:
            raise TypeError
        self._take(record["properties"], at, source, record["tenantId"], time, record)

    def _take(
        self,
        record: Any,
        at: int,
        source: Source,
        tenant: str | None,
        received: str | None,
        envelope: Any,
    ) -> None:
        keys = self.keys
        ident = record["id"]
        created = record["createdDateTime"]
        user = record["userId"]
        code = record["status"]["errorCode"]
        if not (type(ident) is type(created) is type(user) is str and type(code) is int and user):
            raise TypeError
        profile = self._profile(record)
        country = record["location"]["countryOrRegion"] if keys.place else None
        if not country and envelope is not None:
            country = envelope.get("location")
        number = record.get("autonomousSystemNumber") if keys.number else None
        network = None
        if self._sites or type(number) is not int or number <= 0:
            network = self._network(number, record["ipAddress"])
        if keys.tenants:
            visit = (record["homeTenantId"], record["resourceTenantId"], record["userType"])
        else:
            visit = _NOWHERE
        place = (source, tenant, visit, code, country, number, network)
        context = self.rows.context_codes.get(place)
        if context is None:
            context = self._new_context(place)
        latency = record["processingTimeInMilliseconds"] if keys.latency else -1
        if type(latency) is not int or not 0 <= latency <= _LARGEST:
            latency = -1
        hashed = self._pseudonyms.users.get(user)
        if hashed is None or self._pseudonyms.reveals:
            name = record["userPrincipalName"] if self._pseudonyms.reveals else None
            hashed = self._pseudonyms.user(user, name)
        self._append(ident, created, received, profile, context, hashed, latency, at)

    def _profile(self, record: Any) -> int:
        """Code of the client and service of a Graph record."""
        keys = self.keys
        system = browser = None
        if keys.device:
            device = record["deviceDetail"]
            system = device.get("operatingSystem") if keys.system else None
            browser = device.get("browser") if keys.browser else None
        traits = (
            record["appId"],
            record["resourceId"],
            record["clientAppUsed"],
            system,
            browser,
            record.get("userAgent") if keys.agent else None,
        )
        found = self.rows.profile_codes.get(traits)
        if found is None:
            found = self._new_profile(traits)
        if found != _NAMES_NEEDED:
            return found
        named = SigninTraits(*traits, record["appDisplayName"], record["resourceDisplayName"])
        found = self.rows.profile_codes.get(named)
        if found is None:
            _texts(named)
            found = self.rows.profile_code(named, signin_profile(named))
        return found

    def _append(
        self,
        ident: str,
        created: str,
        received: str | None,
        profile: int,
        context: int,
        user: int,
        latency: int,
        at: int,
    ) -> None:
        rows = self.rows
        rows.ids.append(ident)
        rows.created.append(created)
        rows.received.append(received)
        rows.profile.append(profile)
        rows.context.append(context)
        rows.user.append(user)
        rows.latency.append(latency)
        rows.at.append(at)

    def add(self, fields: SigninFields, at: int) -> None:
        """Take a sign-in of any form.

        Raises:
            UnusableError: a field that no sign-in can do without is missing.
            NoEvidenceError: it is no user's sign-in.
        """
        source = _source(fields)
        if not fields.created:
            raise UnusableError(
                RejectReason.MISSING_FIELD,
                "createdDateTime: not in the record; export the column with the event time",
            )
        user = fields.user_id or fields.user_name
        traits = SigninTraits(
            fields.app_id,
            fields.resource_id,
            fields.client_app,
            fields.operating_system,
            fields.browser,
            fields.user_agent,
            fields.app_name,
            fields.resource_name,
        )
        rows = self.rows
        profile = rows.profile_codes.get(traits)
        if profile is None:
            profile = rows.profile_code(traits, signin_profile(traits))
        number = fields.system_number
        network = self._network(number, fields.address)
        code = read_code(fields.code)
        word = None if code is not None else fields.status or _word(fields.code)
        visit = (fields.home_tenant, fields.resource_tenant, fields.user_type)
        place = (source, fields.tenant, visit, code, fields.country, number, network)
        context = rows.context_codes.get((place, word) if word else place)
        if context is None:
            context = self._new_context(place, word)
        latency = read_code(fields.latency)
        self._append(
            fields.id or _made_id(fields),
            fields.created,
            fields.received,
            profile,
            context,
            self._pseudonyms.user(user, fields.user_name) if user else 0,
            -1 if latency is None or latency < 0 else latency,
            at,
        )

    def _new_profile(self, traits: tuple[Any, ...]) -> int:
        _texts(traits)
        if not is_known(traits[0], traits[1]):
            self.rows.profile_codes[traits] = _NAMES_NEEDED
            return _NAMES_NEEDED
        named = SigninTraits._make((*traits, None, None))
        return self.rows.profile_code(traits, signin_profile(named))

    def _new_context(self, place: tuple[Any, ...], word: str | None = None) -> int:
        source, tenant, visit, code, country, number, network = place
        _texts((tenant, country, *visit))
        if number is not None and not isinstance(number, (int, str)):
            raise TypeError
        outcome = outcome_of_word(word) if code is None and word else outcome_of_code(code)
        context = Context(
            tenant=(tenant or _tenant(*visit) or self._tenant).casefold(),
            source=source.value,
            operation=OPERATION,
            outcome=outcome.value,
            error_code=code,
            country=_country(country),
            network=network or _system(number),
            flags=int(_guest(*visit)),
        )
        return self.rows.context_code((place, word) if word else place, context)

    def _network(self, number: Any, address: str | None) -> str | None:
        """The site, else None where an AS number tells the network, else the prefix."""
        if _system(number) is None:
            return self._pseudonyms.network(address)
        return self._pseudonyms.site(address) if self._sites else None


def unknown_code(code: int | None) -> bool:
    """Whether an error code stands in no table."""
    return code is not None and code not in codes()


def _texts(values: tuple[Any, ...]) -> None:
    """Make sure that all are text or missing: a parsed object must not stay in a cache."""
    for value in values:
        if value is not None and type(value) is not str:
            raise TypeError


def _source(fields: SigninFields) -> Source:
    if fields.category:
        source = _SOURCES.get(fields.category.strip().casefold())
        if source is None:
            raise NoEvidenceError(kind_of("signin", fields.category))
        return source
    if fields.principal and not fields.user_id and not fields.user_name:
        raise NoEvidenceError("signin:servicePrincipal")
    return _INTERACTIVE[fields.interactive is not False]


def _tenant(home: str | None, reached: str | None, kind: str | None) -> str | None:
    """Whose log a Graph record stands in: a guest's sign-in is logged where it went."""
    if home and reached and home != reached:
        return reached if (kind or "").casefold() == "guest" else home
    return home or reached


def _guest(home: str | None, reached: str | None, kind: str | None) -> EventFlag:
    abroad = bool(home and reached and home.casefold() != reached.casefold())
    return EventFlag.GUEST if abroad or (kind or "").casefold() == "guest" else EventFlag.NONE


def _country(text: str | None) -> str | None:
    """Two-letter code, or the name a forwarder wrote; the last part of a portal place."""
    last = (text or "").rsplit(",", 1)[-1].strip()[:40]
    return (last.upper() if len(last) == 2 else last) or None


def _system(number: Any) -> str | None:
    """``AS3320`` of an AS number given as int or text; 0 and anything else is unknown."""
    text = str(number).strip() if isinstance(number, (int, str)) else ""
    return f"AS{int(text)}" if text.isdecimal() and int(text) > 0 else None


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _made_id(fields: SigninFields) -> str:
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
