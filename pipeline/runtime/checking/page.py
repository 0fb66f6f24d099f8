"""The public status page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connectors.advisories.status_page import StatusPageFeed
from pipeline.model.errors import OutriderError
from pipeline.runtime.checking.finding import Finding, State, of_error
from pipeline.runtime.checking.places import Place, reached

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.http.client import HttpClient
    from pipeline.model.clock import Clock

_WHERE: Final = "status_page"


def status_page(
    client: HttpClient, address: str, ca_file: Path | None, clock: Clock
) -> list[Finding]:
    """Read the page once."""
    found = reached(_WHERE, Place.of(address, ca_file), clock)
    if found[-1].state in {State.FAIL, State.SKIP}:
        return found
    try:
        poll = StatusPageFeed(client, address, clock=clock).changed_since(None)
    except OutriderError as error:
        return [*found, of_error(_WHERE, "answer", error)]
    finally:
        client.close()
    trouble = len(poll.advisories)
    entries = max(poll.received, trouble)
    told = f"{entries} entr{'y' if entries == 1 else 'ies'}, {trouble} in trouble"
    return [*found, Finding(_WHERE, "answer", State.OK, told)]
