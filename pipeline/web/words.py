"""Words of the pages for values of the documents; a value that is not known is told as it is."""

from __future__ import annotations

from typing import Any, Final

from pipeline.model.vocabulary import CLIENT_LABELS, SERVICE_LABELS, VERDICT_LABELS
from pipeline.notify.clean import clean
from pipeline.notify.words import SIGNAL_LABELS, SOURCE_LABELS

CELL_STATES: Final = {
    "low": "fewer than usual",
    "high": "more trouble than usual",
    "blind": "not seen",
    "warming_up": "warming up",
    "usual": "as usual",
}
INCIDENT_STATES: Final = {
    "open": "open",
    "recovering": "recovering",
    "resolved": "resolved",
    "retracted": "taken back",
}
FEED_STATES: Final = {
    "working": "working",
    "behind": "behind",
    "failing": "failing",
    "silent": "silent",
}
ANSWERS: Final = {"yes": "affected", "no_sign": "no sign of it", "cannot_tell": "cannot tell"}
OVERS: Final = {
    "yes": "over",
    "recovering": "recovering",
    "no": "not over",
    "not_affected": "",
    "cannot_tell": "cannot tell whether it is over",
}
LEAD_KINDS: Final = {
    "first": "we were first",
    "late": "Microsoft was first",
    "unmatched_incident": "no advisory came",
    "unmatched_advisory": "we saw nothing",
    "withdrawn": "advisory taken back",
}
HANDED: Final = {
    "handed": "handed over",
    "accepted": "handed over",
    "waiting": "waits",
    "refused": "refused",
    "held": "held back",
}
_TABLES: Final[dict[str, dict[Any, str]]] = {
    "client": dict(CLIENT_LABELS),
    "service": dict(SERVICE_LABELS),
    "verdict": dict(VERDICT_LABELS),
    "source": SOURCE_LABELS,
    "signal": SIGNAL_LABELS,
    "cell": CELL_STATES,
    "incident": INCIDENT_STATES,
    "feed": FEED_STATES,
    "answer": ANSWERS,
    "over": OVERS,
    "lead": LEAD_KINDS,
    "handed": HANDED,
}


def label(value: Any, table: str) -> str:
    """What a reader is told for ``value``.

    >>> label("owa", "client"), label("something_new", "client")
    ('Outlook on the web', 'something new')
    """
    found = _TABLES[table].get(value)
    return clean(value, 80).replace("_", " ") if found is None else found
