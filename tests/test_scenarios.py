"""A short selection of the scenario table; benchmarks/bench_scenarios.py has all of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.evaluate.judge import evaluate
from pipeline.evaluate.labels import read_incidents, read_labels
from pipeline.runtime.backfill import BackfillRequest, backfill
from pipeline.runtime.config import Config
from pipeline.runtime.progress import Progress
from pipeline.runtime.telemetry import configure, get_logger
from pipeline.simulate.run import simulate
from pipeline.simulate.spec import SimulationSpec

pytestmark = pytest.mark.scenario


@pytest.fixture
def lived(tmp_path):
    """Simulate a tenant, backfill it, judge it: (evaluation, incidents)."""

    def run(name, *, without=(), sources=None, users=150):
        configure("json", level="error")
        spec = SimulationSpec(
            scenarios=(name,), users=users, weeks=3, seed=11, compression="zstd", without=without
        )
        simulate(spec, tmp_path / "logs")
        parts = [tmp_path / "logs" / p for p in ("signins", "audit", "directory")]
        request = BackfillRequest(
            tuple(str(p) for p in parts if p.exists()),
            (str(tmp_path / "logs" / "advisories"),),
            tmp_path / "out",
        )
        config = Config.model_validate({"backfill": {"workers": 1}})
        backfill(request, config, progress=Progress(), log=get_logger("test"))
        incidents = read_incidents(tmp_path / "out" / "incidents.ndjson")
        labels = read_labels(tmp_path / "logs" / "labels.json")
        return evaluate(labels, incidents, sources=sources), incidents

    return run


def test_ex1256020_is_one_incident_a_day_before_its_advisory(lived):
    judged, incidents = lived("ex1256020")
    assert (judged.found, judged.missed, judged.fragmented) == (1, 0, 0)
    assert (judged.clients_right, judged.verdicts_right, judged.advisories_right) == (1, 1, 1)
    assert judged.false_incidents == 0
    last = [i for i in incidents if i.advisory is not None][-1]
    assert last.advisory is not None
    assert last.advisory.advisory_id == "EX1256020"
    assert last.advisory.lead_seconds > timedelta(hours=12).total_seconds()
    assert last.advisory.relisted_as == ("EX1268771",)


def test_ex1256020_is_found_from_the_drop_alone(lived):
    judged, _ = lived("ex1256020", without=("signins",), sources=("exchange_audit",), users=300)
    assert (judged.found, judged.clients_right, judged.false_incidents) == (1, 1, 0)


def test_a_policy_change_of_our_own_is_not_called_an_outage(lived):
    judged, _ = lived("conditional_access")
    assert judged.confounders_called_outage == 0
    assert judged.false_incidents == 0
    assert [r.verdict_right for r in judged.labels] == [True]
