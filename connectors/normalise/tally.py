"""What a run saw beside its events: counted, mergeable, free of personal data."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_KEEP: Final = 500
REST: Final = "(rest)"
_MAIL: Final = re.compile(r"[^\s;=&/?(),<>]+(?:@|%40)[^\s;=&/?(),<>]+")
_QUERY: Final = re.compile(r"\?[^\s;)]*")
_NAMED: Final = re.compile(r"(?i)\b(user(?!agent)\w*|device\w*|mailbox\w*|owner\w*)=[^;&\s]*")
_ADDRESS: Final = re.compile(
    r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\b[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){3,7}\b"
)
_LONGEST: Final = 120


@dataclass(slots=True)
class Tally:
    """Counters of one or many units; add them up with :meth:`merge`.

    Attributes:
        records: events by source.
        unmatched_clients: (source, masked client text) of records no client rule knew.
        unknown_codes: error codes that stand in no table.
        ignored: records left out by kind, such as ``signin:ServicePrincipalSignInLogs``.
        forms: records by the form they came in.
        partial_tails: (path, byte offset) of a last line still being written.
        empty_files: files without a record.
    """

    records: Counter[str] = field(default_factory=Counter)
    unmatched_clients: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown_codes: Counter[int] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    partial_tails: list[tuple[str, int]] = field(default_factory=list)
    empty_files: int = 0

    def merge(self, other: Tally) -> None:
        """Add the counts of another unit; the rarest of too many texts become a rest."""
        self.records.update(other.records)
        self.unmatched_clients.update(other.unmatched_clients)
        self.unknown_codes.update(other.unknown_codes)
        self.ignored.update(other.ignored)
        self.forms.update(other.forms)
        self.partial_tails.extend(other.partial_tails)
        self.empty_files += other.empty_files
        self.prune()

    def prune(self) -> None:
        """Keep the commonest client texts of each source, and the sum of the others."""
        if len(self.unmatched_clients) <= 2 * _KEEP:
            return
        ranked = sorted(self.unmatched_clients.items(), key=lambda item: (-item[1], item[0]))
        rest: Counter[tuple[str, str]] = Counter()
        for (source, _), count in ranked[_KEEP:]:
            rest[source, REST] += count
        self.unmatched_clients = Counter(dict(ranked[:_KEEP])) + rest


def mask_client(text: str) -> str:
    """A client string without mail addresses, user or device names, queries and addresses.

    >>> mask_client("Client=ActiveSync;UserAgent=X/1;Action=/a.eas?User=jo@x.org&DeviceId=7")
    'Client=ActiveSync;UserAgent=X/1;Action=/a.eas?*'
    """
    text = _QUERY.sub("?*", text)
    text = _MAIL.sub("*", text)
    text = _NAMED.sub(r"\1=*", text)
    return _ADDRESS.sub("*", text).strip()[:_LONGEST]


_PRODUCT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{1,40}/[0-9][0-9A-Za-z._]{0,20}")


def product_tokens(user_agent: str) -> str:
    """The ``product/version`` tokens of a user agent, nothing else (RFC 9110, 10.1.5).

    >>> product_tokens("Contoso Mail/2.1 (jo's phone; Android 14) okhttp/4.9")
    'Mail/2.1 okhttp/4.9'
    """
    return " ".join(_PRODUCT.findall(user_agent))[:_LONGEST]
