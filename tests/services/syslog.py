"""A receiver of syslog on loopback, over TLS or plain TCP, that takes nothing irregular.

It reads octet counting (RFC 5425, section 4.3) and RFC 5424 by their grammars, remembers every
message, and can hang up, reset, stall, stop and start again at the same port.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import unquote

LARGEST = 8192
_PRINTABLE = r"[\x21-\x7e]"
_NAME = r"[\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32}"  # without space, = ] and "
_HEADER = re.compile(
    rb"<(?P<pri>0|[1-9]\d{0,2})>(?P<version>[1-9]\d{0,2})"
    rb" (?P<time>-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d))"
    + b"".join(
        rf" (?P<{name}>{_PRINTABLE}{{1,{longest}}})".encode()
        for name, longest in (("host", 255), ("app", 48), ("process", 128), ("kind", 32))
    )
    + b" "
)
_ELEMENT = re.compile(rf"\[({_NAME})".encode())
_PARAMETER = re.compile(rf' ({_NAME})="((?:[^"\\\]]|\\["\\\]])*)"'.encode())
_RESET = struct.pack("ii", 1, 0)


class Message(NamedTuple):
    facility: int
    severity: int
    time: str
    host: str
    app: str
    process: str
    kind: str
    data: dict[str, dict[str, str]]
    text: str
    octets: int

    @property
    def key(self):
        (values,) = self.data.values()
        return unquote(values["id"], errors="surrogatepass"), int(values["revision"])


def parse(message):
    """A message of RFC 5424; ValueError for whatever is irregular."""
    found = _HEADER.match(message)
    if found is None or int(found["pri"]) > 191 or found["version"] != b"1":
        raise ValueError(f"header: {message[:80]!r}")
    data, rest = _data(message[found.end() :])
    if rest and not rest.startswith(b" "):
        raise ValueError(f"after the structured data: {rest[:40]!r}")
    facility, severity = divmod(int(found["pri"]), 8)
    words = [found[n].decode() for n in ("time", "host", "app", "process", "kind")]
    text = rest[1:].removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    return Message(facility, severity, *words, data, text, len(message))


def _data(rest):
    if rest.startswith(b"-"):
        return {}, rest[1:]
    data = {}
    while found := _ELEMENT.match(rest):
        name, rest = found[1].decode(), rest[found.end() :]
        if name in data:
            raise ValueError(f"element {name} twice")
        data[name] = {}
        while found := _PARAMETER.match(rest):
            rest = rest[found.end() :]
            data[name][found[1].decode()] = re.sub(rb'\\(["\\\]])', rb"\1", found[2]).decode()
        if not rest.startswith(b"]"):
            raise ValueError(f"element {name}: {rest[:40]!r}")
        rest = rest[1:]
    if not data:
        raise ValueError(f"structured data: {rest[:40]!r}")
    return data, rest


def unframe(buffer):
    """The first message of a stream and what follows it; None if it is not whole yet."""
    found = re.match(rb"([1-9]\d{0,5}) ", buffer)
    if found is None:
        if len(buffer) > 6 or not re.fullmatch(rb"[1-9]?\d*", buffer):
            raise ValueError(f"no count of octets: {buffer[:40]!r}")
        return None
    end = found.end() + int(found[1])
    return (buffer[found.end() : end], buffer[end:]) if len(buffer) >= end else None


class _HangupError(Exception):
    pass


class SyslogServer:
    """Serves until :meth:`stop`, each connection on a thread of its own.

    ``accepted`` holds messages in the order in which they came. ``fault`` is asked before each
    message is taken, with the number of messages so far, and answers with a trouble or None:
    ``"close"`` (in order, what was read and not taken is dropped), ``"reset"``, ``"stall"``
    (nothing more is read until :meth:`wake`). ``at_end``: what it does when we close: ``"close"``,
    ``"reset"`` or ``"stall"``.
    """

    def __init__(self, tls=None, largest=LARGEST):
        self.tls, self.largest = tls, largest
        self.accepted, self.errors, self.connections = [], [], 0
        self.fault = lambda _count: None
        self.at_end = "close"
        self._lock = threading.RLock()
        self._awake = threading.Event()
        self._listener, self.port = None, 0
        self._threads = []
        self.start()

    def start(self):
        self._how = None
        self._awake.set()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=32)
        self.port = self._listener.getsockname()[1]
        self._run(self._listen, self._listener)

    def stop(self, how="reset"):
        """Stop as a process that is killed does (``reset``), or in order (``close``)."""
        self._how = how
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def wake(self):
        self._awake.set()

    @property
    def keys(self):
        """(id, revision) of each message, in order, repetitions included."""
        with self._lock:
            return [message.key for message in self.accepted]

    def _run(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self, listener):
        while True:
            try:
                made, _ = listener.accept()
            except OSError:
                return
            self._run(self._serve, made)

    def _serve(self, made):
        try:
            made.settimeout(5)
            if self.tls is not None:
                made = self.tls.wrap_socket(made, server_side=True)
            made.settimeout(0.02)
            self.connections += 1
            self._read(made)
        except ValueError as error:
            self.errors.append(str(error))
            _reset(made)
        except _HangupError as how:
            (_reset if str(how) == "reset" else _close)(made)
        except OSError:
            made.close()

    def _pause(self):
        """While it stalls; hang up when the server stops."""
        while not self._awake.wait(0.02):
            if self._how is not None:
                raise _HangupError(self._how)

    def _receive(self, made):
        while True:
            self._pause()
            if self._how is not None:
                raise _HangupError(self._how)
            with suppress(TimeoutError):
                return made.recv(65536)

    def _read(self, made):
        buffer = b""
        while piece := self._receive(made):
            buffer += piece
            while found := unframe(buffer):
                trouble = self.fault(len(self.accepted))
                if trouble == "stall":
                    self._awake.clear()
                    self._pause()
                elif trouble is not None:
                    raise _HangupError(trouble)
                message, buffer = found
                if len(message) > self.largest:
                    raise ValueError(f"{len(message)} octets")
                told = parse(message)
                with self._lock:
                    self.accepted.append(told)
        if buffer:
            raise ValueError(f"cut off: {buffer[:40]!r}")
        if self.at_end == "stall":
            self._awake.clear()
            self._pause()
        (_reset if self.at_end == "reset" else _close)(made)


def _close(made):
    with suppress(OSError):
        if isinstance(made, ssl.SSLSocket):
            made.settimeout(0.2)
            made = made.unwrap()
    made.close()


def _reset(made):
    with suppress(OSError):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    made.close()
