"""Labels against incidents: what was found, when, with which words, and what was made up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.evaluate.evaluation import Evaluation, FalseIncident, LabelResult
from pipeline.evaluate.labels import OUTAGE, Label, Labels, parse_labels
from pipeline.model.vocabulary import FINER_CLIENTS, Client, Source, Verdict, finest, same_client

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from pipeline.model.incident import Incident

TOLERANCE: Final = timedelta(hours=2)
"""An onset is an estimate: an incident this close to a label's time may be about it."""

_LOGS: Final[dict[str, str]] = {
    Source.ENTRA_SIGNIN: "entra",
    Source.ENTRA_SIGNIN_NONINTERACTIVE: "entra",
    Source.EXCHANGE_AUDIT: "exchange_audit",
}
# What only the mailbox audit can tell apart.
_COARSE: Final = {fine: coarse for coarse, group in FINER_CLIENTS.items() for fine in group}


@dataclass(frozen=True, slots=True)
class _Chain:
    """One incident: all its revisions, in order."""

    revisions: tuple[Incident, ...]

    @property
    def first(self) -> Incident:
        return self.revisions[0]

    @property
    def last(self) -> Incident:
        return self.revisions[-1]

    @property
    def ever_outage(self) -> bool:
        return any(i.verdict is Verdict.SERVICE_OUTAGE for i in self.revisions)


def evaluate(
    labels: Labels | Mapping[str, Any],
    incidents: Sequence[Incident],
    *,
    sources: Collection[str] | None = None,
    tolerance: timedelta = TOLERANCE,
) -> Evaluation:
    """Judge the incidents of one tenant.

    Args:
        labels: of :func:`read_labels`, or a decoded ``outrider.labels/1`` document.
        incidents: all revisions, in any order; the newest of each id is judged.
        sources: the logs that were given (``entra``, ``exchange_audit``, or names of
            Source); clients are then expected as these can tell them, and a label that
            none of them can show is not counted. None = all.
        tolerance: slack around a label's time.

    Returns:
        Results in order of the labels, and every incident that no label explains. A false
        incident is called an outage and shares time and a client with no outage label.

    Raises:
        ConfigError: ``labels`` is no valid document.
    """
    truth = labels if isinstance(labels, Labels) else parse_labels(labels)
    logs = None if sources is None else frozenset(_LOGS.get(s, s) for s in sources)
    chains = _chains(incidents)
    outages = [label for label in truth.labels if label.kind == OUTAGE]
    judged = _Judge(truth, chains, outages, logs, tolerance)
    return Evaluation(
        tenant=truth.tenant,
        tenant_weeks=truth.weeks,
        labels=tuple(judged.label(label) for label in truth.labels),
        unexplained=tuple(judged.unexplained()),
    )


def _chains(incidents: Sequence[Incident]) -> list[_Chain]:
    by_id: dict[str, list[Incident]] = {}
    for incident in incidents:
        by_id.setdefault(incident.incident_id, []).append(incident)
    chains = [_Chain(tuple(sorted(g, key=lambda i: i.revision))) for g in by_id.values()]
    return sorted(chains, key=lambda c: (c.first.raised_at, c.first.incident_id))


def expected_clients(label: Label, logs: frozenset[str] | None) -> tuple[frozenset[Client], bool]:
    """The clients that these logs can name, and whether they can show the label at all."""
    told = {c for name, c in label.sources.items() if logs is None or name in logs}
    union = frozenset(c for group in told for c in group)
    if logs is None or not any(label.sources.values()):
        clients = label.clients
        if logs is not None and "exchange_audit" not in logs:
            clients = frozenset(_COARSE.get(c, c) for c in clients)
        return clients, True
    return finest(union), bool(union)


class _Judge:
    def __init__(
        self,
        truth: Labels,
        chains: Sequence[_Chain],
        outages: Sequence[Label],
        logs: frozenset[str] | None,
        tolerance: timedelta,
    ) -> None:
        self._truth = truth
        self._chains = chains
        self._outages = outages
        self._logs = logs
        self._tolerance = tolerance

    def _touches_time(self, chain: _Chain, label: Label) -> bool:
        last = chain.last
        end: datetime = last.resolved_at or max(self._truth.end, last.published_at)
        start = min(last.onset_at, end)
        return start <= label.end + self._tolerance and end >= label.start - self._tolerance

    @staticmethod
    def _shares_client(chain: _Chain, label: Label) -> bool:
        named = label.clients.union(*label.sources.values())
        ours = chain.last.clients
        return not named or not ours or any(same_client(a, b) for a in ours for b in named)

    def _fits(self, chain: _Chain, label: Label) -> bool:
        return self._touches_time(chain, label) and self._shares_client(chain, label)

    def _explained_outage(self, chain: _Chain) -> bool:
        return any(self._fits(chain, label) for label in self._outages)

    def label(self, label: Label) -> LabelResult:
        fitting = [c for c in self._chains if self._fits(c, label)]
        if label.kind == OUTAGE:
            fitting = [c for c in fitting if c.last.verdict is not Verdict.TELEMETRY_GAP]
        expected, visible = expected_clients(label, self._logs)
        right = [c for c in fitting if c.last.verdict == label.kind]
        primary = next(iter(right or fitting), None)
        strange = (
            [] if label.kind == OUTAGE else [c for c in fitting if not self._explained_outage(c)]
        )
        called = any(c.last.verdict is Verdict.SERVICE_OUTAGE for c in strange)
        # An outage of the same time explains incidents of its own, not the confounder.
        outages = [c for c in fitting if c.last.verdict is Verdict.SERVICE_OUTAGE]
        return LabelResult(
            label_id=label.label_id,
            name=label.name,
            kind=label.kind,
            start=label.start,
            end=label.end,
            effect=label.effect,
            visible=visible,
            found=primary is not None,
            incident_ids=tuple(c.last.incident_id for c in fitting),
            fragments=len(outages),
            called_outage=called,
            briefly_outage=not called and any(c.ever_outage for c in strange),
            **_of_incident(label, primary, expected),
        )

    def unexplained(self) -> list[FalseIncident]:
        found = []
        for chain in self._chains:
            last = chain.last
            page = last.verdict is Verdict.SERVICE_OUTAGE
            labels = self._outages if page else self._truth.labels
            if any(self._fits(chain, label) for label in labels):
                continue
            during = [x.label_id for x in self._truth.labels if self._touches_time(chain, x)]
            found.append(
                FalseIncident(
                    incident_id=last.incident_id,
                    verdict=last.verdict,
                    false_page=page,
                    clients=tuple(sorted(last.clients)),
                    onset_at=last.onset_at,
                    raised_at=chain.first.raised_at,
                    during=tuple(during),
                )
            )
        return found


def _minutes(moment: datetime, base: datetime) -> float:
    return round((moment - base).total_seconds() / 60, 2)


def _of_incident(label: Label, chain: _Chain | None, expected: frozenset[Client]) -> dict[str, Any]:
    """The fields of a result that come from the incident judged."""
    wanted = {
        "clients_expected": tuple(sorted(expected)),
        "advisory_expected": tuple(sorted(label.advisory_ids)),
    }
    if chain is None:
        nothing = (
            "incident_id", "delay_minutes", "onset_error_minutes", "verdict", "verdict_right",
            "clients_right", "advisory_found", "advisory_right",
        )  # fmt: skip
        return {
            **wanted,
            **dict.fromkeys(nothing),
            "clients_found": (),
            "clients_missing": wanted["clients_expected"],
            "clients_extra": (),
        }
    last, got = chain.last, frozenset(chain.last.clients)
    advisory = last.advisory.advisory_id if last.advisory is not None else None
    return {
        **wanted,
        "incident_id": last.incident_id,
        "delay_minutes": _minutes(chain.first.raised_at, label.start),
        "onset_error_minutes": _minutes(last.onset_at, label.start),
        "verdict": last.verdict,
        "verdict_right": last.verdict == label.kind,
        "clients_found": tuple(sorted(got)),
        "clients_missing": tuple(sorted(expected - got)),
        "clients_extra": tuple(sorted(got - expected)),
        "clients_right": got == expected,
        "advisory_found": advisory,
        "advisory_right": advisory in label.advisory_ids
        if label.advisory_ids
        else advisory is None,
    }
