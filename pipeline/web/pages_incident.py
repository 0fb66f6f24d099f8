"""One incident: the ten seconds on top, everything that backs them below."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.model.advisory import Advisory
from pipeline.model.flag import Flag
from pipeline.model.incident import Incident, RevisionReason
from pipeline.notify.brief import split_evidence
from pipeline.notify.clean import clean
from pipeline.notify.matchers import all_match, labels_of, parse_all
from pipeline.notify.words import count, moment
from pipeline.report.folder import Contents
from pipeline.report.incident_charts import Detail, axis_of, healthy_lanes, lanes_of
from pipeline.report.incident_view import view
from pipeline.report.timeline import Series, Timeline
from pipeline.runtime.situation import explain
from pipeline.web.pages import read
from pipeline.web.problems import ProblemError
from pipeline.web.words import label

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from pipeline.ledger.reading import Reader
    from pipeline.ledger.showing import Handed
    from pipeline.ledger.showing import Series as Hours
    from pipeline.model.incident import Evidence
    from pipeline.model.notice import Ack, Silence
    from pipeline.model.vocabulary import Verdict
    from pipeline.notify.explaining import Explained
    from pipeline.report.chart import Axis
    from pipeline.report.timeline import Lane
    from pipeline.web.pages import Frame

_DETAIL: Final = Detail(incidents=1, charts=8, table_rows=48)
_FLAGS: Final = 200
_LANES: Final = 16
_NUMBERS: Final = 6
_WORSE: Final = frozenset({RevisionReason.SEVERITY_UP, RevisionReason.REOPENED})


@dataclass(frozen=True, slots=True)
class Fact:
    """One piece of evidence: ``weight`` in log-odds, ``numbers`` as they were measured."""

    text: str
    weight: str
    verdict: str
    numbers: str


@dataclass(frozen=True, slots=True)
class Looked:
    """Who looks after it; ``note`` may be empty, ``broken`` tells why it counts no more."""

    by: str
    at: str
    until: str
    note: str
    broken: str


class IncidentPage:
    """The handler of ``/incidents/{id}``.

    Args:
        frame: what pages are made with.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def incident(self, request: Request) -> Response:
        """Everything about one incident.

        Raises:
            ProblemError: 404; there is none of this id.
        """
        return self._frame.show(
            request, "page_incident.html", lambda reader: self._build(request, reader),
            nav="incidents",
        )  # fmt: skip

    def _build(self, request: Request, reader: Reader) -> dict[str, Any]:
        zone, now = self._frame.renderer.site.time_zone, self._frame.clock.now()
        history = history_of(reader, request.path_params["id"])
        incident = history[-1]
        flags = _flags(reader, incident)
        known = _advisories(reader, incident)
        contents = Contents([history], flags, known, {}, {})
        shown = view(
            history, contents, _timeline(reader, incident, list(flags.values()), now),
            time_zone=zone, detail=_DETAIL,
        )  # fmt: skip
        supporting, opposing = split_evidence(incident)
        ack = reader.acks().get(incident.incident_id)
        matched = incident.advisory
        return {
            "v": shown,
            "i": incident,
            "advisories": list(known.values()),
            "advisory_id": "" if matched is None else matched.advisory_id,
            "others": [m.advisory_id for m in incident.other_advisories],
            "supporting": [_fact(e) for e in supporting],
            "opposing": [_fact(e) for e in opposing],
            "rivals": _rivals(incident),
            "ack": None if ack is None else looked(ack, history, now, zone),
            "silences": [_silence(s, zone) for s in silences_of(reader, incident, now)],
            "matchers": matchers_of(incident),
            "explained": self._explained(reader, history[-1].incident_id, now),
            "deliveries": _told(reader.deliveries_of(incident.incident_id)),
            "leads": reader.leads_of(incident.incident_id),
            "may_write": self._frame.writing is not None and not incident.state.over,
            "said": request.query_params.get("done", "")[:20],
        }  # fmt: skip

    def _explained(self, reader: Reader, name: str, now: datetime) -> list[Explained]:
        """Why each destination of people is told by now, or is not."""
        settings = self._frame.notify
        if settings is None or not settings.sinks:
            return []
        newest = reader.revisions("incident", name)[-1]
        return explain(reader, settings, now, newest.document)


def history_of(reader: Reader, name: str) -> list[Incident]:
    """Every revision of an incident, the first one first.

    Raises:
        ProblemError: 404; there is none.
    """
    history: list[Incident] = read(
        Incident, (s.document for s in reader.revisions("incident", name))
    )
    if not history:
        raise ProblemError(404, "there is no incident of this id; it may have been too long ago")
    return history


def _flags(reader: Reader, incident: Incident) -> dict[str, Flag]:
    newest = (reader.revisions("flag", name) for name in incident.flag_ids[:_FLAGS])
    found: list[Flag] = read(Flag, (r[-1].document for r in newest if r))
    return {f.flag_id: f for f in found}


def _advisories(reader: Reader, incident: Incident) -> dict[str, Advisory]:
    matches = [m for m in (incident.advisory, *incident.other_advisories) if m is not None]
    names = dict.fromkeys(i for m in matches for i in (m.advisory_id, *m.relisted_as))
    histories = (reader.advisory(name) for name in names)
    newest = (h.versions[-1] for h in histories if h is not None and h.versions)
    found: list[Advisory] = read(Advisory, newest)
    return {a.advisory_id: a for a in found}


def _timeline(reader: Reader, incident: Incident, flags: list[Flag], now: datetime) -> Timeline:
    """The hours of the lanes that are drawn, each with a quiet day on either side."""
    told = Timeline()
    # How far the hours reach tells where the picture of something that goes on ends.
    newest = [t.at for n in incident.tenants for t in reader.now((n,), limit=1)]
    told.end = max(newest, default=now)
    axis = axis_of(incident, None, told.end)
    told.begin = axis.begin
    lanes = lanes_of(incident, flags)[: _DETAIL.charts]
    for lane in [*lanes, *healthy_lanes(incident, flags)][:_LANES]:
        _put(told, reader, lane, axis)
    return told


def _put(told: Timeline, reader: Reader, lane: Lane, axis: Axis) -> None:
    found = reader.timeline(
        lane.tenant,
        since=axis.begin,
        until=axis.end,
        sources=(lane.source,),
        services=(lane.service,),
        clients=(lane.client,),
        signals=(lane.signal,),
        limit=1,
    )
    if found and found[0].hour:
        told.series[lane] = _as_series(found[0])


def _as_series(hours: Hours) -> Series:
    """What the report draws."""

    def numbers(values: list[float] | list[float | None]) -> Any:
        return np.array([np.nan if v is None else v for v in values], dtype=float)

    return Series(
        hour=np.array(hours.hour, dtype=np.int64) * 1_000_000,
        observed=numbers(hours.observed),
        expected=numbers(hours.expected),
        low=numbers(hours.low),
        high=numbers(hours.high),
        completeness=numbers(hours.completeness),
    )


def _fact(item: Evidence) -> Fact:
    numbers = [
        f"{clean(name, 40).replace('_', ' ')} {count(value)}"
        for name, value in list(item.numbers.items())[:_NUMBERS]
    ]
    return Fact(clean(item.text), f"{abs(item.weight):.1f}", item.verdict.label, ", ".join(numbers))


def _rivals(incident: Incident) -> list[tuple[str, str]]:
    """The other verdicts with the sum of the evidence for each, the likeliest first."""
    sums: dict[Verdict, float] = {}
    for item in incident.evidence:
        sums[item.verdict] = sums.get(item.verdict, 0.0) + item.weight
    rest = sorted(
        ((v, w) for v, w in sums.items() if v is not incident.verdict), key=lambda p: -p[1]
    )
    return [(v.label, f"{w:+.1f}".replace("-", "\u2212")) for v, w in rest]


def looked(ack: Ack, history: list[Incident], now: datetime, zone: str) -> Looked:
    """Who looks after an incident, and whether that still counts."""
    worse = [i for i in history if i.reason in _WORSE and i.published_at > ack.at]
    broken = ""
    if ack.until is not None and ack.until <= now:
        broken = f"ended {moment(ack.until, zone)}"
    elif worse:
        broken = f"it got worse {moment(worse[-1].published_at, zone)}"
    return Looked(
        by=clean(ack.by, 80) or "somebody",
        at=moment(ack.at, zone),
        until="" if ack.until is None else moment(ack.until, zone),
        note=clean(ack.note),
        broken=broken,
    )


def silences_of(reader: Reader, incident: Incident, now: datetime) -> list[Silence]:
    """Silences that hold now and match the incident."""
    labels = labels_of(
        {
            "severity": str(incident.severity),
            "verdict": str(incident.verdict),
            "clients": [str(c) for c in incident.clients],
            "services": [str(s) for s in incident.services],
            "tenants": incident.tenants,
            "state": str(incident.state),
            "reason": str(incident.reason),
        }
    )
    found = reader.silences(since=int(now.timestamp() * 1_000_000))
    return [s for s in found if s.active(now) and all_match(parse_all(s.matchers), labels)]


def _silence(silence: Silence, zone: str) -> tuple[str, str, str, str]:
    return (
        clean(silence.silence_id, 60),
        moment(silence.ends_at, zone),
        clean(silence.by, 80) or "somebody",
        clean(silence.comment),
    )


def _told(handed: list[Handed]) -> list[tuple[str, str, str, str, datetime | None, str]]:
    """Destination, revisions, state, its word, when and why; like ones in a row are one line."""
    rows: list[tuple[str, str, str, str, datetime | None, str]] = []
    for (sink, state, reason), items in groupby(
        handed, key=lambda h: (h.sink, str(h.state), h.reason)
    ):
        found = list(items)
        first, last = found[0].revision, found[-1].revision
        revisions = str(first) if first == last else f"{first} to {last}"
        rows.append(
            (clean(sink, 60), revisions, state, label(state, "handed"), found[-1].at, clean(reason))
        )
    return rows


def matchers_of(incident: Incident) -> str:
    """Matchers that fit what is like this incident, one a line."""
    lines = [f"tenant={','.join(incident.tenants)}"] if incident.tenants else []
    if incident.clients:
        lines.append(f"client={','.join(str(c) for c in incident.clients)}")
    lines.append(f"verdict={incident.verdict}")
    return "\n".join(lines)
