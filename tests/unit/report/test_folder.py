from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pipeline.model.errors import ConfigError
from pipeline.model.incident import IncidentState, Severity
from pipeline.model.vocabulary import Verdict
from pipeline.report.folder import Folder, read
from pipeline.report.quality import quality

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def test_what_was_written_is_read(sample: ModuleType, tmp_path: Path) -> None:
    contents = read(sample.write_folder(tmp_path))
    assert [i.revision for i in contents.histories[0]] == [1, 2, 3, 4]
    assert len(contents.flags) == 4
    assert list(contents.advisories) == ["EX1256020", "EX1268771", "SP1250001"]
    assert set(contents.impacts) == {"EX1256020", "SP1250001"}
    assert contents.damaged == {}


def test_a_folder_of_something_else_and_none_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a folder that a backfill or a run wrote"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="no such folder; give the folder that"):
        read(tmp_path / "nowhere")


def test_damage_is_counted_and_the_rest_is_read(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_folder(tmp_path)
    with (tmp_path / "incidents.ndjson").open("a") as file:
        file.write('{"incident_id": "inc-1"}\n[1]\n\x00\n{"incident_id": "inc-9", "revi')
    (tmp_path / "summary.json").write_text("{")
    contents = read(tmp_path)
    assert len(contents.histories) == 1
    assert contents.damaged == {"incidents.ndjson": 4, "summary.json": 1}
    assert contents.summary == {}


def test_order_is_by_what_presses(sample: ModuleType, tmp_path: Path) -> None:
    def one(name: str, **changes: object) -> object:
        return sample.incident(incident_id=name, **changes)

    items = [
        one("old-low", severity=Severity.LOW),
        one("old-critical", severity=Severity.CRITICAL),
        one("open-low", severity=Severity.LOW, state=IncidentState.OPEN, resolved_at=None),
        one("attack", verdict=Verdict.ATTACK),
        one("outage"),
        one("outage-later", onset_at=sample.ONSET + timedelta(hours=1)),
    ]
    sample.write_folder(tmp_path, incidents=items)
    found = [h[-1].incident_id for h in Folder(tmp_path).incidents()]
    assert found == ["open-low", "old-critical", "outage-later", "outage", "attack", "old-low"]


def test_quality_in_sentences(sample: ModuleType) -> None:
    found = quality(sample.summary(), {"flags.ndjson": 1})
    text = " ".join(found.notes)
    assert "12 % of the records of Exchange mailbox audit have a client string" in text
    assert "Entra sign-ins (interactive)" not in text
    assert "57 % of the records of Exchange mailbox audit are server-side" in text
    assert "2 failure codes not in the table, counted as unknown failures: 999001, 70099." in text
    assert "flags.ndjson: 1 unreadable line left out" in text
    assert found.blind_hours == 3.0
    assert found.sources[2][3:] == ("98 %", "1 h 27 min", "declared")


def test_an_odd_summary_is_no_error() -> None:
    for odd in (None, 3, "x", [], [None], {"a": None}, [{"start": 3, "end": []}]):
        keys = ("records", "by_source", "gaps", "unmatched_clients", "unknown_codes",
                "rejects_by_reason", "system_share", "unmatched_client_share", "partial_tails",
                "unread_files")  # fmt: skip
        quality(dict.fromkeys(keys, odd), {})
    assert quality({"by_source": {"x": {"completeness": None}}}, {}).sources[0][3] == "-"
