"""Shared by all tests: one hypothesis profile, files in memory, and no way to the network."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# A shared machine can be slow for a moment: a deadline would fail tests for that alone.
settings.register_profile(
    "outrider",
    deadline=None,
    max_examples=int(os.environ.get("OUTRIDER_TEST_EXAMPLES", "50")),
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("outrider")

# Some minutes each on one processor: begun last, one of them would keep the others waiting.
SLOW_MODULES = (
    "kafka/test_chaos.py",
    "kafka/test_parity.py",
    "test_scenarios.py",
    "live/test_tenant.py",
    "live/test_embedded.py",
    "test_privacy.py",
    "test_backfill.py",
    "live_sources/test_fortnight.py",
    "contracts/test_detectors.py",
    "test_detection_benchmark.py",
    "live/test_showing.py",
    "live/test_kills.py",
    "kafka/test_exactly_once.py",
    "kafka/test_letters.py",
    "web/test_pages.py",
    "contracts/test_sinks.py",
    "sinks/test_syslog.py",
    "test_outputs.py",
)


# Where systems with glibc or musl keep files in memory. The tests of a run fill 1.1 GB.
_MEMORY = Path("/dev/shm")  # noqa: S108 # a folder of our own is made there
_NEEDED_BYTES = 4 * 2**30
_folder = pytest.StashKey[Path]()
# multiprocessing takes its own folder away with -100.
_AFTER_MULTIPROCESSING = -200


def pytest_configure(config: pytest.Config) -> None:
    """Have all temporary files lie in memory, where there is room and TMPDIR names no place.

    The product syncs what it must not lose, a disk at each of thousands of commits: with it
    some modules take three times as long. Other processes of the run inherit the choice.
    """
    with contextlib.suppress(OSError):
        if "TMPDIR" not in os.environ and shutil.disk_usage(_MEMORY).free >= _NEEDED_BYTES:
            config.stash[_folder] = Path(tempfile.mkdtemp(prefix="outrider-tests-", dir=_MEMORY))
            tempfile.tempdir = os.environ["TMPDIR"] = str(config.stash[_folder])


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What a failed test has left is kept, to be looked at."""
    folder = session.config.stash.get(_folder, None)
    if folder is not None and exitstatus == pytest.ExitCode.TESTS_FAILED:
        print(f"\nfiles of the tests are kept in {folder}")  # noqa: T201 # for who reads the failure
        del session.config.stash[_folder]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the memory back once this process ends: by then the workers have ended too."""
    folder = config.stash.get(_folder, None)
    if folder is not None:
        Finalize(None, shutil.rmtree, (folder, True), exitpriority=_AFTER_MULTIPROCESSING)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow modules first; within and behind them the order stays random."""
    root = Path(__file__).parent
    slow = {root / name for name in SLOW_MODULES}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine; local sockets stay."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            host = str(address[0])
            if host not in {"127.0.0.1", "::1", "localhost"}:
                raise AssertionError(f"a test tried to reach {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """A command sets the log up for its own standard error, which is gone after the test."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _no_own_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever OUTRIDER_ variables the developer has set, the tests do not see them."""
    for name in [n for n in os.environ if n.startswith("OUTRIDER_")]:
        monkeypatch.delenv(name)
