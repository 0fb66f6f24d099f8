"""A service on loopback as the receiver of a sink: put into trouble, looked into, let go of."""

from __future__ import annotations

from contextlib import ExitStack

from connectors.sinks.encoders.encoder import key_of
from tests.contracts.sink_cases import BUSY, CUT, DENIED, DOWN
from tests.services.server import serving


class HttpReceiver:
    """What :class:`tests.contracts.sink_cases.Receiver` asks for, of a service.

    Args:
        service: remembers what it took: ``accepted()``, and ``refused``, keys that it refuses.
        make: a sink, given the service.
        text: the service and a key to the text that arrived.
        busy: the answer of one that wants this later.
        denied: the answer of one that does not know the credential.
        wait: lets time pass.
    """

    def __init__(self, service, make, *, text, busy, denied, wait=lambda _seconds: None):
        self.service, self._make, self._text = service, make, text
        self._busy, self._denied, self._wait = busy, denied, wait
        self._open, self._sinks = ExitStack(), []
        self._open.enter_context(serving(service))

    def sink(self):
        self._sinks.append(self._make(self.service))
        return self._sinks[-1]

    def accepted(self):
        return self.service.accepted()

    def text(self, key):
        return self._text(self.service, key)

    def refuse(self, document):
        self.service.refused.add(key_of(document))
        return document

    def wait(self, seconds):
        assert seconds >= 0
        self._wait(seconds)

    def fail(self, kind, after=0):
        left = after

        def broken(request):
            nonlocal left
            left -= 1
            if left >= 0:
                return self.service.answer(request)
            if kind == DOWN:
                return None
            if kind == CUT:
                return cut(self.service.answer(request))
            return {BUSY: self._busy, DENIED: self._denied}[kind]

        self.service.broken = None if kind is None else broken

    def close(self):
        for sink in self._sinks:
            sink.close()
        self._open.close()


def cut(reply):
    """The answer is lost on its way."""
    if not reply.bytes:
        return None
    reply.cut = len(reply.bytes) // 2
    return reply
