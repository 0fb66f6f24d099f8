"""Messages of syslog (RFC 5424), and the count of octets before each on a stream (RFC 5425).

``<PRI>1 TIMESTAMP HOSTNAME outrider - KIND [outrider@NUMBER id=".." revision=".." ...] MSG``

A revision is the same message each time: it holds no time of sending and no number of a process.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from connectors.sinks.encoders import words
from connectors.sinks.encoders.encoder import key_of, kind_of
from connectors.sinks.encoders.shorten import shortened
from connectors.sinks.encoders.text import fit
from pipeline.model.clock import parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.sinks.encoders.encoder import Encoder

FACILITIES: Final = {
    "user": 1, "daemon": 3, "auth": 4, "authpriv": 10, "audit": 13, "alert": 14,
    **{f"local{n}": 16 + n for n in range(8)},
}  # fmt: skip
# Emergency (0) and alert (1) are not used: they ring at receivers of whole systems.
SEVERITIES: Final = {"flag": 6, "low": 5, "medium": 4, "high": 3, "critical": 2}
# Given for examples by RFC 5612: who has a number of their own sets it.
ENTERPRISE: Final = 32473
# Receivers should take so much (RFC 5424, section 6.1).
OCTETS: Final = 8192
# What the shortest incident takes when it is about every client there is.
LEAST_OCTETS: Final = {"json": 2048, "ocsf": 8192, "ecs": 4096, "cef": 2048, "leef": 2048}
_APP: Final = "outrider"
_VALUE_OCTETS: Final = 255
_UNPRINTABLE: Final = re.compile(r"[^\x21-\x7e]")
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "]": "\\]", "\n": " ", "\r": " ", "\t": " "}
_MARK: Final = b"\xef\xbb\xbf"


class Messages:
    """Makes a message of each document.

    Args:
        form: of MSG.
        facility: one of :data:`FACILITIES`.
        hostname: of this machine, for HOSTNAME; None = the one that it has.
        enterprise: private enterprise number of the structured data.
        octets: that a message has at most, without the count before it.
        mark: put the byte order mark before what is not ASCII, as RFC 5424 asks for and most
            readers of JSON, CEF and LEEF trip over.
    """

    def __init__(
        self,
        form: Encoder,
        *,
        facility: str = "local0",
        hostname: str | None = None,
        enterprise: int = ENTERPRISE,
        octets: int = OCTETS,
        mark: bool = False,
    ) -> None:
        self._form, self._facility, self._enterprise = form, FACILITIES[facility], enterprise
        name = socket.gethostname() if hostname is None else hostname
        self._hostname = _UNPRINTABLE.sub("", name)[:255] or "-"
        self._octets, self._mark = octets, mark

    def message(self, document: Mapping[str, Any]) -> bytes:
        """The message of a document, without the count of its octets.

        Raises:
            ValueError, TypeError, KeyError: the form has no words for it, or it cannot be
                shortened enough.
        """
        return shortened(document, self._made, self._octets)

    def _made(self, document: Mapping[str, Any]) -> bytes:
        priority = 8 * self._facility + SEVERITIES[document.get("severity", "flag")]
        moment = parse_rfc3339(words.told_at(document)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        head = f"<{priority}>1 {moment} {self._hostname} {_APP} - {kind_of(document)}"
        # Halves of surrogate pairs are left in plain JSON only, which can say them so.
        text = self._form.line(document).encode("utf-8", "backslashreplace")
        mark = _MARK if self._mark and not text.isascii() else b""
        return f"{head} {self._data(document)} ".encode() + mark + text

    def _data(self, document: Mapping[str, Any]) -> str:
        name, revision = key_of(document)
        told = {
            "tenant": ", ".join(words.tenants(document)),
            "severity": document.get("severity", ""),
            "verdict": document.get("verdict", ""),
            words.SHORTENED: " ".join(document.get(words.SHORTENED, ())),
        }
        values = {
            # Whole, as it is part of the key; percent-encoded as in the keys of the other forms.
            "id": quote(name, safe="", errors="surrogatepass"),
            "revision": str(revision),
            "kind": kind_of(document),
            **{key: _value(str(text)) for key, text in told.items() if text},
        }
        pairs = " ".join(f'{key}="{value}"' for key, value in values.items())
        return f"[outrider@{self._enterprise} {pairs}]"


def _value(text: str) -> str:
    """Cut first, since the mark of a cut has a bracket that needs its escape as well."""
    return "".join(_ESCAPES.get(char, char) for char in fit(text, _VALUE_OCTETS, str))


def framed(message: bytes) -> bytes:
    """The message as it goes into a stream, the count of its octets before it.

    >>> framed(b"<134>1 - - - - - -")
    b'18 <134>1 - - - - - -'
    """
    return b"%d %b" % (len(message), message)
