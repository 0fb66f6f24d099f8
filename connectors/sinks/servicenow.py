"""ServiceNow Event Management: notices as rows of the table em_event."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from connectors.http.answers import error_code
from connectors.http.client import HttpClient
from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.one_by_one import one_by_one, settled
from connectors.sinks.shorter import cut
from pipeline.model.clock import parse_rfc3339
from pipeline.model.contracts import Delivery
from pipeline.model.errors import FatalError, RetriableError
from pipeline.model.vocabulary import CLIENT_LABELS, SERVICE_LABELS, Client, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from pipeline.model.message import Message

WHAT: Final = "ServiceNow"
SOURCE: Final = "Outrider"
ONE: Final = "/api/now/table/em_event"
MANY: Final = "/em_event.do?JSONv2&sysparm_action=insertMultiple"
MOST_AT_ONCE: Final = 50
SHORT_FIELD: Final = 100
DESCRIPTION: Final = 4000
_SECONDS: Final = 60.0
_CLEAR: Final = "0"
# Its scale: 1 Critical, 2 Major, 3 Minor, 4 Warning, 5 OK.
_SEVERITIES: Final = {"critical": "1", "high": "2", "medium": "3", "low": "4"}
_IDS: Final = 100
_NAMES: Final = 10


class ServiceNowSink:
    """Inserts an event for each notice.

    The thread's id is the message_key: ServiceNow makes one alert of all events with the same
    key, so an event whose answer was lost and that comes again adds to the same alert. An
    event with severity 0 clears it.

    Args:
        address: of the instance, ``https://NAME.service-now.com``.
        authorization: gives the header, ``Basic ...`` or ``Bearer ...``.
        message: a notice in words.
        at_once: events in one request; 1 = by the table API alone, for instances without the
            JSONv2 web service.
        ca_file: authorities to trust; None = the usual ones.
    """

    def __init__(
        self,
        address: str,
        authorization: Callable[[], str],
        message: Callable[[Mapping[str, Any]], Message],
        *,
        at_once: int = MOST_AT_ONCE,
        ca_file: Path | None = None,
    ) -> None:
        self._message, self._at_once = message, at_once
        self._http = HttpClient(
            WHAT,
            address,
            ca_file=ca_file,
            secret_headers=lambda: {"Authorization": authorization()},
            timeout=_SECONDS,
        )

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Insert the events, in order; see :class:`pipeline.model.contracts.Sink`.

        Raises:
            RetriableError: nothing was taken; later may do.
            FatalError: a person has to act.
        """
        if self._at_once == 1 or len(documents) <= 1:
            return one_by_one(documents, self._send)
        accepted: list[tuple[str, int]] = []
        rejected: list[tuple[str, int]] = []
        for start in range(0, len(documents), self._at_once):
            try:
                done = self._send_all(documents[start : start + self._at_once])
            except (RetriableError, FatalError) as error:
                if not accepted and not rejected:
                    raise
                # What needs a person is told by the next call, which settles nothing before it.
                wait = error.retry_after if isinstance(error, RetriableError) else 0.0
                return Delivery(accepted, rejected, retry_after=wait)
            accepted += done.accepted
            rejected += done.rejected
            if done.retry_after is not None:
                return Delivery(accepted, rejected, retry_after=done.retry_after)
        return Delivery(accepted, rejected)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def _send(self, notice: Mapping[str, Any]) -> bool:
        answer = self._post(ONE, event(notice, self._message(notice)))
        return settled("servicenow", WHAT, *answer)

    def _send_all(self, notices: Sequence[Mapping[str, Any]]) -> Delivery:
        events: list[dict[str, str]] = []
        told: list[Mapping[str, Any]] = []
        rejected: list[tuple[str, int]] = []
        for notice in notices:
            try:
                events.append(event(notice, self._message(notice)))
                told.append(notice)
            except (KeyError, TypeError, ValueError):
                rejected.append(key_of(notice))
        if not events:
            return Delivery((), rejected)
        answer, code, wait = self._post(MANY, {"records": events})
        if not settled("servicenow", WHAT, answer, code, wait):
            # One of them cannot be read, and the answer does not tell which.
            done = one_by_one(told, self._send)
            return Delivery(done.accepted, [*rejected, *done.rejected], done.retry_after)
        accepted: list[tuple[str, int]] = []
        for notice, taken in zip(told, _taken(answer.document(WHAT), len(told)), strict=True):
            (accepted if taken else rejected).append(key_of(notice))
        return Delivery(accepted, rejected)

    def _post(self, path: str, document: Any) -> tuple[Any, str, float | None]:
        body = json.dumps(document, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"}
        answer = self._http.post(path, body=body, headers=headers, any_status=True)
        code = (
            error_code(answer.body[:4096].decode("utf-8", "replace"))
            if answer.status >= 400
            else ""
        )
        return answer, code, self._http.wait(answer)


def event(notice: Mapping[str, Any], message: Message) -> dict[str, str]:
    """One row of em_event: plain columns only, all of them text."""
    incidents = [item["incident"] for item in notice["incidents"]]
    at = parse_rfc3339(notice["at"]).astimezone(UTC)
    services = (SERVICE_LABELS[Service(s)] for i in incidents for s in i["services"])
    clients = (CLIENT_LABELS[Client(c)] for i in incidents for c in i["clients"])
    return {
        "source": SOURCE,
        "event_class": SOURCE,
        "node": _joined(str(t) for i in incidents for t in i["tenants"]),
        "resource": _joined(services),
        "metric_name": _joined(str(i["verdict"]) for i in incidents),
        "type": "Microsoft 365 incident",
        "message_key": str(notice["notice_id"]),
        "severity": _CLEAR if message.over else _SEVERITIES.get(message.severity, "3"),
        "resolution_state": "Closing" if message.over else "New",
        "time_of_event": f"{at:%Y-%m-%d %H:%M:%S}",
        "description": cut(message.text(), DESCRIPTION),
        "additional_info": json.dumps(
            {
                "revision": str(notice["revision"]),
                "reason": str(notice["reason"]),
                "state": message.state,
                "clients": _joined(clients),
                "affected_users": str(max(int(i["affected_users"]) for i in incidents)),
                "advisories": _joined(
                    str(i["advisory"]["advisory_id"]) for i in incidents if i.get("advisory")
                ),
                "incident_ids": [cut(str(i["incident_id"]), SHORT_FIELD) for i in incidents[:_IDS]],
                "link": message.link,
                "idempotency_key": f"{notice['notice_id']}:{notice['revision']}",
            }
        ),
    }


def _joined(names: Iterable[str]) -> str:
    return cut(", ".join(list(dict.fromkeys(names))[:_NAMES]), SHORT_FIELD)


def _taken(document: Any, wanted: int) -> list[bool]:
    """For each event, whether it was inserted.

    Raises:
        RetriableError: the answer tells it for another number of events.
    """
    records = document.get("records") if isinstance(document, dict) else None
    if not isinstance(records, list) or len(records) != wanted:
        raise RetriableError(
            f"{WHAT}: its answer does not tell what became of each event; set at_once = 1",
        )
    return [isinstance(r, dict) and r.get("__status", "success") == "success" for r in records]
