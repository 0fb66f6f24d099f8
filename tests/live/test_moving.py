"""A tenant's state: looked at, taken to another machine as one file, and judged on from there."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog

from pipeline.cli.main import main
from pipeline.ledger.store import Ledger
from pipeline.model.clock import ManualClock
from pipeline.model.contracts import Delivery, Poll
from pipeline.model.errors import ConfigError, ExitCode, FatalError, StateError
from pipeline.runtime.health import Health
from pipeline.runtime.live.embedded import Embedded
from pipeline.runtime.live.held import held_in
from pipeline.runtime.live.moving import exported, import_state, read_export, write_export
from pipeline.runtime.live.standing import standing
from pipeline.runtime.metrics import Metrics
from tests.live.small_tenant import HOUR, LEARNED, MONDAY, SETTINGS, outage, table, usual

CLOCK = ManualClock(MONDAY + timedelta(days=30))
# Where the tenant is moved: in the middle of the outage.
MOVED = LEARNED + 4
NEWEST = MONDAY + MOVED * HOUR - timedelta(minutes=1)
HOURS = LEARNED + 12


def rows_of(hour):
    return usual(hour) + (outage(hour) if hour - LEARNED in {2, 3, 4, 5} else [])


class Logs:
    """An endless source: a day a poll at first, then an hour; nothing from ``until`` on."""

    def __init__(self, start, until):
        self.start, self.until = start, until

    def poll(self, cursor):
        at = self.start if cursor is None else cursor["hour"]
        then = min(at + (24 if at < LEARNED else 1), self.until)
        if at >= self.until:
            return Poll((), (), {"hour": at}, read_at=MONDAY + at * HOUR)
        rows = [r for h in range(at, then) for r in rows_of(h)]
        return Poll((table(rows),), (), {"hour": then}, read_at=MONDAY + then * HOUR)


class Nowhere:
    def deliver(self, documents):
        return Delivery([(d.get("flag_id") or d["incident_id"], d["revision"]) for d in documents])


def run(ledger, start, until):
    loop = Embedded(
        SETTINGS,
        ledger,
        {"logs": Logs(start, until)},
        {"nowhere": Nowhere()},
        feeds={},
        unnamed=lambda: "t",
        clock=CLOCK,
        metrics=Metrics(),
        health=Health(),
        log=structlog.get_logger(),
    )
    while loop.step():
        pass
    return loop


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A folder of a run that has learned eight days and seen an outage begin."""
    folder = tmp_path_factory.mktemp("original")
    ledger = Ledger(folder / "ledger.sqlite")
    run(ledger, 0, MOVED)
    assert ledger.documents()
    ledger.close()
    return folder


@pytest.fixture(scope="module")
def straight(original, tmp_path_factory):
    """What the run tells that stays where it was."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    shutil.copytree(original, folder)
    ledger = Ledger(folder / "ledger.sqlite")
    before = ledger.documents()[-1].seq
    run(ledger, 0, HOURS)
    told = plain(ledger, before)
    assert {kind for kind, *_ in told} == {"flag", "incident"}
    return told


@pytest.fixture
def folder(original, tmp_path):
    """A copy of it that a test may change."""
    shutil.copytree(original, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def export(original):
    ledger = Ledger(original / "ledger.sqlite", readonly=True)
    made = exported(SETTINGS, held_in(ledger, "t"), CLOCK)
    ledger.close()
    return made


def plain(ledger, after=0):
    return [(d.kind, d.id, d.revision, d.document) for d in ledger.documents(after=after)]


def test_a_tenant_that_was_moved_is_judged_as_if_it_had_stayed(straight, export, tmp_path):
    write_export(tmp_path / "t.state", export)
    there = Ledger(tmp_path / "there" / "ledger.sqlite")
    import_state(there, read_export(tmp_path / "t.state"), SETTINGS)
    run(there, MOVED, HOURS)
    assert plain(there) == straight


def test_reading_all_logs_again_after_a_move_tells_nothing_twice(straight, export, tmp_path):
    there = Ledger(tmp_path / "there" / "ledger.sqlite")
    import_state(there, export, SETTINGS)
    run(there, 0, HOURS)  # the other machine's source has no place to read on from
    assert plain(there) == straight


def test_an_export_holds_the_messages_that_no_stored_state_holds(original, export):
    ledger = Ledger(original / "ledger.sqlite", readonly=True)
    held = held_in(ledger, "t")
    assert held.ground is None
    assert held.behind > 0
    assert export.clock == NEWEST
    ledger.close()


def test_where_a_tenant_stands_is_told_in_numbers(original):
    ledger = Ledger(original / "ledger.sqlite", readonly=True)
    found = standing(SETTINGS, held_in(ledger, "t"))
    ledger.close()
    assert found.clock == NEWEST
    assert found.closed_to == MONDAY + timedelta(days=7)
    assert found.tail_rows == sum(len(rows_of(h)) for h in range(7 * 24, MOVED))
    assert found.events == sum(len(rows_of(h)) for h in range(7 * 24))
    assert found.open_flags > 0
    assert found.open_incidents == 1
    assert not found.warming_up
    assert found.lanes["users"].warm <= found.lanes["users"].lanes
    assert found.feeds["entra_signin_noninteractive"].tail_rows == found.tail_rows


def test_a_state_is_written_over_only_when_that_is_wanted(folder, export):
    ledger = Ledger(folder / "ledger.sqlite")
    with pytest.raises(ConfigError, match="--force"):
        import_state(ledger, export, SETTINGS)
    assert ledger.state("t") is None
    import_state(ledger, export, SETTINGS, force=True)
    assert ledger.state("t")[1] == export.ground
    assert list(ledger.journalled("t", 0)) == []


def test_a_ledger_that_has_told_more_than_the_file_knows_refuses_it(folder, export):
    ledger = Ledger(folder / "ledger.sqlite")
    run(ledger, 0, HOURS)
    assert len(ledger.documents()) > 0
    with pytest.raises(StateError, match="would tell them again"):
        import_state(ledger, export, SETTINGS, force=True)
    assert held_in(ledger, "t").behind > 0


def test_nothing_is_put_into_a_ledger_that_a_run_works_on(folder, export):
    running = Ledger(folder / "ledger.sqlite")
    running.hold()
    with pytest.raises(FatalError, match="stop that one first"):
        import_state(Ledger(folder / "ledger.sqlite"), export, SETTINGS, force=True)
    running.close()


def test_a_file_is_its_owners_alone_whole_and_never_written_over_by_chance(export, tmp_path):
    path = tmp_path / "t.state"
    write_export(path, export)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_export(path) == export
    with pytest.raises(ConfigError, match="exists"):
        write_export(path, export)
    write_export(path, export, force=True)
    with pytest.raises(FatalError, match="cannot be written"):
        write_export(tmp_path / "nowhere" / "t.state", export)
    assert [p.name for p in tmp_path.iterdir()] == ["t.state"]


def test_a_damaged_or_foreign_file_is_refused_and_changes_nothing(export, tmp_path):
    path = tmp_path / "t.state"
    write_export(path, export)
    data = path.read_bytes()
    place = data.index(export.issued) + len(export.issued) // 2
    for damaged in (
        data[: len(data) // 2],
        data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :],
        b"",
        b"PK nothing",
    ):
        path.write_bytes(damaged)
        with pytest.raises(StateError, match=r"t\.state"):
            read_export(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"schema": "outrider.state-export/9"}))
    with pytest.raises(StateError, match=r"needed is outrider\.state-export/1"):
        read_export(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_export(tmp_path / "nothing")


def test_a_state_without_all_of_its_parts_is_refused(export, tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    parts = dict(list(export.parts.items())[1:])
    with pytest.raises(StateError):
        import_state(ledger, replace(export, parts=parts), SETTINGS)
    assert ledger.tenants() == []


def told(capsys, *words, code=ExitCode.OK):
    assert main(words) == code
    return capsys.readouterr()


def test_states_from_the_command_line(export, tmp_path, capsys):
    folder = tmp_path / "run"
    import_state(Ledger(folder / "ledger.sqlite"), export, SETTINGS)
    listed = told(capsys, "state", "list", "--state", str(folder)).out
    assert listed.splitlines()[0].startswith("TENANT")
    assert listed.splitlines()[1].startswith("t ")
    (found,) = json.loads(told(capsys, "state", "list", "--state", str(folder), "--json").out)
    assert (found["tenant"], found["stands_at"]) == ("t", 0)
    shown = told(capsys, "state", "show", "t", "--state", str(folder)).out
    assert "entra_signin_noninteractive" in shown
    again = told(capsys, "state", "show", "t", "--state", str(folder), "--json").out
    assert json.loads(again) == found
    nobody = told(capsys, "state", "show", "nobody", "--state", str(folder), code=ExitCode.USAGE)
    assert "state list" in nobody.err


def test_a_move_from_the_command_line(folder, tmp_path, capsys):
    out, there = tmp_path / "t.state", tmp_path / "there"
    done = told(capsys, "state", "export", "t", "--out", str(out), "--state", str(folder))
    assert "tenant t as of 2026-03-10 03:59Z" in done.out
    assert "privacy key" in done.err
    done = told(capsys, "state", "import", str(out), "--state", str(there))
    assert "has tenant t" in done.out
    twice = told(capsys, "state", "import", str(out), "--state", str(there), code=ExitCode.USAGE)
    assert "--force" in twice.err
    told(capsys, "state", "import", str(out), "--state", str(there), "--force")
    (found,) = json.loads(told(capsys, "state", "list", "--state", str(there), "--json").out)
    assert found["behind"] == 0
    assert found["open_incidents"] == 1
