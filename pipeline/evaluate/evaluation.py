"""The result of an evaluation, and its tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 # read back at run time by documents.from_json
from typing import Any, ClassVar

from pipeline.evaluate.labels import OUTAGE
from pipeline.model.vocabulary import Client, Verdict  # noqa: TC001 # read back at run time


@dataclass(frozen=True, slots=True)
class LabelResult:
    """How one label fared.

    Attributes:
        visible: whether the given sources can show it at all; if not, it is not counted.
        found: an incident shares time and a client with it (a telemetry gap does not count
            as finding an outage).
        incident_id: the incident judged: of those found, one with the right verdict if
            there is one, then the first raised. incident_ids: all of them.
        delay_minutes: raised minus start. onset_error_minutes: estimated onset minus start.
        fragments: outage incidents that share time and a client; 1 is right for an outage.
        advisory_right: null where nothing was found; for a label without advisories, no
            advisory is right.
        called_outage: for a confounder, whether an incident in its time and on its clients
            ended with the verdict of an outage that no outage label explains.
        briefly_outage: the same of any revision that was later taken back.
    """

    label_id: str
    name: str
    kind: str
    start: datetime
    end: datetime
    effect: float
    visible: bool
    found: bool
    incident_id: str | None
    incident_ids: tuple[str, ...]
    fragments: int
    delay_minutes: float | None
    onset_error_minutes: float | None
    verdict: Verdict | None
    verdict_right: bool | None
    clients_expected: tuple[Client, ...]
    clients_found: tuple[Client, ...]
    clients_missing: tuple[Client, ...]
    clients_extra: tuple[Client, ...]
    clients_right: bool | None
    advisory_expected: tuple[str, ...]
    advisory_found: str | None
    advisory_right: bool | None
    called_outage: bool = False
    briefly_outage: bool = False


@dataclass(frozen=True, slots=True)
class FalseIncident:
    """An incident that no label explains.

    ``false_page``: its verdict is an outage. ``during``: labels of the same time that it
    shares no client with, or confounders that it took for an outage.
    """

    incident_id: str
    verdict: Verdict
    false_page: bool
    clients: tuple[Client, ...]
    onset_at: datetime
    raised_at: datetime
    during: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Labels against incidents of one tenant (``outrider.evaluation/1``).

    ``tenant_weeks``: length of the labelled time. Rates and shares are 0..1 and null where
    there is nothing to divide by.
    """

    SCHEMA: ClassVar[str] = "outrider.evaluation/1"

    tenant: str
    tenant_weeks: float
    labels: tuple[LabelResult, ...]
    unexplained: tuple[FalseIncident, ...]

    @property
    def outages(self) -> tuple[LabelResult, ...]:
        """Outage labels that the given sources can show."""
        return tuple(r for r in self.labels if r.kind == OUTAGE and r.visible)

    @property
    def found(self) -> int:
        """Outages found."""
        return sum(r.found for r in self.outages)

    @property
    def missed(self) -> int:
        """Outages missed."""
        return len(self.outages) - self.found

    @property
    def false_incidents(self) -> int:
        """Incidents called an outage that no outage label explains."""
        return sum(f.false_page for f in self.unexplained)

    @property
    def false_per_tenant_week(self) -> float:
        """False incidents by tenant and week."""
        return self.false_incidents / self.tenant_weeks

    @property
    def confounders_called_outage(self) -> int:
        """Confounders taken for an outage."""
        return sum(r.called_outage for r in self.labels)

    @property
    def clients_right(self) -> int:
        """Found outages whose clients are named exactly."""
        return sum(bool(r.clients_right) for r in self.outages)

    @property
    def verdicts_right(self) -> int:
        """Found outages that were called an outage."""
        return sum(bool(r.verdict_right) for r in self.outages)

    @property
    def advisories_right(self) -> int:
        """Found outages beside the right advisory."""
        return sum(bool(r.advisory_right) for r in self.outages)

    @property
    def fragmented(self) -> int:
        """Outages that were told as more than one incident."""
        return sum(r.fragments > 1 for r in self.outages)

    def summary(self) -> dict[str, Any]:
        """The figures by name, as plain JSON values."""
        delays = sorted(r.delay_minutes for r in self.outages if r.delay_minutes is not None)
        return {
            "tenant_weeks": round(self.tenant_weeks, 3),
            "outages": len(self.outages),
            "found": self.found,
            "missed": self.missed,
            "fragmented": self.fragmented,
            "verdicts_right": self.verdicts_right,
            "clients_right": self.clients_right,
            "advisories_right": self.advisories_right,
            "median_delay_minutes": delays[len(delays) // 2] if delays else None,
            "false_incidents": self.false_incidents,
            "false_per_tenant_week": round(self.false_per_tenant_week, 4),
            "confounders_called_outage": self.confounders_called_outage,
            "other_unexplained": len(self.unexplained) - self.false_incidents,
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """One flat row for a table by label, then one by unexplained incident."""
        return [_label_row(r) for r in self.labels] + [_false_row(f) for f in self.unexplained]


def _join(items: tuple[str, ...]) -> str:
    return ",".join(str(i) for i in items)


def _label_row(result: LabelResult) -> dict[str, Any]:
    outcome = "found" if result.found else "missed"
    if not result.visible:
        outcome = "not visible"
    elif result.kind != OUTAGE:
        outcome = "called outage" if result.called_outage else "right"
    return {
        "label": result.label_id,
        "kind": result.kind,
        "outcome": outcome,
        "delay_minutes": result.delay_minutes,
        "onset_error_minutes": result.onset_error_minutes,
        "fragments": result.fragments,
        "verdict": None if result.verdict is None else str(result.verdict),
        "verdict_right": result.verdict_right,
        "clients_found": _join(result.clients_found),
        "clients_missing": _join(result.clients_missing),
        "clients_extra": _join(result.clients_extra),
        "advisory": result.advisory_found,
        "advisory_right": result.advisory_right,
        "incident_id": result.incident_id,
    }


def _false_row(item: FalseIncident) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(
        ("delay_minutes", "onset_error_minutes", "advisory", "advisory_right")
    )
    return {
        "label": f"({', '.join(item.during)})" if item.during else "",
        "kind": "none",
        "outcome": "false" if item.false_page else "unexplained",
        "fragments": 0,
        "verdict": str(item.verdict),
        "verdict_right": None,
        "clients_found": _join(item.clients),
        "clients_missing": "",
        "clients_extra": _join(item.clients),
        "incident_id": item.incident_id,
        **row,
    }
