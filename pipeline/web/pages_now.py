"""The page that stands on the wall: what is wrong now, client by client, and what is not seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.model.vocabulary import Signal
from pipeline.notify.clean import clean
from pipeline.notify.words import count, duration, listed, percent, plural, short
from pipeline.web.incident_lines import held_acks, incident_lines
from pipeline.web.pages import one
from pipeline.web.spark import Spark, spark
from pipeline.web.words import label

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pipeline.ledger.reading import Reader
    from pipeline.ledger.showing import CellNow, Front, Measure, Series, TenantNow
    from pipeline.web.incident_lines import IncidentLine
    from pipeline.web.pages import Frame

SPARK_HOURS: Final = 48
_OPEN_SHOWN: Final = 12
_TENANTS: Final = 50
_SERIES: Final = 64
# A live run judges every minute or two; a log that comes in by the hour, every hour.
_STALE_SECONDS: Final = 2 * 3600
_ORDER: Final = ("high", "low", "blind", "usual", "warming_up")
# Of the signals of a cell, the first that is there is drawn and compared.
_MAIN: Final = (Signal.ACTIVE_USERS, Signal.ACCESS_VOLUME, Signal.FAILURE_RATE)


@dataclass(frozen=True, slots=True)
class CellLine:
    """A client of one service in one log."""

    state: str
    client: str
    service: str
    source: str
    observed: str
    expected: str
    band: str
    unit: str
    also: list[str]
    failing: str
    completeness: float
    hour: datetime
    spark: Spark | None


@dataclass(frozen=True, slots=True)
class TenantLines:
    """A tenant with the cells that are shown of it; ``hidden``: as usual, not shown."""

    tenant: str
    at: datetime
    cells: list[CellLine]
    hidden: int
    states: list[tuple[str, int]]
    logs: list[tuple[str, float]]


class NowPage:
    """The handler of ``/``.

    Args:
        frame: what pages are made with.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def now(self, request: Request) -> Response:
        """What is wrong now."""
        return self._frame.show(
            request, "page_now.html", lambda reader: self._build(request, reader), nav="now"
        )

    def _build(self, request: Request, reader: Reader) -> dict[str, Any]:
        tenant, now = one(request, "tenant"), self._frame.clock.now()
        chosen = (tenant,) if tenant else ()
        front = reader.front(chosen, now=now)
        stored = reader.open_incidents(chosen, limit=_OPEN_SHOWN + 1)
        found = incident_lines((s.document for s in stored[:_OPEN_SHOWN]), held_acks(reader, now))
        tenants = reader.now(chosen, after=one(request, "after"), limit=_TENANTS)
        full = len(tenants) == 1
        lines = [_tenant(t, _hours(reader, t) if full else {}, full=full) for t in tenants]
        still = sum(front.open.values())
        blind, feeds = _blind(tenants), _unwell(reader, chosen)
        unseen = bool(blind or feeds or front.cells.get("blind"))
        return {
            "front": front,
            "still": still,
            "incidents": found,
            "further": max(0, still - len(found)),
            "tenants": lines,
            "tenant": tenant,
            "next": tenants[-1].tenant if len(tenants) == _TENANTS else "",
            "hero": _hero(front, found, _stale(front.newest_at, now), blind=unseen),
            "blind": blind,
            "feeds": feeds,
            "hours": SPARK_HOURS,
        }


def _hero(front: Front, found: list[IncidentLine], judged: str, *, blind: bool) -> dict[str, str]:
    """Tone, title and the sentence below it; never an all-clear for what is not seen.

    Args:
        front: the numbers.
        found: what is open, the most pressing first.
        judged: what is wrong with the judging; empty if nothing is.
        blind: whether something is not seen.
    """
    still = sum(front.open.values())
    if found:
        worst = found[0].severity
        title = (
            f"1 incident is open: {worst}"
            if still == 1
            else f"{count(still)} incidents are open, the worst {worst}"
        )
        return {"tone": worst, "title": title, "lead": judged}
    if front.newest_at is None:
        return {"tone": "unsure", "title": "Nothing has been judged yet",
                "lead": "No log has been read into this ledger, so this is no all-clear."}  # fmt: skip
    known = sum(front.cells.get(s, 0) for s in ("usual", "low", "high"))
    notes = [f"{plural(known, 'client')} compared with the usual"]
    for state, text in (("warming_up", "warming up, not judged yet"), ("blind", "not seen")):
        if front.cells.get(state):
            notes.append(f"{count(front.cells[state])} {text}")
    title = "No incident is open"
    if judged:
        title += f", as of {short(front.newest_at)} UTC"
    elif blind:
        title += ", but we are blind for a part"
    tone = "unsure" if blind or judged or not known else "calm"
    lead = " ".join(filter(None, (f"{listed(notes)}.", judged)))
    return {"tone": tone, "title": title, "lead": lead}


def _stale(newest: datetime | None, now: datetime) -> str:
    """What to say when nothing has been judged for long; empty while all is well."""
    if newest is None or (now - newest).total_seconds() < _STALE_SECONDS:
        return ""
    since = duration((now - newest).total_seconds())
    return f"Nothing has been judged for {since}: see that 'outrider run' is at work."


def _tenant(tenant: TenantNow, hours: dict[tuple[str, ...], Series], *, full: bool) -> TenantLines:
    cells = sorted(tenant.cells, key=_pressing)
    shown = cells if full else [c for c in cells if c.state in {"low", "high", "blind"}]
    return TenantLines(
        tenant=clean(tenant.tenant, 80),
        at=tenant.at,
        cells=[_cell(c, tenant.at, hours) for c in shown],
        hidden=len(cells) - len(shown),
        states=[(s, tenant.states[s]) for s in _ORDER if tenant.states.get(s)],
        logs=[(label(s, "source"), v) for s, v in sorted(tenant.completeness.items())],
    )


def _pressing(cell: CellNow) -> tuple[int, float, str, str, str]:
    main = _main(cell)
    users = 0.0 if main is None else (main.expected or main.observed)
    order = _ORDER.index(cell.state) if cell.state in _ORDER else 0
    return (order, -users, cell.client, cell.service, cell.source)


def _main(cell: CellNow) -> Measure | None:
    by_signal = {m.signal: m for m in cell.measures}
    return next((by_signal[s] for s in _MAIN if s in by_signal), None)


def _cell(cell: CellNow, at: datetime, hours: dict[tuple[str, ...], Series]) -> CellLine:
    main = _main(cell)
    also = [
        f"{label(m.signal, 'signal')}: {count(m.observed)}, usually {count(m.expected or 0)}"
        for m in cell.measures
        if m is not main and m.state in {"low", "high"}
    ]
    seen = cell.state != "blind" and main is not None
    known = main is not None and main.expected is not None
    series = hours.get((cell.source, cell.service, cell.client, main.signal)) if main else None
    return CellLine(
        state=str(cell.state),
        client=_capital(label(cell.client, "client")),
        service=label(cell.service, "service"),
        source=label(cell.source, "source"),
        observed=count(main.observed) if seen and main else "-",
        expected=count(main.expected or 0) if known and main else "-",
        band=f"{count(main.low or 0)} to {count(main.high or 0)}" if known and main else "",
        unit=label(main.signal, "signal") if main else "",
        also=also,
        failing="-" if cell.failure_rate is None or not seen else percent(cell.failure_rate),
        completeness=cell.completeness,
        hour=cell.hour,
        spark=None if series is None else spark(series, int(at.timestamp()), SPARK_HOURS),
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _hours(reader: Reader, tenant: TenantNow) -> dict[tuple[str, ...], Series]:
    """The last hours of the main signals by (source, service, client, signal)."""
    since = tenant.at - timedelta(hours=SPARK_HOURS)
    wanted = {str(m.signal) for c in tenant.cells if (m := _main(c)) is not None}
    found = [
        s
        for signal in sorted(wanted)
        for s in reader.timeline(
            tenant.tenant, since=since, until=tenant.at, signals=(signal,), limit=_SERIES
        )
    ]
    return {(s.source, s.service, s.client, s.signal): s for s in found}


def _blind(tenants: list[TenantNow]) -> list[str]:
    """What is not seen, in sentences."""
    found = []
    for tenant in tenants:
        whose = f" of {clean(tenant.tenant, 60)}" if len(tenants) > 1 else ""
        blind = Counter(str(c.source) for c in tenant.cells if c.state == "blind")
        found += [
            f"{label(source, 'source')}{whose}: {plural(number, 'client')} not seen for hours"
            for source, number in sorted(blind.items())
        ]
    return found[:_OPEN_SHOWN]


def _unwell(reader: Reader, chosen: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Feeds that do not work: name, state, what is wrong."""
    return [
        (clean(f.feed, 60), str(f.state), clean(f.problem))
        for t in reader.sources(chosen, limit=_TENANTS)
        for f in t.feeds
        if f.state not in {"working", "behind"}
    ][:_OPEN_SHOWN]
