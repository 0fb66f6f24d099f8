"""Client typing and services by the tables: first match wins, most specific first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from connectors.normalise.tables import rows
from connectors.normalise.tally import mask_client, product_tokens
from pipeline.model.vocabulary import Client, Service

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXACT: Final = ("app_id", "app_name", "client_app", "resource_id")
_REGEX: Final = ("operating_system", "user_agent", "browser")
_AUDIT_FIELDS: Final = (
    "client_info",
    "actor_info",
    "token_type",
    "logon_type",
    "user_id",
    "app_id",
    "record_type",
)
# The catch-all of unfamiliar REST callers: a match, and yet nothing known.
_LAST_RESORT: Final = 99


class Profile(NamedTuple):
    """What can be told of a client and the service it asked for.

    ``unmatched`` is the masked text to report when no rule knew the client.
    """

    client: Client
    service: Service
    version: str | None = None
    device: str | None = None
    unmatched: str | None = None


class SigninTraits(NamedTuple):
    """The fields of a sign-in that tell the client and the service."""

    app_id: str | None
    resource_id: str | None
    client_app: str | None
    operating_system: str | None
    browser: str | None
    user_agent: str | None
    app_name: str | None
    resource_name: str | None


class AuditTraits(NamedTuple):
    """The fields of a mailbox audit record that tell the client."""

    client_info: str | None
    app_id: str | None
    record_type: str | None
    logon_type: str | None
    user_id: str | None
    actor_info: str | None
    token_type: str | None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    client: Client
    exact: tuple[tuple[str, str], ...]
    patterns: tuple[tuple[str, re.Pattern[str]], ...]

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all(fields[n] == v for n, v in self.exact) and all(
            p.search(fields[n]) for n, p in self.patterns
        )


@cache
def _signin_rules() -> tuple[_Rule, ...]:
    table = sorted(rows("signin_clients"), key=lambda r: int(r["priority"]))
    return tuple(
        _Rule(
            Client(r["client"]),
            tuple((n, r[n].casefold()) for n in _EXACT if r[n]),
            tuple((n, re.compile(r[n])) for n in _REGEX if r[n]),
        )
        for r in table
    )


@cache
def _audit_rules() -> tuple[tuple[int, Client, str, re.Pattern[str]], ...]:
    return tuple(
        (int(r["priority"]), Client(r["client"]), r["field"], re.compile(r["pattern"]))
        for r in sorted(rows("exchange_clients"), key=lambda r: int(r["priority"]))
    )


@cache
def _known_apps() -> frozenset[str]:
    return frozenset(r["app_id"].casefold() for r in rows("signin_clients") if r["app_id"])


@cache
def _services() -> tuple[dict[str, Service], dict[str, Service]]:
    table = rows("services")
    names: dict[str, Service] = {}
    for row in table:
        names.setdefault(row["resource_name"].casefold(), Service(row["service"]))
    return {r["resource_id"]: Service(r["service"]) for r in table}, names


def is_known(app_id: str | None, resource_id: str | None) -> bool:
    """Whether the ids alone tell client and service, so that display names are not needed."""
    ids, _ = _services()
    known = (resource_id or "").casefold() in ids
    return known and (app_id or "").casefold() in _known_apps()


def service_of(resource_id: str | None, resource_name: str | None) -> Service:
    """The service behind a resource: by its id, else by its display name."""
    ids, names = _services()
    found = ids.get((resource_id or "").casefold())
    return found or names.get((resource_name or "").strip().casefold(), Service.OTHER)


@lru_cache(maxsize=8192)  # a tenant's apps and browsers; units of one process share it
def signin_profile(traits: SigninTraits) -> Profile:
    """Client, version, device class and service of a sign-in.

    An app's display name counts only where its id is in no rule: Microsoft renames apps.

    >>> signin_profile(SigninTraits("27922004-5251-4030-b22d-91ecd9a37ea4",
    ...     "00000002-0000-0ff1-ce00-000000000000", "", "Ios 17", "", "", "", ""))[:2]
    (<Client.OUTLOOK_IOS: 'outlook_ios'>, <Service.EXCHANGE_ONLINE: 'exchange_online'>)
    """
    fields = {n: (v or "").strip() for n, v in zip(traits._fields, traits, strict=True)}
    fields |= {n: fields[n].casefold() for n in _EXACT}
    if fields["app_id"] in _known_apps():
        fields["app_name"] = ""
    client = next((r.client for r in _signin_rules() if r.matches(fields)), None)
    return Profile(
        client=client or Client.OTHER,
        service=service_of(traits.resource_id, traits.resource_name),
        version=_signin_version(client, fields),
        device=_device(fields["operating_system"]),
        unmatched=None if client is not None else _describe(fields),
    )


def _describe(fields: Mapping[str, str]) -> str:
    agent = product_tokens(fields["user_agent"])
    app = fields["app_id"] if re.fullmatch(r"[0-9a-f-]{36}", fields["app_id"]) else "(no app id)"
    return f"{app} {mask_client(fields['client_app'])} {agent}".strip()


_VERSIONS: Final = re.compile(
    r"(?:OneOutlook|Outlook-iOS|Outlook-Android|MacOutlook|Microsoft Outlook)[/ ](\d+(?:\.\d+)*)"
)
_BROWSER: Final = re.compile(r"([A-Za-z][A-Za-z ]{1,30}) (\d+)(?:\.[\d.]*)?")
_IN_A_BROWSER: Final = frozenset({Client.OWA, Client.OFFICE_WEB, Client.COPILOT, Client.TEAMS})


def _signin_version(client: Client | None, fields: Mapping[str, str]) -> str | None:
    if match := _VERSIONS.search(fields["user_agent"]):
        return match[1][:32]
    if client in _IN_A_BROWSER and (match := _BROWSER.fullmatch(fields["browser"])):
        # "Edge 91.0.864": the major version is what outages follow.
        return f"{match[1]} {match[2]}"
    return None


_DEVICES: Final = (
    ("ios", "ios"),
    ("ipados", "ios"),
    ("mac", "mac"),
    ("windows", "windows"),
    ("android", "android"),
    ("linux", "linux"),
)


def _device(operating_system: str) -> str | None:
    text = operating_system.replace(" ", "").casefold()
    return next((d for prefix, d in _DEVICES if text.startswith(prefix)), None)


@lru_cache(maxsize=8192)
def audit_profile(traits: AuditTraits) -> Profile:
    """Client and version of a mailbox audit record; the service is Exchange Online.

    >>> audit_profile(AuditTraits("Client=OutlookService;Outlook-iOS/2.0;", None, "50",
    ...     None, None, None, None)).client
    <Client.OUTLOOK_IOS: 'outlook_ios'>
    """
    fields = {n: (v or "").strip() for n, v in zip(traits._fields, traits, strict=True)}
    found = next(((p, c) for p, c, f, r in _audit_rules() if r.search(fields[f])), None)
    priority, client = found or (_LAST_RESORT, Client.OTHER)
    text = mask_client(fields["client_info"]) or f"(no client string) {_app(fields['app_id'])}"
    return Profile(
        client=client,
        service=Service.EXCHANGE_ONLINE,
        version=_audit_version(fields),
        device=None,
        unmatched=text.strip() if priority >= _LAST_RESORT else None,
    )


def _app(text: str) -> str:
    return text if re.fullmatch(r"[0-9a-fA-F-]{36}", text) else ""


def _audit_version(fields: Mapping[str, str]) -> str | None:
    if match := re.fullmatch(r"\d+(?:\.\d+){1,4}", fields["version"]):
        return match[0]
    match = _VERSIONS.search(fields["client_info"])
    return match[1][:32] if match else None


assert set(_AUDIT_FIELDS) <= set(AuditTraits._fields)  # noqa: S101 # table fields exist
