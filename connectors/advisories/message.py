"""Message Center posts (``serviceUpdateMessage``): kept where they speak of failing access.

A post announces work: it has no status, it is never declared over, and its dates say how long
it is shown. So it can stand beside an outage, and must never be taken for its advisory: it
would be "first" by weeks. Posts of the category ``preventOrFixIssue`` whose words speak of
failing access or mail flow are kept and listed, as something for administrators; no start and
no post of theirs is known to the matching. All others are ignored.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from connectors.advisories.announcement import announced
from connectors.advisories.issue import IssueError, lower_names, text_of, time_of
from connectors.advisories.reading import read_stated, service_names
from connectors.advisories.text import plain
from pipeline.model.advisory import Advisory, Reading, Symptom
from pipeline.model.reject import RejectReason
from pipeline.model.vocabulary import Service

if TYPE_CHECKING:
    from collections.abc import Mapping

ORIGIN: Final = "message_center"
_CATEGORY: Final = "preventorfixissue"
_ID: Final = re.compile(r"MC\d{1,9}", re.ASCII)
_OUTAGE: Final = frozenset({Symptom.ACCESS, Symptom.MAIL_FLOW})


def read_message(record: Mapping[str, Any]) -> Advisory | None:
    """Turn one decoded post into an advisory version, None if it speaks of no outage.

    Raises:
        IssueError: the id is missing or no id, or a time cannot be read.
    """
    fields = lower_names(record)
    if text_of(fields, "category").casefold() != _CATEGORY:
        return None
    message_id = text_of(fields, "id").strip().upper()
    if not _ID.fullmatch(message_id):
        raise IssueError(RejectReason.BAD_VALUE, "id: want letters and digits such as MC123456")
    names = fields.get("services")
    services = [plain(n) for n in names if isinstance(n, str)] if isinstance(names, list) else []
    hint = _services(services)
    body = fields.get("body")
    content = text_of(lower_names(body), "content") if isinstance(body, dict) else ""
    title, text = plain(text_of(fields, "title")), plain(content)
    reading = read_stated(title, text, hint)
    if reading.symptom not in _OUTAGE:
        return None
    return announced(
        message_id,
        title,
        origin=ORIGIN,
        service_hint=hint,
        service=", ".join(services),
        classification=_CATEGORY,
        impact_description=text,
        symptom=Symptom.ADMIN,
        last_modified_at=time_of(fields, "lastmodifieddatetime"),
        stated=_for_administrators(reading),
    )


def _services(names: list[str]) -> tuple[Service, ...]:
    found: dict[Service, None] = {}
    for name in names:
        hint = service_names(name)
        found.update(dict.fromkeys((Service.OTHER,) if hint is None else hint))
    return tuple(found)


def _for_administrators(reading: Reading) -> Reading:
    return replace(reading, symptom=Symptom.ADMIN, start_at=None, end_at=None, restored=False)
