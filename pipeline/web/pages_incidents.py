"""The list of incidents with its filters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from pipeline.ledger.reading import Wanted
from pipeline.model.incident import Severity
from pipeline.model.vocabulary import Client, Verdict
from pipeline.web.incident_lines import held_acks, incident_lines
from pipeline.web.pages import PAGE, links, one, place, some, tenants_of
from pipeline.web.words import INCIDENT_STATES

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pipeline.ledger.reading import Reader
    from pipeline.ledger.showing import Place
    from pipeline.web.pages import Frame

# So many are looked through for a severity, which the ledger has no index of, before the reader
# is asked whether to look further back: some 50 ms.
_LOOKED_THROUGH: Final = 600
_FOUND_BY_TEXT: Final = 100
_TENANTS: Final = 200
_NAMES_SECONDS: Final = 60.0
_SEVERITIES: Final = [str(s) for s in (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)]  # fmt: skip


class IncidentsPage:
    """The handler of ``/incidents``.

    Args:
        frame: what pages are made with.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._names: tuple[float, list[str]] = (-_NAMES_SECONDS, [])

    def incidents(self, request: Request) -> Response:
        """A page of incidents, the newest first."""
        return self._frame.show(
            request,
            "page_incidents.html",
            lambda reader: self._build(request, reader),
            nav="incidents",
        )

    def _build(self, request: Request, reader: Reader) -> dict[str, Any]:
        state = one(request, "state", INCIDENT_STATES)
        severity = one(request, "severity", _SEVERITIES)
        verdict = one(request, "verdict", [str(v) for v in Verdict])
        client = one(request, "client", [str(c) for c in Client])
        tenant, text = one(request, "tenant"), one(request, "text")
        wanted = Wanted("incident", some(state), some(tenant), some(client), some(verdict))
        if text:
            found, rest = _by_text(reader, text, wanted, severity), None
        else:
            found, rest = _listed(reader, wanted, severity, place(request))
        first, following = links(request, rest)
        return {
            "incidents": incident_lines(found, held_acks(reader, self._frame.clock.now())),
            "chosen": {
                "state": state, "severity": severity, "verdict": verdict, "client": client,
                "tenant": tenant, "text": text,
            },
            "states": list(INCIDENT_STATES.items()),
            "severities": [(s, s) for s in _SEVERITIES],
            "verdicts": [(str(v), v.label) for v in Verdict],
            "clients": [(str(c), c.label) for c in Client if c is not Client.SYSTEM],
            "tenants": tenants_of(self._tenants(reader)),
            "first": first,
            "next": following,
            "cut": bool(text) and len(found) >= _FOUND_BY_TEXT,
            "filtered": any((state, severity, verdict, client, tenant, text)),
        }  # fmt: skip

    def _tenants(self, reader: Reader) -> list[str]:
        """Names for the filter, counted anew now and then: that looks at every document."""
        at, names = self._names
        if time.monotonic() - at > _NAMES_SECONDS:
            names = [c.tenant for c in reader.tenant_counts()][:_TENANTS]
            self._names = (time.monotonic(), names)
        return names


def _listed(
    reader: Reader, wanted: Wanted, severity: str, after: Place | None
) -> tuple[list[dict[str, Any]], Place | None]:
    as_of = reader.newest_document()
    if not severity:
        page = reader.page(wanted, as_of=as_of, after=after, limit=PAGE)
        return [s.document for s in page.documents], page.rest
    found: list[dict[str, Any]] = []
    for _ in range(_LOOKED_THROUGH // PAGE):
        page = reader.page(wanted, as_of=as_of, after=after, limit=PAGE)
        found += [d for s in page.documents if (d := s.document).get("severity") == severity]
        after = page.rest
        if after is None or len(found) >= PAGE:
            break
    return found, after


def _by_text(reader: Reader, text: str, wanted: Wanted, severity: str) -> list[dict[str, Any]]:
    hits = reader.search(text, kinds=("incident",), tenants=wanted.tenants, limit=_FOUND_BY_TEXT)
    newest = (reader.revisions("incident", h.id) for h in hits)
    kept = [
        d
        for d in (r[-1].document for r in newest if r)
        if (not wanted.states or d.get("state") in wanted.states)
        and (not wanted.verdicts or d.get("verdict") in wanted.verdicts)
        and (not wanted.clients or set(wanted.clients) & set(d.get("clients", ())))
        and (not severity or d.get("severity") == severity)
    ]
    return sorted(kept, key=lambda d: str(d.get("raised_at")), reverse=True)
