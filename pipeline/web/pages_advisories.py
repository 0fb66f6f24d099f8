"""Advisories with our answer, and the lead-time ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipeline.match.ledger import LedgerRow
from pipeline.model.advisory import Advisory, Answer, Impact
from pipeline.notify.brief import ahead
from pipeline.notify.clean import clean, paragraphs
from pipeline.notify.words import count, duration, moment, percent
from pipeline.web.pages import PAGE, links, one, place, read, some
from pipeline.web.problems import ProblemError
from pipeline.web.words import ANSWERS, LEAD_KINDS, OVERS

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from pipeline.ledger.reading import Reader
    from pipeline.ledger.showing import AdvisoryShown
    from pipeline.model.advisory import ClientImpact
    from pipeline.web.pages import Frame

_POSTS: Final = 60
_CLIENTS: Final = 40


@dataclass(frozen=True, slots=True)
class AdvisoryLine:
    """An advisory in a list."""

    id: str
    title: str
    service: str
    first_post: datetime | None
    resolved: bool
    status: str
    answer: str
    over: str
    statement: str
    others: str


@dataclass(frozen=True, slots=True)
class LeadLine:
    """A row of the lead-time ledger; ``side`` is ``ahead``, ``behind`` or empty."""

    kind: str
    what: str
    incident_id: str
    advisory_id: str
    raised_at: datetime | None
    first_post: datetime | None
    lead: str
    side: str
    lead_start: str
    side_start: str
    in_scope: bool
    arrival: str


class AdvisoryPages:
    """Handlers of ``/advisories``, ``/advisories/{id}`` and ``/ledger``.

    Args:
        frame: what pages are made with.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def advisories(self, request: Request) -> Response:
        """Advisories, the one with the newest word first."""

        def build(reader: Reader) -> dict[str, Any]:
            tenant, answer = one(request, "tenant"), one(request, "answer", ANSWERS)
            page = reader.advisories(
                some(tenant), answers=some(answer), after=place(request), limit=PAGE
            )
            first, following = links(request, page.rest)
            lines = [line for a in page.advisories if (line := _advisory_line(a)) is not None]
            return {
                "advisories": lines,
                "first": first,
                "next": following,
                "answers": list(ANSWERS.items()),
                "answer": answer,
                "tenant": tenant,
            }

        return self._frame.show(request, "page_advisories.html", build, nav="advisories")

    def advisory(self, request: Request) -> Response:
        """One advisory, and what it means for us.

        Raises:
            ProblemError: 404; there is none of this id.
        """
        zone = self._frame.renderer.site.time_zone

        def build(reader: Reader) -> dict[str, Any]:
            found = reader.advisory(request.path_params["id"])
            versions: list[Advisory] = read(Advisory, [] if found is None else found.versions)
            if found is None or not versions:
                raise ProblemError(404, "there is no advisory of this id here")
            newest = versions[-1]
            posts = sorted(newest.posts, key=lambda p: p.created_at)
            return {
                "a": newest,
                "versions": len(versions),
                "facts": _facts(newest, zone),
                "impacts": [
                    (
                        clean(tenant, 80),
                        impact,
                        _over(impact),
                        [_client(c) for c in impact.clients[:_CLIENTS]],
                    )
                    for tenant, document in found.impacts
                    for impact in read(Impact, [document])
                ],
                "leads": [_lead_line(r) for r in read(LedgerRow, found.leads)],
                "posts": [
                    (moment(p.created_at, zone), paragraphs(p.text)) for p in posts[-_POSTS:]
                ],
                "posts_left_out": max(0, len(posts) - _POSTS),
            }

        return self._frame.show(request, "page_advisory.html", build, nav="advisories")

    def ledger(self, request: Request) -> Response:
        """Who was first, row by row; misses and late ones too."""

        def build(reader: Reader) -> dict[str, Any]:
            tenant, kind = one(request, "tenant"), one(request, "kind", LEAD_KINDS)
            page = reader.leads(some(tenant), kinds=some(kind), after=place(request), limit=PAGE)
            first, following = links(request, page.rest)
            summary = reader.lead_summary(some(tenant))
            median = summary.median_lead_seconds
            return {
                "leads": [_lead_line(r) for r in read(LedgerRow, page.leads)],
                "kinds": [(k, text, summary.kinds.get(k, 0)) for k, text in LEAD_KINDS.items()],
                "median": "" if median is None else ahead(median, "the first post", ""),
                "out_of_scope": summary.out_of_scope,
                "kind": kind,
                "first": first,
                "next": following,
            }

        return self._frame.show(request, "page_ledger.html", build, nav="ledger")


def _advisory_line(shown: AdvisoryShown) -> AdvisoryLine | None:
    found: list[Advisory] = read(Advisory, [shown.document])
    impacts: list[Impact] = read(Impact, [] if shown.impact is None else [shown.impact])
    if not found:
        return None
    advisory, impact = found[0], impacts[0] if impacts else None
    several = sum(shown.impacts) > 1
    return AdvisoryLine(
        id=advisory.advisory_id,
        title=clean(advisory.title) or clean(advisory.advisory_id, 40),
        service=clean(advisory.service, 60),
        first_post=advisory.first_published_at,
        resolved=advisory.is_resolved,
        status=_spaced(advisory.status),
        answer="" if impact is None else str(impact.answer),
        over=_over(impact),
        statement="" if impact is None else clean(impact.statement, 400),
        others=(
            f"{count(shown.impacts.yes)} of {count(sum(shown.impacts))} tenants affected"
            if several
            else ""
        ),
    )


def _over(impact: Impact | None) -> str:
    """Whether it is over for us; empty where that is no question."""
    if impact is None or impact.answer is not Answer.YES:
        return ""
    return OVERS[impact.over]


def _spaced(status: str) -> str:
    """A status of the service as words.

    >>> _spaced("serviceRestored")
    'service restored'
    """
    text = clean(status, 60)
    return "".join(f" {c.lower()}" if c.isupper() else c for c in text).strip()


def _facts(advisory: Advisory, zone: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, datetime | None]] = [
        ("First post", advisory.first_published_at),
        ("Seen by us", advisory.first_seen_at),
        ("Its own start", advisory.start_at),
        ("Start in its text", advisory.text_start_at),
        ("Declared restored", advisory.restored_at),
        ("Its own end", advisory.end_at),
    ]
    facts = [(name, moment(at, zone)) for name, at in rows if at is not None]
    named = ", ".join(c.label for c in advisory.clients)
    spared = ", ".join(c.label for c in advisory.excluded_clients)
    facts.insert(0, ("Service", clean(advisory.service, 80)))
    facts.insert(1, ("Status", _spaced(advisory.status)))
    facts.append(("Names", "every client" if advisory.all_clients else named or "no client"))
    if spared:
        facts.append(("Says is fine", spared))
    if advisory.is_false_positive:
        facts.append(("Taken back", "Microsoft calls it a false alarm"))
    return facts


def _client(client: ClientImpact) -> tuple[str, ...]:
    effect = client.detectable_effect
    return (
        f"{client.client.label} ({client.service.label})",
        ANSWERS[client.answer],
        OVERS[client.over] or "-",
        count(client.active_users),
        "not watched" if effect is None else "too few users" if effect >= 1 else percent(effect),
        clean(client.statement),
    )


def _lead_line(row: LedgerRow) -> LeadLine:
    start = row.lead_start_api if row.lead_start_api is not None else row.lead_start_text
    clients = ", ".join(c.label for c in row.clients)
    verdict = row.verdict.label if row.verdict is not None else ""
    what = clean(row.title) or ": ".join(filter(None, (verdict, clients))) or "-"
    return LeadLine(
        kind=LEAD_KINDS[row.kind] if row.in_scope else "not to be seen in our logs",
        what=what,
        incident_id=row.incident_id or "",
        advisory_id=row.advisory_id or "",
        raised_at=row.raised_at,
        first_post=row.first_published_at,
        lead=_signed(row.lead_seconds),
        side=_side(row.lead_seconds),
        lead_start=_signed(start),
        side_start=_side(start),
        in_scope=row.in_scope,
        arrival=row.arrival,
    )


def _signed(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{'+' if seconds >= 0 else chr(0x2212)}{duration(seconds)}"


def _side(seconds: float | None) -> str:
    return "" if seconds is None else "ahead" if seconds >= 0 else "behind"
