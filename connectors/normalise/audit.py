"""Mailbox audit records to rows: the fast reader of parsed JSON, and one for any form.

Source: Office 365 Management Activity API schema. A record says that mail *was* accessed:
failures are not audited, so what tells an outage is who falls silent.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from connectors.normalise.clients import AuditTraits, Profile, audit_profile
from connectors.normalise.columns import Context, Rows
from connectors.normalise.outcomes import outcome_of_word, read_code
from connectors.normalise.problems import NoEvidenceError, UnusableError, kind_of
from connectors.normalise.tables import rows as table_rows
from connectors.normalise.tenants import tenant_name
from pipeline.model.event import EventFlag
from pipeline.model.reject import RejectReason
from pipeline.model.vocabulary import Client, Service, Source

if TYPE_CHECKING:
    from connectors.normalise.pseudonyms import Pseudonyms
    from connectors.normalise.settings import NormaliseSettings

OTHER_OPERATION: Final = "Other"
_COPILOT: Final = "copilot"
_MAILBOX: Final = "mailbox"
_SYSTEM_USERS: Final = ("S-1-5-18", "NT AUTHORITY")
_LARGEST: Final = 2**31 - 1
_REMEMBERED: Final = 10_000


class AuditFields(NamedTuple):
    """One audit record as text, in whatever form it came."""

    id: str | None = None
    created: str | None = None
    operation: str | None = None
    record_type: str | None = None
    workload: str | None = None
    tenant: str | None = None
    result: str | None = None
    client_info: str | None = None
    app_id: str | None = None
    actor_info: str | None = None
    token_type: str | None = None
    logon_type: str | None = None
    version: str | None = None
    mailbox: str | None = None
    mailbox_name: str | None = None
    user_id: str | None = None
    address: str | None = None
    count: Any = None
    properties: Any = None


@cache
def _record_types() -> dict[str, tuple[str, str]]:
    out: dict[str, tuple[str, str]] = {}
    for row in table_rows("audit_record_types"):
        out[row["number"]] = out[row["name"].casefold()] = (row["name"], row["kind"])
    return out


@cache
def _operations() -> dict[str, str]:
    return {r["operation"].casefold(): r["operation"] for r in table_rows("mailbox_operations")}


class Audits:
    """Reads mailbox audit records into rows."""

    def __init__(self, settings: NormaliseSettings, pseudonyms: Pseudonyms) -> None:
        self.rows = Rows()
        self._tenant = settings.tenant
        self._pseudonyms = pseudonyms
        self._layouts: dict[tuple[str, ...], frozenset[str]] = {}
        self._flags: dict[bytes, int] = {}

    def flat(self, record: Any, at: int) -> None:
        """Take a record of the Activity API's schema.

        Raises:
            KeyError, TypeError, AttributeError, UnusableError: it is none, or an unusual one;
                nothing was taken.
            NoEvidenceError: it is no access to a mailbox.
        """
        number = record["RecordType"]
        created = record["CreationTime"]
        ident = record["Id"]
        user_id = record["UserId"]
        if not (type(number) is int and type(created) is type(ident) is type(user_id) is str):
            raise TypeError
        name, kind = _record_types().get(str(number)) or ("", "")
        if kind != _MAILBOX:
            if kind == _COPILOT:
                raise KeyError(number)
            raise NoEvidenceError(kind_of("audit", name or number))
        has = self._layout(record)
        mailbox = record["MailboxGuid"] if "MailboxGuid" in has else ""
        if not mailbox:
            raise KeyError(number)
        flags = (
            self._flag_bits(record["OperationProperties"]) if "OperationProperties" in has else 0
        )
        weight = record["OperationCount"] if "OperationCount" in has else 1
        if type(weight) is not int or type(mailbox) is not str:
            raise TypeError
        traits = (
            record["ClientInfoString"] if "ClientInfoString" in has else None,
            record["AppId"] if "AppId" in has else None,
            number,
            record["LogonType"] if "LogonType" in has else None,
            user_id if user_id.startswith(_SYSTEM_USERS) else None,
            record["ActorInfoString"] if "ActorInfoString" in has else None,
            record["TokenType"] if "TokenType" in has else None,
            record["ClientVersion"] if "ClientVersion" in has else None,
        )
        rows = self.rows
        profile = rows.profile_codes.get(traits)
        if profile is None:
            profile = rows.profile_code(traits, audit_profile(AuditTraits(*_texts(traits))))
        address = record["ClientIPAddress"] if "ClientIPAddress" in has else None
        if not address and "ClientIP" in has:
            address = record["ClientIP"]
        place = (
            record["OrganizationId"],
            record["Operation"],
            record["ResultStatus"],
            flags,
            self._pseudonyms.network(address),
        )
        context = rows.context_codes.get(place)
        if context is None:
            context = self._new_context(place)
        hashed = self._pseudonyms.users.get(mailbox)
        if hashed is None or self._pseudonyms.reveals:
            owner = record["MailboxOwnerUPN"] if self._pseudonyms.reveals else None
            hashed = self._pseudonyms.user(mailbox, owner)
        rows.ids.append(ident)
        rows.created.append(created)
        rows.received.append(None)
        rows.profile.append(profile)
        rows.context.append(context)
        rows.user.append(hashed)
        rows.weight.append(min(max(weight, 1), _LARGEST))
        rows.at.append(at)

    def add(self, fields: AuditFields, at: int) -> None:
        """Take an audit record of any form.

        Raises:
            UnusableError: a field that no record can do without is missing, or no tenant can
                be called so.
            NoEvidenceError: it is no access to a mailbox.
        """
        kind = _kind(fields)
        if not fields.created:
            raise UnusableError(
                RejectReason.MISSING_FIELD,
                "CreationTime: not in the record; export the whole AuditData",
            )
        copilot = kind == _COPILOT
        mailbox = fields.mailbox if not copilot else None
        user = mailbox or (fields.user_id if copilot else fields.mailbox_name or fields.user_id)
        name = fields.mailbox_name or fields.user_id
        traits = AuditTraits(
            client_info=fields.client_info,
            app_id=fields.app_id,
            record_type=fields.record_type,
            logon_type=fields.logon_type,
            user_id=_system_user(fields.user_id),
            actor_info=fields.actor_info,
            token_type=fields.token_type,
            version=fields.version,
        )
        rows = self.rows
        profile = rows.profile_codes.get(("fields", copilot, traits))
        if profile is None:
            found = _copilot_profile(traits) if copilot else audit_profile(traits)
            profile = rows.profile_code(("fields", copilot, traits), found)
        place = (
            fields.tenant,
            fields.operation,
            "success" if copilot and not fields.result else fields.result,
            property_flags(fields.properties),
            self._pseudonyms.network(fields.address),
        )
        context = rows.context_codes.get(place)
        if context is None:
            context = self._new_context(place)
        weight = read_code(fields.count)
        rows.ids.append(fields.id or _made_id(fields))
        rows.created.append(fields.created)
        rows.received.append(None)
        rows.profile.append(profile)
        rows.context.append(context)
        rows.user.append(self._pseudonyms.user(user, name) if user else 0)
        rows.weight.append(max(weight or 1, 1))
        rows.at.append(at)

    def _layout(self, record: Any) -> frozenset[str]:
        """Which keys a record has: asking for one that it lacks costs more than all names."""
        keys = tuple(record)
        found = self._layouts.get(keys)
        if found is None:
            if len(self._layouts) >= _REMEMBERED:
                self._layouts.clear()
            found = self._layouts[keys] = frozenset(keys)
        return found

    def _flag_bits(self, properties: Any) -> int:
        text = properties.mini
        found = self._flags.get(text)
        if found is None:
            if len(self._flags) >= _REMEMBERED:
                self._flags.clear()
            found = self._flags[text] = property_flags(properties.as_list())
        return found

    def _new_context(self, place: tuple[Any, ...]) -> int:
        tenant, operation, result, flags, network = place
        for value in (tenant, operation, result):
            if value is not None and type(value) is not str:
                raise TypeError
        context = Context(
            tenant=tenant_name(tenant, self._tenant),
            source=Source.EXCHANGE_AUDIT.value,
            operation=_operations().get((operation or "").casefold(), OTHER_OPERATION),
            outcome=outcome_of_word(result).value,
            error_code=None,
            country=None,
            network=network,
            flags=flags,
        )
        return self.rows.context_code(place, context)


def property_flags(properties: Any) -> int:
    """Flags of ``OperationProperties``: a list of Name and Value, or ``Name:Value`` text.

    >>> property_flags([{"Name": "MailAccessType", "Value": "Sync"}]), property_flags(
    ...     "MailAccessType:Bind;IsThrottled:True")
    (4, 1)
    """
    pairs: list[tuple[str, str]] = []
    if isinstance(properties, str):
        parts = properties.replace(",", ";").split(";")
        pairs = [(n, v) for n, _, v in (p.partition(":") for p in parts)]
    elif isinstance(properties, list):
        items = [p for p in properties if isinstance(p, dict)]
        pairs = [(str(p.get("Name", "")), str(p.get("Value", ""))) for p in items]
    elif isinstance(properties, dict):
        pairs = [(str(n), str(v)) for n, v in properties.items()]
    flags = EventFlag.NONE
    for name, value in pairs:
        pair = (name.strip().casefold(), value.strip().casefold())
        if pair == ("isthrottled", "true"):
            flags |= EventFlag.THROTTLED_MAILBOX
        elif pair == ("mailaccesstype", "sync"):
            flags |= EventFlag.SYNC
    return int(flags)


def _texts(values: tuple[Any, ...]) -> tuple[str | None, ...]:
    for value in values:
        if value is not None and type(value) is not str and type(value) is not int:
            raise TypeError
    return tuple(None if v is None else str(v) for v in values)


def _kind(fields: AuditFields) -> str:
    text = (fields.record_type or "").strip()
    name, kind = _record_types().get(text.casefold()) or (text, "")
    if kind in (_MAILBOX, _COPILOT):
        return kind
    exchange = (fields.workload or "").strip().casefold() == "exchange"
    # Exports of old forms name no record type; the operation then tells.
    if not text and (exchange or fields.mailbox or fields.client_info):
        if (fields.operation or "").casefold() in _operations():
            return _MAILBOX
        raise NoEvidenceError(kind_of("audit", fields.operation or "unnamed"))
    raise NoEvidenceError(kind_of("audit", name or fields.workload or "unnamed"))


def _copilot_profile(traits: AuditTraits) -> Profile:
    # RecordType 373 is a back-end automation: no user waits for it.
    automatic = audit_profile(traits).client is Client.SYSTEM
    return Profile(Client.SYSTEM if automatic else Client.COPILOT, Service.COPILOT)


def _system_user(user: str | None) -> str | None:
    return user if user and user.startswith(_SYSTEM_USERS) else None


def _made_id(fields: AuditFields) -> str:
    parts = (
        fields.created,
        fields.operation,
        fields.mailbox or fields.mailbox_name or fields.user_id,
        fields.client_info,
        fields.address,
    )
    return hashlib.blake2b(repr(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()
