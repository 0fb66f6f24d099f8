"""A ledger that is damaged while it is served: not ready, and everybody hears why."""

from __future__ import annotations

import json
import shutil
import threading

import pytest
import structlog

from pipeline.cli.main import main
from pipeline.cli.serve import _try, _watch
from pipeline.ledger.trouble import DamagedError
from pipeline.model.errors import ExitCode
from pipeline.runtime.health import Health
from pipeline.web.guard import DAMAGED
from pipeline.web.ledgers import Readers
from tests.damaged import damage, fill_pages
from tests.unit.web.serving import site
from tests.unwritable import public_folder, unwritable


@pytest.fixture
def path(tmp_path):
    return fill_pages(tmp_path / "ledger.sqlite")


class Server:
    alive = True


def test_serve_is_not_ready_on_a_damaged_ledger_until_it_is_mended(path, tmp_path):
    whole = shutil.copy(path, tmp_path / "whole")
    damage(path)
    readers, health = Readers(path), Health()
    with structlog.testing.capture_logs() as logs:
        log = structlog.get_logger()
        for _ in range(3):
            _try(readers, health, log)
    assert not health.ready
    assert "is damaged" in health.problem
    assert len(logs) == 1  # told once, and with what to do
    assert "backup" in logs[0]["error"]
    shutil.copy(whole, path)
    _try(readers, health, log)
    assert (health.ready, health.problem, readers.damage) == (True, None, None)
    readers.close()


def test_serve_is_ready_on_a_whole_one_at_once(path):
    readers, health, stopped = Readers(path), Health(), threading.Event()
    stopped.set()
    _watch(readers, Server(), stopped, health, structlog.get_logger())
    assert health.ready
    readers.close()


def test_damage_deep_in_the_file_is_found_before_anybody_asks_for_it(path):
    damage(path, pages=range(150, 152))
    readers = Readers(path)
    with pytest.raises(DamagedError):
        readers.look(thorough=True)
    with pytest.raises(DamagedError):
        readers.look(thorough=False)  # what is known is not forgotten
    readers.close()


def test_whoever_asks_hears_of_damage_and_readiness_ends(tmp_path):
    with site(tmp_path, count=200) as served:
        served.ledger.close()
        assert served.ask("/readyz").status == 200
        damage(served.ledger.path, range(3, 200))
        answer = served.ask("/api/v1/incidents")
        assert (answer.status, answer.json["detail"]) == (503, DAMAGED)
        assert answer.headers["Retry-After"] is None
        assert b"the ledger is damaged" in served.ask("/", accept="text/html").body
        ready = served.ask("/readyz")
        assert (ready.status, ready.json["detail"], ready.json["ready"]) == (503, DAMAGED, False)
        assert str(tmp_path) not in ready.body.decode()


def test_a_check_of_the_folder_tells_of_damage(path, tmp_path, capsys):
    def look():
        code = main(["check", "--state", str(tmp_path), "--json"])
        found = json.loads(capsys.readouterr().out)["findings"]
        return code, [f for f in found if f["what"] == "ledger"]

    code, (good,) = look()
    assert (code, good["state"]) == (ExitCode.OK, "ok")
    damage(path, pages=range(150, 152))
    code, (bad,) = look()
    assert (code, bad["state"]) == (ExitCode.FAILURE, "fail")
    assert "ledger.sqlite: is damaged" in bad["told"]
    assert "put a backup of its folder in its place" in bad["remedy"]
    path.write_bytes(b"")
    code, (empty,) = look()
    assert (code, empty["state"]) == (ExitCode.PARTIAL_DATA, "warn")


def test_a_check_of_a_large_ledger_ends(path, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("pipeline.runtime.checking.ledgers.check_pages", lambda *_: False)
    assert main(["check", "--state", str(tmp_path)]) == ExitCode.OK
    assert "not all pages were looked at" in capsys.readouterr().out


def test_what_was_at_rest_is_read_anew_once_a_run_writes_it():
    with public_folder() as folder:
        path = fill_pages(folder / "ledger.sqlite")
        readers = Readers(path)
        with unwritable(folder), readers.borrow() as first:
            assert first.frozen
        with readers.borrow() as second:
            assert not second.frozen
        readers.close()
