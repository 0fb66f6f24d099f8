"""Reading a namespace of Event Hubs to its end, and what may be seen of a refusal."""

from __future__ import annotations

import json
import threading
import traceback
from datetime import UTC, datetime

import pytest

from pipeline.model.clock import to_us
from tests.kafka.sign_in import SECRET
from tests.services import diagnostics as d
from tests.services.event_hubs import KEY, USER

NOW = datetime(2026, 3, 19, 12, tzinfo=UTC)
WRONG = "d3Jvbmcta2V5"
SECRETS = (KEY, WRONG, SECRET, USER, "readers", *d.PERSONAL)


def ms(moment):
    return to_us(moment) // 1000


def everything(source, cursor=None):
    """The polls up to the first that brings nothing."""
    polls = []
    while not polls or polls[-1].received:
        polls.append(source.poll(cursor))
        cursor = json.loads(json.dumps(polls[-1].cursor))
    return polls


def kept_secret(error, source=None):
    """The message; nothing that anybody sees of it names a secret, a person or the service's words."""
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(source)
    assert not [word for word in SECRETS if word in shown]
    return str(error)


def refusal(kind, source, cursor=None):
    with pytest.raises(kind) as caught:
        source.poll(cursor)
    assert type(caught.value) is kind
    return kept_secret(caught.value, source)


def threads():
    return sum("kafka" in thread.name.lower() for thread in threading.enumerate())
