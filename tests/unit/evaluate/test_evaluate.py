from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.evaluate import evaluate, parse_labels, read_incidents, read_labels
from pipeline.model.documents import to_line
from pipeline.model.errors import ConfigError
from pipeline.model.incident import (
    AdvisoryMatch,
    Incident,
    IncidentState,
    RevisionReason,
    Severity,
)
from pipeline.model.vocabulary import Client, Service, Verdict

if TYPE_CHECKING:
    from pathlib import Path

C, V = Client, Verdict
T0 = datetime(2026, 3, 2, tzinfo=UTC)


def at(hours: float) -> datetime:
    return T0 + timedelta(hours=hours)


def label(name: str = "outage", kind: str = "service_outage", **more: Any) -> dict[str, Any]:
    return {
        "label_id": name,
        "name": name,
        "kind": kind,
        "start": "2026-03-04T08:00:00Z",
        "end": "2026-03-04T18:00:00Z",
        "clients": ["outlook_ios", "outlook_mac_new"],
        "services": ["exchange_online"],
        "signin_failures": False,
        "advisory_ids": ["EX900001", "EX900002"],
        "effect": 0.4,
        "sources": {
            "entra": ["outlook_ios", "outlook_mac"],
            "exchange_audit": ["outlook_ios", "outlook_mac_new"],
        },
        **more,
    }


def labels(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "schema": "outrider.labels/1",
        "tenant": "contoso",
        "seed": 1,
        "users": 500,
        "from": "2026-03-02T00:00:00Z",
        "to": "2026-03-30T00:00:00Z",
        "labels": list(items),
        **more,
    }


def incident(
    incident_id: str = "inc-1",
    revision: int = 1,
    *,
    onset: float = 56.25,
    raised: float = 57,
    resolved: float | None = 66,
    clients: tuple[Client, ...] = (C.OUTLOOK_IOS, C.OUTLOOK_MAC_NEW),
    verdict: Verdict = V.SERVICE_OUTAGE,
    advisory: str | None = "EX900001",
) -> Incident:
    match = None if advisory is None else AdvisoryMatch(advisory, 0.9, (), 1.0, 1.0, "api")
    return Incident(
        incident_id=incident_id,
        revision=revision,
        reason=RevisionReason.OPENED,
        state=IncidentState.OPEN if resolved is None else IncidentState.RESOLVED,
        tenants=("contoso",),
        services=(Service.EXCHANGE_ONLINE,),
        clients=clients,
        onset_at=at(onset),
        raised_at=at(raised),
        published_at=at(raised),
        severity=Severity.HIGH,
        verdict=verdict,
        confidence=0.9,
        headline="h",
        evidence=(),
        scope=(),
        affected_users=1,
        user_minutes_lost=0.0,
        healthy_clients=(),
        error_codes=(),
        flag_ids=(),
        resolved_at=None if resolved is None else at(resolved),
        advisory=match,
    )


def test_an_outage_found_with_everything_right() -> None:
    found = evaluate(labels(label()), [incident()])
    (result,) = found.labels
    assert (found.found, found.missed, found.false_incidents, found.fragmented) == (1, 0, 0, 0)
    assert (result.delay_minutes, result.onset_error_minutes) == (60.0, 15.0)
    assert result.verdict_right
    assert result.clients_right
    assert result.advisory_right
    assert not found.unexplained
    assert found.tenant_weeks == 4


def test_a_missed_outage() -> None:
    found = evaluate(labels(label()), [])
    assert (found.found, found.missed) == (0, 1)
    assert found.labels[0].clients_missing == (C.OUTLOOK_IOS, C.OUTLOOK_MAC_NEW)
    assert found.labels[0].advisory_right is None


@pytest.mark.parametrize(
    "ours",
    [
        incident(onset=80, raised=81, resolved=90),  # another day
        incident(clients=(C.IMAP4,)),  # another client
        incident(onset=20, raised=21, resolved=50),  # over before
        incident(verdict=V.TELEMETRY_GAP),  # we said that we were blind
    ],
)
def test_what_does_not_find_it(ours: Incident) -> None:
    assert evaluate(labels(label()), [ours]).found == 0


def test_an_incident_without_an_end_lasts() -> None:
    assert evaluate(labels(label()), [incident(onset=20, raised=21, resolved=None)]).found == 1


def test_the_newest_revision_is_judged_and_the_first_raising_counts() -> None:
    first = incident(verdict=V.UNDETERMINED, clients=(C.OUTLOOK_IOS,), advisory=None)
    last = incident(revision=2, raised=60)
    found = evaluate(labels(label()), [last, first])
    assert found.labels[0].verdict_right
    assert found.labels[0].delay_minutes == 60.0


def test_wrong_clients_are_told_apart() -> None:
    found = evaluate(labels(label()), [incident(clients=(C.OUTLOOK_IOS, C.OWA))])
    result = found.labels[0]
    assert not result.clients_right
    assert result.clients_missing == (C.OUTLOOK_MAC_NEW,)
    assert result.clients_extra == (C.OWA,)


def test_clients_are_expected_as_the_sources_can_tell_them() -> None:
    coarse = incident(clients=(C.OUTLOOK_IOS, C.OUTLOOK_MAC))
    assert not evaluate(labels(label()), [coarse]).labels[0].clients_right
    assert evaluate(labels(label()), [coarse], sources={"entra"}).labels[0].clients_right
    assert evaluate(labels(label()), [coarse], sources={"entra_signin"}).labels[0].clients_right
    both = evaluate(labels(label()), [incident()], sources=["entra", "exchange_audit"])
    assert both.labels[0].clients_right
    # A label that does not say what each source shows.
    bare = label(sources={})
    assert evaluate(labels(bare), [coarse], sources={"entra"}).labels[0].clients_right


def test_a_label_that_no_given_source_shows_is_not_counted() -> None:
    hidden = label(sources={"entra": [], "exchange_audit": ["outlook_ios"]})
    found = evaluate(labels(hidden), [], sources={"entra"})
    assert (len(found.outages), found.missed) == (0, 0)
    assert found.to_rows()[0]["outcome"] == "not visible"
    assert evaluate(labels(hidden), [], sources={"exchange_audit"}).missed == 1


@pytest.mark.parametrize(
    ("advisory", "expected", "right"),
    [
        ("EX900002", ["EX900001", "EX900002"], True),
        ("EX900009", ["EX900001"], False),
        (None, ["EX900001"], False),
        ("EX900009", [], False),
        (None, [], True),
    ],
)
def test_advisories(advisory: str | None, expected: list[str], right: bool) -> None:  # noqa: FBT001 # a parameter
    found = evaluate(labels(label(advisory_ids=expected)), [incident(advisory=advisory)])
    assert found.labels[0].advisory_right == right


def test_an_intermittent_outage_told_as_three_is_fragmented() -> None:
    parts = [
        incident(f"inc-{n}", onset=56 + 3 * n, raised=57 + 3 * n, resolved=58 + 3 * n)
        for n in range(3)
    ]
    found = evaluate(labels(label()), parts)
    assert (found.fragmented, found.labels[0].fragments, found.false_incidents) == (1, 3, 0)
    assert found.labels[0].incident_id == "inc-0"


def test_false_incidents_by_week() -> None:
    strange = [
        incident("inc-2", onset=300, raised=301, resolved=310),
        incident("inc-3", onset=56, raised=57, clients=(C.IMAP4,)),
        incident("inc-4", onset=400, raised=401, resolved=410, verdict=V.UNDETERMINED),
    ]
    found = evaluate(labels(label()), [incident(), *strange])
    assert found.false_incidents == 2
    assert found.false_per_tenant_week == 0.5
    assert [(f.incident_id, f.false_page, f.during) for f in found.unexplained] == [
        ("inc-3", True, ("outage",)),
        ("inc-2", True, ()),
        ("inc-4", False, ()),
    ]


@pytest.mark.parametrize(
    ("verdict", "called", "right"),
    [(V.ATTACK, False, True), (V.SERVICE_OUTAGE, True, False), (V.UNDETERMINED, False, False)],
)
def test_confounders(verdict: Verdict, called: bool, right: bool) -> None:  # noqa: FBT001 # parameters
    spray = label("spray", "attack", advisory_ids=[], clients=["outlook_ios"])
    found = evaluate(labels(spray), [incident(verdict=verdict, advisory=None)])
    assert found.labels[0].called_outage == called
    assert found.labels[0].verdict_right == right
    assert found.confounders_called_outage == int(called)
    assert found.false_incidents == int(called)
    assert found.outages == ()


def test_a_verdict_taken_back_is_told() -> None:
    spray = label("spray", "attack", advisory_ids=[])
    chain = [incident(), incident(revision=2, verdict=V.ATTACK)]
    result = evaluate(labels(spray), chain).labels[0]
    assert (result.called_outage, result.briefly_outage) == (False, True)


def test_a_confounder_beside_an_outage_is_not_blamed_for_it() -> None:
    spray = label("spray", "attack", advisory_ids=[])
    found = evaluate(labels(label(), spray), [incident()])
    assert (found.confounders_called_outage, found.found) == (0, 1)


def test_a_label_without_clients_is_about_all_of_them() -> None:
    gap = label("gap", "telemetry_gap", clients=[], sources={}, advisory_ids=[])
    found = evaluate(
        labels(gap), [incident(clients=(C.IMAP4,), verdict=V.TELEMETRY_GAP, advisory=None)]
    )
    assert found.labels[0].verdict_right
    assert not found.unexplained


def test_the_summary_and_the_rows() -> None:
    found = evaluate(labels(label(), label("second", start="2026-03-20T08:00:00Z", end="2026-03-20T09:00:00Z")),
                     [incident(), incident("inc-2", onset=300, raised=301, resolved=310)])  # fmt: skip
    assert found.summary() == {
        "tenant_weeks": 4.0, "outages": 2, "found": 1, "missed": 1, "fragmented": 0,
        "verdicts_right": 1, "clients_right": 1, "advisories_right": 1,
        "median_delay_minutes": 60.0, "false_incidents": 1, "false_per_tenant_week": 0.25,
        "confounders_called_outage": 0, "other_unexplained": 0,
    }  # fmt: skip
    rows = found.to_rows()
    assert [r["outcome"] for r in rows] == ["found", "missed", "false"]
    assert len({frozenset(r) for r in rows}) == 1  # the same columns
    json.dumps(rows)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ([], "schema"),
        (labels(label(), schema="outrider.labels/2"), "schema"),
        (labels(label(), to="2026-03-01T00:00:00Z"), "to"),
        ({k: v for k, v in labels().items() if k != "from"}, "from is missing"),
        (labels(label(), tenant=5), "tenant: want a text"),
        (labels("x"), "labels[0]: want an object"),  # type: ignore[arg-type] # on purpose
        (labels(label(), label("b", kind="odd")), "labels[1]: kind"),
        (labels(label(start="noon")), "labels[0]: start"),
        (labels(label(end="2026-03-01T00:00:00Z")), "labels[0]: end"),
        (labels(label(clients=["outlook"])), "labels[0]: clients"),
        (labels(label(services=["mail"])), "labels[0]: services"),
        (labels(label(effect=True)), "labels[0]: effect: want a number"),
        (labels(label(signin_failures=1)), "labels[0]: signin_failures"),
        (labels(label(sources={"entra": "all"})), "labels[0]: sources"),
        (labels(label(sources={"entra": ["odd"]})), "labels[0]: sources.entra"),
        (labels(label(), label()), "'outage' comes twice"),
    ],
)
def test_bad_labels_are_named(data: Any, word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_labels(data, "labels.json")
    assert str(caught.value).startswith("labels.json")
    assert word in str(caught.value)


def test_files(tmp_path: Path) -> None:
    truth, said = tmp_path / "labels.json", tmp_path / "incidents.ndjson"
    truth.write_text(json.dumps(labels(label())))
    said.write_text(to_line(incident()) + "\n\n" + to_line(incident(revision=2)) + "\n")
    assert read_incidents(said) == (incident(), incident(revision=2))
    assert evaluate(read_labels(truth), read_incidents(said)).found == 1


@pytest.mark.parametrize(
    ("text", "word"),
    [("{", "line 1"), ("[]", "schema"), ('{"schema":"x"}', "schema"),
     ('\n{"schema":"outrider.incident/1"}', "line 2"), (b"\xff\xfe\x00", "UTF-8")],
)  # fmt: skip
def test_bad_incident_files_are_named(tmp_path: Path, text: str | bytes, word: str) -> None:
    path = tmp_path / "incidents.ndjson"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=r"incidents\.ndjson") as caught:
        read_incidents(path)
    assert word in str(caught.value)


def test_unreadable_label_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.json"):
        read_labels(tmp_path / "gone.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ConfigError, match=r"bad\.json: no JSON"):
        read_labels(tmp_path / "bad.json")
    with pytest.raises(ConfigError, match=r"gone\.ndjson"):
        read_incidents(tmp_path / "gone.ndjson")
