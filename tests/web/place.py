"""The dashboard of a ledger on loopback, by the clock of the ledger."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from pipeline.ledger.reading import Reader
from pipeline.ledger.store import Ledger
from pipeline.model.documents import to_line
from pipeline.runtime.config_serve import Serve
from pipeline.runtime.health import Health
from pipeline.runtime.listening import Address
from pipeline.runtime.metrics import Metrics
from pipeline.web.access import Access
from pipeline.web.api import Backend
from pipeline.web.app import application
from pipeline.web.dashboard import Look
from pipeline.web.ledgers import Readers
from pipeline.web.server import WebServer, certificate
from tests.unit.report import sample_folder
from tests.unit.web.large_ledger import NOW
from tests.unit.web.serving import LOG

if TYPE_CHECKING:
    from pathlib import Path


class Still:
    """A clock that stands where the ledger was judged last."""

    def __init__(self, at=NOW):
        self.at = at

    def now(self):
        return self.at


class Place(NamedTuple):
    """``root`` is its address; ``clock`` may be turned."""

    root: str
    port: int
    path: Path
    clock: Still
    health: Health


def put_flags(ledger):
    """The flags that all incidents of a large ledger name, so that their charts are drawn."""
    flags = [sample_folder.flag(c, n) for c in sample_folder.HURT for n in (1, 2)]
    flags = [replace(f, onset_at=NOW - timedelta(hours=6), closed_at=None) for f in flags]
    rows = [(f.flag_id, f.revision, f.tenant, to_line(f)) for f in flags]
    with ledger.transaction():
        ledger.add_documents("flag", rows)


def written(path):
    times = [p.stat().st_mtime for p in path.parent.glob(f"{path.name}*") if p.name[-4:] != "-shm"]
    return datetime.fromtimestamp(max(times), UTC)


@contextmanager
def serve_ledger(
    path, *, serve=None, host="127.0.0.1", port=0, name="127.0.0.1", oidc=None, poll=0.0,
    zone="Europe/Berlin",
):  # fmt: skip
    """Serve the ledger at ``path``; ``host`` is what the access rules believe to listen on."""
    serve = serve or Serve()
    readers, health, clock = Readers(path), Health(ready=True), Still()
    backend = Backend(
        mode="embedded",
        readers=readers,
        health=health,
        ready=lambda: health.ready,
        lag=Reader.deliveries,
        committed_at=lambda: written(path),
        version="1.2.3",
    )
    look = Look(
        time_zone=zone, poll_seconds=poll, oidc=oidc, writing=lambda: Ledger(path), clock=clock
    )
    access = Access(serve, Address(host, 0))
    app = application(backend, access, metrics=Metrics(), log=LOG, look=look)
    tls = certificate(serve)
    listening = Address("127.0.0.1", port).listen()
    with WebServer(app, listening, tls) as server:
        scheme = "http" if tls is None else "https"
        yield Place(f"{scheme}://{name}:{server.port}", server.port, path, clock, health)
    readers.close()


def trusting(authority):
    """A context that trusts an authority of trustme."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
