"""The files that a backfill writes keep the schemas that are published for them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from pipeline.model.documents import from_json, to_json
from pipeline.model.json_schema import PUBLISHED, SCHEMA_FOLDER
from pipeline.model.trace import TRACE_SCHEMA
from pipeline.model.window import TIMELINE_SCHEMA, WINDOW_SCHEMA
from tests import warm

pytestmark = pytest.mark.scenario

ROOT = Path(__file__).parents[1]
LINES = {
    "advisories.ndjson": "advisory",
    "flags.ndjson": "flag",
    "impacts.ndjson": "impact",
    "incidents.ndjson": "incident",
    "ledger.ndjson": "ledger",
    "rejects.ndjson": "reject",
}


def outrider(*arguments: object) -> None:
    done = warm.run([*warm.OUTRIDER, *map(str, arguments)])
    assert done.returncode in {0, 4}, done.stderr[-2000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outage, a confounder, damaged records and a gap."""
    base = tmp_path_factory.mktemp("outputs")
    # Three weeks: in the first one nothing is known yet, not even that records are missing.
    size = ("--users", 80, "--weeks", 3)
    outrider("simulate", "all_protocols", "audit_gap", *size, "--out", base / "logs")
    parts = [base / "logs" / part for part in ("signins", "audit", "directory")]
    (parts[0] / "cut.json").write_text('{"id": "11111111-2222-4333-8444-555555555555", "crea\n')
    advisories = ("--advisories", base / "logs" / "advisories")
    outrider("backfill", *parts, *advisories, "--out", base / "result")
    return base


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMA_FOLDER / f"{name}.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def problems(name: str, document: Any) -> list[str]:
    """Where a document breaks its schema."""
    return [f"{e.json_path}: {e.message[:200]}" for e in validator(name).iter_errors(document)]


@pytest.mark.parametrize(("file", "name"), LINES.items())
def test_every_line_keeps_its_schema_and_comes_back(folder: Path, file: str, name: str) -> None:
    documents = lines(folder / "result" / file)
    assert documents, "nothing to check"
    for document in documents:
        assert problems(name, document) == []
        if name in PUBLISHED:
            assert to_json(from_json(PUBLISHED[name], document)) == document


def test_summary_and_labels_keep_their_schemas(folder: Path) -> None:
    summary = json.loads((folder / "result" / "summary.json").read_text("utf-8"))
    assert problems("summary", summary) == []
    assert summary["blind"] is True  # of the gap
    records = summary["records"]
    assert records["received"] == sum(v for k, v in records.items() if k != "received")
    labels = json.loads((folder / "logs" / "labels.json").read_text("utf-8"))
    assert problems("labels", labels) == []
    assert len(labels["labels"]) == 2


def test_tables_have_the_columns_of_the_model(folder: Path) -> None:
    schemas = {"windows": WINDOW_SCHEMA, "timeline": TIMELINE_SCHEMA, "evidence": TRACE_SCHEMA}
    for name, schema in schemas.items():
        table = pq.read_table(folder / "result" / f"{name}.parquet")
        assert table.num_rows > 0
        assert table.schema.names == schema.names


def test_revisions_count_up_from_one_in_the_order_of_knowledge(folder: Path) -> None:
    revisions = defaultdict(list)
    published = []
    for incident in lines(folder / "result" / "incidents.ndjson"):
        revisions[incident["incident_id"]].append(incident["revision"])
        published.append(incident["published_at"])
    assert revisions
    for numbers in revisions.values():
        assert numbers == list(range(1, len(numbers) + 1))
    assert published == sorted(published)


def test_the_files_are_those_of_the_guide(folder: Path) -> None:
    guide = (ROOT / "docs" / "backfill.md").read_text("utf-8")
    section = guide.split("## What is written\n", 1)[1].split("\n## ", 1)[0]
    named = set(re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE))
    written = {p.name for p in (folder / "result").iterdir() if not p.name.startswith(".")}
    assert written == named - {"users.ndjson"}


def test_every_schema_describes_a_file_that_is_checked_here() -> None:
    present = {p.stem for p in SCHEMA_FOLDER.glob("*.json")}
    # Those of the desk are what a live run alone writes; see tests/unit/model.
    desk = {"notice", "ack", "silence"}
    assert present == {*LINES.values(), "summary", "labels", "dead_letter", *desk}


def test_the_report_asks_nobody_for_anything(folder: Path) -> None:
    page = (folder / "result" / "report.html").read_text("utf-8")
    tags = re.findall(r"<(?:script|link|img|iframe|object|embed|form)\b[^>]*>", page)
    fetching = [t for t in tags if re.search(r"\b(src|href|data|action)\s*=(?!\s*.?data:)", t)]
    assert fetching == []
    assert re.findall(r"url\(\s*[\"']?https?:|@import|\bfetch\(|XMLHttpRequest", page) == []
