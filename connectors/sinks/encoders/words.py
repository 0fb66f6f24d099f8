"""What every form tells of a flag or an incident, in the words an operator reads."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline.model.clock import parse_rfc3339, to_us
from pipeline.model.vocabulary import Client, Service, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Document = Mapping[str, Any]

NAME: Final = "Outrider"


class Level(NamedTuple):
    """One severity on the scale of each format."""

    ocsf: int
    ecs: int
    cef: str
    leef: int


# A flag is one detector's word and wakes nobody: the lowest step of each scale.
# CEF names 0-3 low, 4-6 medium, 7-8 high, 9-10 very high; LEEF has the same without 0.
# The numbers of ECS are those that Elastic's own detection rules give these four words.
LEVELS: Final[dict[str, Level]] = {
    "flag": Level(1, 1, "1", 1),
    "low": Level(2, 21, "3", 3),
    "medium": Level(3, 47, "6", 6),
    "high": Level(4, 73, "8", 8),
    "critical": Level(5, 99, "10", 10),
}
KINDS: Final[dict[str, str]] = {
    "failure_spike": "Failures rise",
    "volume_drop": "Use drops",
    "retry_surge": "Retries surge",
    "client_shift": "Users change clients",
    "new_error": "New error code",
}
OVER: Final = frozenset({"closed", "resolved", "retracted"})
# The field by which a document tells which of its fields were shortened for a small receiver.
SHORTENED: Final = "shortened"


@cache
def product_version() -> str:
    """Version of this program."""
    return version("outrider")


def level(document: Document) -> Level:
    """Severity of a document."""
    return LEVELS[document.get("severity", "flag")]


def milliseconds(moment: str) -> int:
    """Milliseconds since 1970 of a time as documents write it."""
    return to_us(parse_rfc3339(moment)) // 1000


def told_at(document: Document) -> str:
    """When this revision could be known: of an incident it stands there.

    Of a flag it is the latest of the moments that made it: raised, decided again, corrected.
    """
    if "published_at" in document:
        return str(document["published_at"])
    moments = [document[k] for k in ("raised_at", "decided_at", "corrected_at") if k in document]
    return str(max(moments, key=parse_rfc3339))


def ended_at(document: Document) -> str | None:
    """When it was over, if it is."""
    return document.get("resolved_at") or document.get("closed_at")


def event_class(document: Document) -> str:
    """The kind of event, from closed sets: ``incident.VERDICT`` or ``flag.KIND``."""
    if "verdict" in document:
        return f"incident.{document['verdict']}"
    return f"flag.{document['kind']}"


def title(document: Document) -> str:
    """A name for the kind of event, from closed sets."""
    if "verdict" in document:
        return f"Incident: {Verdict(document['verdict']).label}"
    return f"Flag: {KINDS[document['kind']]}"


def message(document: Document) -> str:
    """One or two sentences for a person."""
    lost = ", ".join(document.get(SHORTENED, ()))
    mark = f" [cut: {lost}]" if lost else ""
    if "headline" in document:
        return f"{document['headline']}. {advisory(document)}.{mark}"
    since = f"since {document['onset_at']}"
    return f"{KINDS[document['kind']]}: {clients(document)}, {services(document)}, {since}{mark}"


def tenants(document: Document) -> list[str]:
    """Tenants it is about."""
    return list(document["tenants"]) if "tenants" in document else [document["tenant"]]


def client_ids(document: Document) -> list[str]:
    """Clients by their identifiers."""
    return list(document["clients"]) if "clients" in document else [document["client"]]


def service_ids(document: Document) -> list[str]:
    """Services by their identifiers."""
    return list(document["services"]) if "services" in document else [document["service"]]


def client_names(document: Document) -> list[str]:
    """Clients by the names an operator reads."""
    return [Client(c).label for c in client_ids(document)]


def service_names(document: Document) -> list[str]:
    """Services by the names an operator reads."""
    return [Service(s).label for s in service_ids(document)]


def clients(document: Document) -> str:
    """Clients by their names, in one text."""
    return ", ".join(client_names(document))


def services(document: Document) -> str:
    """Services by their names, in one text."""
    return ", ".join(service_names(document))


def advisory(document: Document) -> str:
    """The advisory that fits, how well, and who was first."""
    found = document.get("advisory")
    if found is None:
        return "No advisory fits yet"
    lead = found.get("lead_seconds")
    first = ""
    if lead is not None:
        when = "after" if lead >= 0 else "before"
        first = f", published {abs(lead) / 60:.0f} min {when} our alarm"
    return f"Advisory {found['advisory_id']} (fit {found['score']:.2f}{first})"


def advisory_reasons(document: Document) -> str:
    """The advisory and why it fits."""
    reasons = (document.get("advisory") or {}).get("reasons", ())
    return "; ".join([advisory(document), *reasons])


def evidence(document: Document) -> str:
    """What speaks for and against, heaviest first, so that a cut takes the lightest."""
    if "evidence" not in document:
        seen, usual = document["observed"], document["expected"]
        return "; ".join(
            [f"{k}: {v:g} observed" + (f", {usual[k]:g} expected" if k in usual else "")
             for k, v in seen.items()]
            + [f"p-value at most {document['p_value']:.2g}",
               f"completeness {document['completeness']:.0%}"]
        )  # fmt: skip
    weighed = sorted(document["evidence"], key=lambda e: -abs(e["weight"]))
    return "; ".join(f"{e['verdict']} {e['weight']:+.1f}: {e['text']}" for e in weighed)


def still_works(document: Document) -> str:
    """Clients that still work, best first."""
    return "; ".join(
        f"{Client(c['client']).label}, {c['success_rate']:.1%} succeed, "
        f"{c['affected_users_succeeding']} of the affected users there"
        for c in document.get("healthy_clients", ())
    )


def scope(document: Document) -> str:
    """The slices that explain it."""
    return "; ".join(
        f"{s['dimension']} {s['value']}: {s['share_inside']:.0%} of the affected users, "
        f"usually {s['share_normal']:.0%}"
        for s in document.get("scope", ())
    )


def error_codes(document: Document) -> str:
    """Failure codes and the users who met them."""
    if "error_code" in document:
        return str(document["error_code"])
    return "; ".join(
        f"{c['code']} ({c['users']} users): {c['meaning']}" for c in document.get("error_codes", ())
    )


def related(document: Document) -> str:
    """Further advisories that fit, and what it is a recurrence of."""
    further: Iterable[str] = [a["advisory_id"] for a in document.get("other_advisories", ())]
    relisted = (document.get("advisory") or {}).get("relisted_as", ())
    return ", ".join([*further, *relisted, *document.get("recurrence_of", ())])
