"""What a text names: clients said to be affected or not, services, regions, symptom.

Every clause is read on its own: a client in a clause that says "not impacted" or offers a
way round ("users can use Outlook on the web") is not affected by it. Sections that tell
causes and plans name components rather than clients, so they count only where nothing
else names a client.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from connectors.advisories.text import clauses, plain, read_ids, read_time, sections
from connectors.advisories.vocabulary import vocabulary
from pipeline.model.advisory import Reading, Symptom

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.model.vocabulary import Client, Service

_IMPACT_SECTIONS: Final = ("title", "impact", "more", "scope", "lead", "current", "final")
_CAUSE_SECTIONS: Final = ("cause", "next")

_UNAFFECTED: Final = re.compile(
    r"(?:\bnot|n't|\bnever)\s+(?:currently\s+|been\s+|be\s+)*(?:impacted|affected)"
    r"|\bun(?:affected|impacted)\b|\bno\s+impact\s+to\b"
    r"|\b(?:continues?|continued|work(?:s|ing)?)\s+(?:to\s+(?:work|function)\s+)?as\s+expected"
    r"|(?<!no longer )\bworks\b(?!\s+(?:only|intermittently|on|to|with))"
    r"|\b(?:still|continues?\s+to)\s+(?:work|function)\b"
    r"|\bremains?\s+(?:available|accessible|functional)",
    re.IGNORECASE,
)
_WAY_ROUND: Final = re.compile(
    r"\bworkaround|\balternative(?:ly)?\b|\binstead\b(?!\s+of)|\bin\s+the\s+(?:meantime|interim)\b"
    r"|\bwe\s+(?:recommend|suggest|advise)"
    r"|\b(?:can|may|could|should)\s+(?:still\s+|also\s+|only\s+|continue\s+to\s+|attempt\s+to\s+)*"
    r"(?:use|access|leverage|utilize|try|connect|switch|sign\s+in)\b"
    r"|(?<!not )(?<!not be )(?<!n't be )(?<!n't )\bable\s+to\b"
    r"|\bsuccessfully\s+(?:access|use|connect|sign)",
    re.IGNORECASE,
)
_ACCESS: Final = re.compile(
    r"(?:\bunable|\bnot\s+able|\bcan't|\bcannot|\bcan\s+not|\bcouldn't|\bcould\s+not|\binability"
    r"|\bfail(?:s|ed|ing|ures?)?|\bproblems?|\bissues?|\bdifficult(?:y|ies)|\berrors?|\bprevent\w*"
    r"|\bdelays?)"
    r"(?:\s+[\w']+){0,6}?"
    r"\s+(?:access(?:ing)?|connect(?:ing)?|reach(?:ing)?|launch(?:ing)?|load(?:ing)?|open(?:ing)?"
    r"|sign(?:ing)?[\s-]*in|log(?:ging)?[\s-]*(?:in|on)|authenticat\w+)\b"
    r"|\b(?:sign-?in|log-?in|authentication|connectivity|connection)\s+(?:\w+\s+)?"
    r"(?:issues?|problems?|failures?|errors?)"
    r"|\bcrash\s+loop\s+upon\s+startup",
    re.IGNORECASE,
)
# EX226574 "migrate mailboxes from IMAP": the protocol is the origin of a move, no client.
_MIGRATION: Final = re.compile(r"\bmigrat(?:e|es|ing|ions?)\b", re.IGNORECASE)
_ADMINS: Final = re.compile(r"^\W*(?:Some\s+)?(?:Admins|Administrators)\b", re.IGNORECASE)
_ANYBODY: Final = re.compile(
    r"\b(?:any|all|every)\s+(?:users?|customers?|organizations?|tenants?)\b|\b(?:globally|worldwide)\b",
    re.IGNORECASE,
)
_RESTORED: Final = re.compile(
    r"\b(?:impact|issue|problem|incident|event|service|services|functionality|access|availability)\b"
    r"[^.\n]{0,80}?\b(?:resolved|remediated|mitigated|restored|fixed|recovered|no\s+longer\s+occurring)\b"
    r"|\bno\s+longer\s+(?:experienc|impact|affect)\w+"
    r"|\b(?:resolved|remediated|mitigated|restored|fixed)\s+(?:the\s+)?(?:impact|issue|problem|service)\b"
    r"|\bthis\s+is\s+the\s+final\s+update\s+(?:for|on)\s+the\s+(?:event|incident)",
    re.IGNORECASE,
)
# What is hoped for, planned, or true for a part only is no declaration.
_PENDING: Final = re.compile(
    r"\b(?:will|would|until|once|when|whether|if|unless|expect\w*|anticipat\w*|estimat\w*|should|aim\w*"
    r"|to\s+(?:confirm|ensure|validate|verify)|before|partial\w*|most|majority|some|not\s+yet)\b"
    r"|n't\s+(?:been\s+)?(?:resolved|restored|remediated|mitigated|fixed)"
    r"|\bnot\s+(?:been\s+)?(?:fully\s+)?(?:resolved|restored|remediated|mitigated|fixed)"
    r"|\bto\s+be\s+(?:resolved|restored|remediated|mitigated|fixed)",
    re.IGNORECASE,
)
_FALSE_ALARM: Final = re.compile(
    r"\bfalse\s+(?:positive|alarm)\b"
    r"|\bdetermined\s+that\s+(?:there\s+(?:is|was)\s+no\s+(?:service\s+)?(?:impact|issue)"
    r"|the\s+service\s+(?:is|was)\s+(?:operating|functioning)\s+(?:normally|as\s+expected))",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Found:
    affected: dict[Client, float] = field(default_factory=dict)
    unaffected: set[Client] = field(default_factory=set)
    services: dict[Service, None] = field(default_factory=dict)
    protocols: dict[str, None] = field(default_factory=dict)
    everything: bool = False
    others_excluded: bool = False


def service_names(name: str) -> tuple[Service, ...] | None:
    """Services an advisory's ``service`` field stands for; () = the suite; None = unknown name.

    >>> service_names("Microsoft Teams"), service_names("Microsoft 365 suite")
    ((<Service.TEAMS: 'teams'>,), ())
    """
    found: dict[Service, None] = {}
    known = False
    for phrase in vocabulary().find(plain(name)):
        if phrase.role == "suite":
            known = True
        elif phrase.role == "service":
            known = True
            found.update(dict.fromkeys(phrase.services))
    return tuple(found) if known else None


def read_stated(title: str, impact: str, services: tuple[Service, ...]) -> Reading:
    """Read an advisory's own title and impact description (plain text)."""
    return _read({"title": title, "impact": impact}, services)


def read_post(text: str, services: tuple[Service, ...]) -> Reading:
    """Read one post (plain text); ``services`` are those of the advisory's service field."""
    return _read(sections(text), services)


def _read(parts: dict[str, str], services: tuple[Service, ...]) -> Reading:
    service = str(services[0]) if len(services) == 1 else ""
    found = _mentions((parts.get(k, "") for k in _IMPACT_SECTIONS), service)
    cause = _mentions((parts.get(k, "") for k in _CAUSE_SECTIONS), service)
    end_at = read_time(parts.get("end", ""))
    told = "\n".join(parts.get(k, "") for k in ("lead", "current", "final", "more"))
    return Reading(
        title=parts.get("title", ""),
        impact=parts.get("impact", ""),
        clients=dict(sorted(found.affected.items())),
        cause_clients=dict(sorted(cause.affected.items())),
        excluded_clients=tuple(sorted(found.unaffected - set(found.affected))),
        all_clients=found.everything,
        others_excluded=found.others_excluded,
        # Beside a single service, others are named as what depends on it or still works.
        services=() if services else tuple(found.services),
        protocols=tuple(dict.fromkeys([*found.protocols, *cause.protocols])),
        regions=_regions(parts),
        symptom=_symptom(parts, service),
        start_at=read_time(parts.get("start", "")),
        end_at=end_at,
        restored=end_at is not None or _declares_restored(told),
        false_alarm=bool(_FALSE_ALARM.search(told)),
        refers_to=read_ids("\n".join(parts.values())),
    )


def _mentions(texts: Iterable[str], service: str) -> _Found:
    found = _Found()
    for text in texts:
        for clause in clauses(text):
            unaffected = bool(_UNAFFECTED.search(clause))
            if unaffected or _WAY_ROUND.search(clause):
                _note_healthy(found, clause, service, unaffected=unaffected)
            else:
                _note_affected(found, clause, service)
    return found


def _note_healthy(found: _Found, clause: str, service: str, *, unaffected: bool) -> None:
    for phrase in vocabulary().find(clause, service):
        if phrase.role == "others":
            found.others_excluded |= unaffected
        elif phrase.role in {"client", "protocol"}:
            found.unaffected |= {c for c, weight in phrase.clients.items() if weight >= 0.5}


def _note_affected(found: _Found, clause: str, service: str) -> None:
    migration = bool(_MIGRATION.search(clause))
    for phrase in vocabulary().find(clause, service):
        if phrase.role == "protocol" and migration:
            continue
        if phrase.role in {"client", "protocol"}:
            for client, weight in phrase.clients.items():
                found.affected[client] = max(weight, found.affected.get(client, 0.0))
            if phrase.protocol:
                found.protocols[phrase.protocol] = None
        elif phrase.role == "all":
            found.everything = True
        elif phrase.role == "service":
            found.services.update(dict.fromkeys(phrase.services))


def _regions(parts: dict[str, str]) -> tuple[str, ...]:
    """Where the impact is limited to; a scope of "any user" takes a limit back."""
    if _ANYBODY.search(parts.get("scope", "")):
        return ()
    found: dict[str, None] = {}
    for name in ("title", "impact", "more", "scope", "lead"):
        for clause in clauses(parts.get(name, "")):
            if not _UNAFFECTED.search(clause):
                for phrase in vocabulary().find(clause):
                    found.update(dict.fromkeys(phrase.regions))
    return tuple(found)


def _symptom(parts: dict[str, str], service: str) -> Symptom:
    """The kind of trouble: of the title and the impact, else of what is told further down."""
    for names in (("title", "impact"), ("lead", "more", "scope")):
        symptom = _symptom_of("\n".join(parts.get(n, "") for n in names), service)
        if symptom is not Symptom.UNKNOWN:
            return symptom
    return Symptom.UNKNOWN


def _symptom_of(text: str, service: str) -> Symptom:
    roles = {p.role for p in vocabulary().find(text, service)}
    # "access their mailboxes" says it in full and outweighs all; "unable to access" alone
    # is decided by its object, such as "archived email messages".
    admins = bool(_ADMINS.search(text))
    ranked = (
        (Symptom.ACCESS, "access" in roles and not admins),
        (Symptom.FILTERING, "filtering" in roles),
        (Symptom.ADMIN, "admin" in roles or admins),
        (Symptom.FEATURE, "feature" in roles),
        (Symptom.MAIL_FLOW, "mail_flow" in roles),
        (Symptom.ACCESS, bool(_ACCESS.search(text))),
    )
    return next((symptom for symptom, holds in ranked if holds), Symptom.UNKNOWN)


def _declares_restored(text: str) -> bool:
    return any(_RESTORED.search(c) and not _PENDING.search(c) for c in clauses(text))
