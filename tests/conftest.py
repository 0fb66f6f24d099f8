"""Shared by all tests: one hypothesis profile, and no way to the network."""

from __future__ import annotations

import os
import socket
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
