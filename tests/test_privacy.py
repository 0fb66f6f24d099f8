"""Nobody is named: every output and the log, searched for everybody in the input."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from tests import warm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.scenario

FORMS = {
    "hubs_and_api": ("eventhub", "activity_api"),
    "pages_and_queries": ("graph_beta", "graph_query"),
    "workspace_and_shell": ("log_analytics_csv", "search_ual_csv"),
    "downloads": ("portal_csv", "purview_csv"),
}


def outrider(*arguments: object, code: tuple[int, ...] = (0,)) -> str:
    """Everything that a command prints, at the most talkative level."""
    loud = ["--log-level", "debug", "--debug"]
    done = warm.run([*warm.OUTRIDER, *loud, *map(str, arguments)])
    assert done.returncode in code, done.stderr[-2000:]
    return done.stdout + done.stderr


def cells(table: pa.Table) -> str:
    """All text in a table: dictionaries as a whole, also what no row uses any more."""
    parts = [table.schema.to_string(), *(v for c in table.columns for v in values(c))]
    return "\n".join(map(str, parts))


def values(column: pa.ChunkedArray) -> list[Any]:
    """Each value once, those inside lists and structs too; no times."""
    if pa.types.is_dictionary(column.type):
        return [value for chunk in column.chunks for value in chunk.dictionary.to_pylist()]
    if pa.types.is_struct(column.type):
        return [value for part in column.flatten() for value in values(part)]
    if pa.types.is_list(column.type):
        return values(pc.list_flatten(column))
    return [] if pa.types.is_temporal(column.type) else list(column.unique().to_pylist())


def text_of(path: Path) -> str:
    """What a file says, unpacked."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        return cells(pq.read_table(path))
    if path.suffix == ".arrow":
        stream = data.startswith(b"\xff\xff\xff\xff")
        reader = pa.ipc.open_stream(data) if stream else pa.ipc.open_file(data)
        return cells(reader.read_all())
    return data.decode("utf-8", "replace")


def written(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        yield f"{path.relative_to(folder)} (its name)", str(path.relative_to(folder))
        # The key is random bytes; every other file is searched, hidden ones too.
        if path.name != "key":
            yield str(path.relative_to(folder)), text_of(path)


def people(logs: Path) -> set[str]:
    """Every name, mail address, id and IP address of the simulated tenant."""
    truth = json.loads((logs / "truth.json").read_text("utf-8"))
    found = {str(v).casefold() for k in truth if isinstance(truth[k], list) for v in truth[k]}
    return found | {address.split("@")[0] for address in found if "@" in address}


def named(text: str, searched: set[str]) -> list[str]:
    """Who is named in the text, as whole words: 192.0.2.1 is not part of 192.0.2.10."""
    lowered = text.casefold()
    return [
        who
        for who in searched
        if who in lowered and re.search(rf"(?<![\w.]){re.escape(who)}(?!\.?\w)", lowered)
    ]


@pytest.fixture(scope="module", params=list(FORMS))
def logs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    signins, audit = FORMS[request.param]
    out = tmp_path_factory.mktemp("people") / "logs"
    size = ("--users", 20, "--weeks", 1, "--full-records", "--compression", "none")
    forms = ("--signin-form", signins, "--audit-form", audit)
    outrider("simulate", "password_spray", *size, *forms, "--out", out)
    return out


def exports(logs: Path) -> list[Path]:
    return [logs / part for part in ("signins", "audit", "directory")]


def test_no_output_and_no_log_line_names_anybody(logs: Path, tmp_path: Path) -> None:
    searched = people(logs)
    assert len(searched) > 60
    # The input does name them, so that a search that finds nobody says something.
    given = "".join(text for _, text in written(logs / "signins"))[:1_000_000]
    assert len(named(given, searched)) >= 20

    out = tmp_path / "result"
    said = outrider("backfill", *exports(logs), "--out", out, code=(0, 4))
    said += outrider("incidents", "list", out) + outrider("flags", "list", out, "--json")
    assert named(said, searched) == []
    for name, text in written(out):
        assert named(text, searched) == [], name


def test_errors_name_nobody(logs: Path, tmp_path: Path) -> None:
    searched = people(logs)
    # Every record broken in the middle: nothing but rejects.
    broken = tmp_path / "broken.json"
    lines = next(t for _, t in written(logs / "signins") if "@" in t).splitlines()
    broken.write_text("\n".join(line[: len(line) * 2 // 3] for line in lines[:50]))
    out = tmp_path / "result"
    said = outrider("backfill", broken, "--out", out, code=(0, 1, 4))
    assert named(said, searched) == []
    assert (out / "rejects.ndjson").stat().st_size > 0
    for name, text in written(out):
        assert named(text, searched) == [], name


def test_names_are_revealed_on_demand_with_a_key_and_nowhere_else(tmp_path: Path) -> None:
    logs, out, key = tmp_path / "logs", tmp_path / "result", tmp_path / "key"
    outrider("simulate", "--users", 20, "--weeks", 1, "--out", logs)
    searched = people(logs)
    key.write_text("0123456789abcdef" * 4)
    reveal = ("--reveal-users", "--key-file", key)
    outrider("backfill", *exports(logs), "--out", out, "--reveal-users", code=(2,))
    said = outrider("backfill", *exports(logs), "--out", out, *reveal, code=(0, 4))
    assert named(said, searched) == []
    naming = {name for name, text in written(out) if named(text, searched)}
    visible = {name for name in naming if not name.startswith(".outrider")}
    assert visible == {"users.ndjson"}

    # A later run without it takes the names back, also those kept for resuming.
    outrider("backfill", *exports(logs), "--out", out, "--key-file", key, code=(0, 4))
    assert {name for name, text in written(out) if named(text, searched)} == set()
