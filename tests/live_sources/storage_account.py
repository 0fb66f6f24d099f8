"""A storage account on loopback with logs in it, and what reads them."""

from __future__ import annotations

import json
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from connectors.auth import Identity
from connectors.http.client import HttpClient
from connectors.sources import blobs as source_module
from connectors.sources.blob_sas import SharedAccess
from connectors.sources.blobs import SCOPE, Blobs
from pipeline.model.clock import ManualClock
from tests.services import diagnostics as d
from tests.services.blobs import AUDIENCE, SIGNATURE, Storage
from tests.services.entra import TENANT, Entra
from tests.services.server import serving

START = datetime(2026, 3, 19, 8, tzinfo=UTC)
MARK = source_module._MARK_BYTES
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SIGNINS, QUIET, AUDITS = (
    "insights-logs-signinlogs",
    "insights-logs-noninteractiveusersigninlogs",
    "insights-logs-auditlogs",
)
SECRETS = (SIGNATURE, SIGNATURE.replace("+", "%2B"), f"sig={SIGNATURE[:6]}", "eyJ", *d.PERSONAL)
FAULTS = {"throttled": 0.05, "failing": 0.03, "hung_up": 0.03, "cut": 0.03}


def signature(**changed):
    parts = {"sv": "2024-08-04", "ss": "b", "srt": "sco", "sp": "rl", "se": "2027-01-01T00:00:00Z"}
    told = "&".join(f"{k}={v}" for k, v in {**parts, **changed}.items() if v is not None)
    return f"{told}&sig={SIGNATURE.replace('+', '%2B').replace('/', '%2F')}"


class Direct:
    """Signs in at Entra without a way to it."""

    def __init__(self, entra):
        self.entra = entra

    def sign_in(self, scope):
        granted = self.entra.grant(TENANT, scope.removesuffix("/.default"))
        return granted["access_token"], granted["expires_in"]


@contextmanager
def account(faults=None, at=START):
    """A storage account, and who gives tokens for it, at one hour."""
    clock = ManualClock(at)
    entra = Entra(clock, roles={AUDIENCE: ()})
    storage = Storage(clock, faults, entra=entra)
    with serving(storage):
        storage.make(SIGNINS)
        world = SimpleNamespace(clock=clock, entra=entra, storage=storage, clients=[])
        yield world
        for made in world.clients:
            made.close()


def client(world, *, sas=None, budget=None):
    if sas is None:
        told = {"tokens": Identity(Direct(world.entra), clock=world.clock), "scope": SCOPE}
    else:
        told = {"secret": SharedAccess(lambda: sas, world.clock)}
    made = HttpClient("Azure Storage", world.storage.root, budget=budget, clock=world.clock, **told)
    world.clients.append(made)
    return made


def reader(world, *containers, sas=None, budget=None, **options):
    return Blobs(
        client(world, sas=sas, budget=budget),
        d.SETTINGS,
        containers=containers or (SIGNINS,),
        by_signature=sas is not None,
        clock=world.clock,
        **{"lookback": HOUR, **options},
    )


def again(cursor):
    return json.loads(json.dumps(cursor))


def everything(source, cursor=None):
    """The polls up to the first that brings nothing."""
    polls = []
    while not polls or polls[-1].received:
        polls.append(source.poll(cursor))
        cursor = again(polls[-1].cursor)
    return polls


def lines(*numbers):
    return b"".join(d.line(n) for n in numbers)


def refusal(kind, source, cursor=None):
    """The message; nothing that anybody sees names a secret, a person or the service's words."""
    with pytest.raises(kind) as caught:
        source.poll(cursor)
    assert type(caught.value) is kind
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(source)
    assert not [word for word in SECRETS if word in shown]
    return str(caught.value)


def asked(world, what=""):
    return [r for r in world.storage.requests if what in r.url]
