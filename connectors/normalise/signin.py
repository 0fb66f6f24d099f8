"""Sign-in records to rows: the fast reader of parsed JSON, and one for fields of any form.

Sources: Graph signIn (v1.0, beta), Azure Monitor sign-in schema, Log Analytics SigninLogs and
AADNonInteractiveUserSignInLogs; the traps of each are noted where they are handled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from connectors.normalise.clients import SigninTraits, is_known, signin_profile
from connectors.normalise.columns import Context, Rows
from connectors.normalise.outcomes import outcome_of_code, outcome_of_word, read_code
from connectors.normalise.problems import NoEvidenceError, UnusableError, kind_of
from connectors.normalise.signin_fields import (
    INTERACTIVE,
    SOURCES,
    SigninFields,
    country_of,
    guest_flag,
    made_id,
    source_of,
    system_of,
    tenant_of,
    word_of,
)
from connectors.normalise.tenants import tenant_name
from pipeline.model.reject import RejectReason

if TYPE_CHECKING:
    from connectors.normalise.pseudonyms import Pseudonyms
    from connectors.normalise.settings import NormaliseSettings

OPERATION: Final = "SignIn"
_NO_CODE: Final = 2**31  # an event's code has 32 bits; the services' own have 7 digits

Reader = Callable[[Any, int], None]
_Taker = Callable[..., None]


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
        "principal",
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
        self.principal = has(b'"servicePrincipalId"')
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
    """Reads sign-ins into rows."""

    def __init__(self, settings: NormaliseSettings, pseudonyms: Pseudonyms) -> None:
        self.rows = Rows()
        self._tenant = settings.tenant
        self._sites = bool(settings.site_names)
        self._pseudonyms = pseudonyms

    def readers(self, keys: BlockKeys) -> tuple[Reader, Reader]:
        """Readers of Graph signIn objects and of Azure Monitor envelopes, for one block.

        Each takes a parsed record and its number and raises, having taken nothing:
        KeyError, TypeError, AttributeError or UnusableError for a record of another kind or
        an unusual one; NoEvidenceError for a category without users.
        """
        take = self._taker(keys)

        def envelope(record: Any, at: int) -> None:
            category = record["category"]
            source = SOURCES.get(category.casefold())
            if source is None:
                if category.endswith("SignInLogs"):
                    raise NoEvidenceError(kind_of("signin", category))
                raise KeyError(category)
            time = record.get("time") if keys.time else None
            if time is not None and type(time) is not str:
                raise TypeError
            take(record["properties"], at, source, record["tenantId"], time, record)

        return take, envelope

    def _taker(self, keys: BlockKeys) -> _Taker:  # noqa: C901, PLR0915 # holds the loop body
        """The body of the hot loop, with everything it touches in local names."""
        rows = self.rows
        profiles, contexts, users = rows.profile_codes, rows.context_codes, self._pseudonyms.users
        add_id, add_created = rows.ids.append, rows.created.append
        add_received, add_profile = rows.received.append, rows.profile.append
        add_context, add_user = rows.context.append, rows.user.append
        add_latency, add_at = rows.latency.append, rows.at.append
        has_device, has_system, has_browser = keys.device, keys.system, keys.browser
        has_agent, has_place, has_number = keys.agent, keys.place, keys.number
        has_tenants, has_latency, has_principal = keys.tenants, keys.latency, keys.principal
        reveals, sites = self._pseudonyms.reveals, self._sites

        def take(  # noqa: C901, PLR0912, PLR0915 # one flat body: a call in it costs 2 % of the whole
            record: Any,
            at: int,
            source: str | None = None,
            tenant: str | None = None,
            received: str | None = None,
            envelope: Any = None,
        ) -> None:
            system = browser = agent = country = number = None
            home = reached = kind = None
            ident = record["id"]
            created = record["createdDateTime"]
            user = record["userId"]
            code = record["status"]["errorCode"]
            if not (type(ident) is type(created) is type(user) is str and type(code) is int):
                raise TypeError
            if has_principal and record.get("servicePrincipalId"):
                raise KeyError(at)  # a machine's own sign-in, or something to look at closely
            if source is None:
                source = INTERACTIVE[record["isInteractive"]]
            if has_device:
                device = record["deviceDetail"]
                if has_system:
                    system = device.get("operatingSystem")
                if has_browser:
                    browser = device.get("browser")
            if has_agent:
                agent = record.get("userAgent")
            traits = (
                record["appId"],
                record["resourceId"],
                record["clientAppUsed"],
                system,
                browser,
                agent,
            )
            profile = profiles.get(traits)
            if profile is None:
                profile = self._new_profile(traits, record)
            if has_place:
                country = record["location"]["countryOrRegion"]
            if envelope is not None and not country:
                country = envelope.get("location")
            if has_number:
                number = record.get("autonomousSystemNumber")
            network = None
            if sites or type(number) is not int or number <= 0:
                network = self._network(number, record["ipAddress"])
            if has_tenants:
                # Some exporters write them for guests alone.
                home = record.get("homeTenantId")
                reached = record.get("resourceTenantId")
                kind = record.get("userType")
            place = (source, tenant, home, reached, kind, code, country, number, network)
            context = contexts.get(place)
            if context is None:
                context = self._new_context(place)
            latency = record["processingTimeInMilliseconds"] if has_latency else -1
            if type(latency) is not int:
                latency = -1
            hashed = None if reveals else users.get(user)
            if hashed is None:
                if not user:
                    raise KeyError(user)
                name = record["userPrincipalName"] if reveals else None
                hashed = self._pseudonyms.user(user, name)
            add_id(ident)
            add_created(created)
            add_received(received)
            add_profile(profile)
            add_context(context)
            add_user(hashed)
            add_latency(latency)
            add_at(at)

        return take

    def add(self, fields: SigninFields, at: int) -> None:
        """Take a sign-in of any form.

        Raises:
            UnusableError: a field that no sign-in can do without is missing, or no tenant can
                be called so.
            NoEvidenceError: it is no user's sign-in.
        """
        source = source_of(fields)
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
        word = None if code is not None else fields.status or word_of(fields.code)
        place = (
            source,
            fields.tenant,
            fields.home_tenant,
            fields.resource_tenant,
            fields.user_type,
            code,
            fields.country,
            number,
            network,
        )
        context = rows.context_codes.get((place, word) if word else place)
        if context is None:
            context = self._new_context(place, word)
        latency = read_code(fields.latency)
        rows.ids.append(fields.id or made_id(fields))
        rows.created.append(fields.created)
        rows.received.append(fields.received)
        rows.profile.append(profile)
        rows.context.append(context)
        rows.user.append(self._pseudonyms.user(user, fields.user_name) if user else 0)
        rows.latency.append(-1 if latency is None else latency)
        rows.at.append(at)

    def _new_profile(self, traits: tuple[Any, ...], record: Any) -> int:
        """Code of a client and service not seen before, by display names if ids say too little."""
        _texts(traits)
        rows = self.rows
        if is_known(traits[0], traits[1]):
            named = SigninTraits._make((*traits, None, None))
            return rows.profile_code(traits, signin_profile(named))
        named = SigninTraits._make(
            (*traits, record["appDisplayName"], record["resourceDisplayName"])
        )
        found = rows.profile_codes.get(named)
        if found is None:
            _texts(named)
            found = rows.profile_code(named, signin_profile(named))
        return found

    def _new_context(self, place: tuple[Any, ...], word: str | None = None) -> int:
        _texts((*place[1:5], place[6]))
        if place[7] is not None and not isinstance(place[7], (int, str)):
            raise TypeError
        context = signin_context(place, self._tenant, word)
        return self.rows.context_code((place, word) if word else place, context)

    def _network(self, number: Any, address: str | None) -> str | None:
        """The site, else None where an AS number tells the network, else the prefix."""
        if system_of(number) is None:
            return self._pseudonyms.network(address)
        return self._pseudonyms.site(address) if self._sites else None


def signin_context(place: tuple[Any, ...], tenant: str, word: str | None = None) -> Context:
    """What sign-ins share that agree in all of these.

    Args:
        place: source, tenant of the envelope, home tenant, tenant reached, user type, error
            code, country, AS number, name of the network where the address tells it.
        tenant: of records that name none.
        word: the result, where it is a word and no code.

    Raises:
        UnusableError: no tenant can be called so.
    """
    source, named, home, reached, kind, code, country, number, network = place
    outcome = outcome_of_word(word) if code is None and word else outcome_of_code(code)
    return Context(
        tenant=tenant_name(named or tenant_of(home, reached, kind), tenant),
        source=source,
        operation=OPERATION,
        outcome=outcome.value,
        error_code=code if code is not None and abs(code) < _NO_CODE else None,
        country=country_of(country),
        network=network or system_of(number),
        flags=int(guest_flag(home, reached, kind)),
    )


def _texts(values: tuple[Any, ...]) -> None:
    """Make sure that all are text or missing: a parsed object must not stay in a cache."""
    for value in values:
        if value is not None and type(value) is not str:
            raise TypeError
