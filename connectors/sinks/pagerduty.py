"""PagerDuty: notices as events of the Events API v2."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from connectors.http.client import HttpClient
from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.one_by_one import one_by_one, settled
from connectors.sinks.shorter import cut
from pipeline.model.errors import ConfigError
from pipeline.model.vocabulary import CLIENT_LABELS, SERVICE_LABELS, Client, Service, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from connectors.http.answers import Answer
    from pipeline.model.contracts import Delivery
    from pipeline.model.message import Message

WHAT: Final = "PagerDuty"
ADDRESS: Final = "https://events.pagerduty.com"
EU_ADDRESS: Final = "https://events.eu.pagerduty.com"
SUMMARY: Final = 1024
DEDUP_KEY: Final = 255
MOST_BYTES: Final = 512 * 1024
_SECONDS: Final = 30.0
_SEVERITIES: Final = {"critical": "critical", "high": "error", "medium": "warning", "low": "info"}
_ROUTING_KEY: Final = re.compile(r"[A-Za-z0-9]{32}")
_PLAIN_KEY: Final = re.compile(rf"[\x21-\x7e]{{1,{DEDUP_KEY}}}")
_BAD_KEY: Final = "routing_key"
_IDS: Final = 100
_NAMES: Final = 10


class PagerDutySink:
    """Triggers, updates and resolves one alert for each thread of notices.

    The thread's id is the dedup_key, so an event whose answer was lost and that comes again
    changes nothing. PagerDuty opens a new alert for a key that was resolved.

    Args:
        routing_key: gives the integration key, 32 characters.
        message: a notice in words.
        address: of the service: :data:`ADDRESS`, or :data:`EU_ADDRESS` for accounts of the EU
            service region.
        changes: send incidents that a change of our own explains as change events, which wake
            nobody. A change event has no key: one whose answer was lost comes twice.
        ca_file: authorities to trust; None = the usual ones.
    """

    def __init__(
        self,
        routing_key: Callable[[], str],
        message: Callable[[Mapping[str, Any]], Message],
        *,
        address: str = ADDRESS,
        changes: bool = False,
        ca_file: Path | None = None,
    ) -> None:
        self._routing_key, self._message, self._changes = routing_key, message, changes
        self._http = HttpClient(WHAT, address, ca_file=ca_file, timeout=_SECONDS)

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Send an event for each notice; see :class:`pipeline.model.contracts.Sink`.

        Raises:
            RetriableError: nothing was taken; later may do.
            FatalError: a person has to act.
        """
        return one_by_one(documents, self._send)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def _send(self, notice: Mapping[str, Any]) -> bool:
        message = self._message(notice)
        key = dedup_key(key_of(notice)[0])
        if message.over:
            return self._post("/v2/enqueue", {"event_action": "resolve", "dedup_key": key})
        if self._changes and _is_ours(notice):
            return self._post("/v2/change/enqueue", change(notice, message))
        event = {"event_action": "trigger", "dedup_key": key, **alert(notice, message)}
        return self._post("/v2/enqueue", event)

    def _post(self, path: str, event: Mapping[str, Any]) -> bool:
        routing_key = self._routing_key()
        if not _ROUTING_KEY.fullmatch(routing_key):
            raise ConfigError(
                f"{WHAT}: a routing key has 32 letters and digits; look at the file or variable "
                "that holds it"
            )
        body = json.dumps({"routing_key": routing_key, **event}, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"}
        answer = self._http.post(path, body=body, headers=headers, any_status=True)
        return settled("pagerduty", WHAT, answer, _code(answer), self._http.wait(answer))


def dedup_key(notice_id: str) -> str:
    """The key of a thread's alert: its id, or a hash of one that PagerDuty could not hold."""
    if _PLAIN_KEY.fullmatch(notice_id):
        return notice_id
    return hashlib.sha256(notice_id.encode("utf-8", "surrogatepass")).hexdigest()


def alert(notice: Mapping[str, Any], message: Message) -> dict[str, Any]:
    """What a trigger tells, in far less than :data:`MOST_BYTES`."""
    services, clients = _names(notice)
    event: dict[str, Any] = {
        "client": "Outrider",
        "payload": {
            "summary": cut(message.title, SUMMARY),
            "source": services,
            "severity": _SEVERITIES.get(message.severity, "error"),
            "timestamp": notice["at"],
            "component": clients,
            "group": ", ".join(f"{k}={v}" for k, v in list(notice["group"].items())[:_NAMES])[
                :SUMMARY
            ]
            or services,
            "class": _verdicts(notice),
            "custom_details": details(notice, message),
        },
    }
    if message.link:
        event |= {
            "client_url": message.link,
            "links": [{"href": message.link, "text": "Open the incident"}],
        }
    return event


def change(notice: Mapping[str, Any], message: Message) -> dict[str, Any]:
    """What a change event tells."""
    event: dict[str, Any] = {
        "payload": {
            "summary": cut(message.title, SUMMARY),
            "source": "Outrider",
            "timestamp": notice["at"],
            "custom_details": details(notice, message),
        }
    }
    if message.link:
        event["links"] = [{"href": message.link, "text": "Open the incident"}]
    return event


def details(notice: Mapping[str, Any], message: Message) -> dict[str, Any]:
    """The message as PagerDuty's table of details shows it: in this order, text or lists."""
    found: dict[str, Any] = {"Why now": message.reason, **dict(message.facts)}
    for name, items in (
        ("Incidents", message.incidents),
        ("For this verdict", message.evidence_for),
        ("Against this verdict", message.evidence_against),
    ):
        if items:
            found[name] = list(items)
    found["Reference"] = message.reference
    found["Incident ids"] = [
        cut(str(item["incident"]["incident_id"]), 100) for item in notice["incidents"][:_IDS]
    ]
    return found


def _names(notice: Mapping[str, Any]) -> tuple[str, str]:
    """Services and clients by their names."""
    incidents = [item["incident"] for item in notice["incidents"]]
    services = dict.fromkeys(SERVICE_LABELS[Service(s)] for i in incidents for s in i["services"])
    clients = dict.fromkeys(CLIENT_LABELS[Client(c)] for i in incidents for c in i["clients"])
    return ", ".join(list(services)[:_NAMES]) or "Microsoft 365", ", ".join(
        list(clients)[:_NAMES]
    ) or "no client"


def _verdicts(notice: Mapping[str, Any]) -> str:
    found = dict.fromkeys(str(item["incident"]["verdict"]) for item in notice["incidents"])
    return ", ".join(found)[:SUMMARY]


def _is_ours(notice: Mapping[str, Any]) -> bool:
    return all(i["incident"]["verdict"] == Verdict.TENANT_CHANGE for i in notice["incidents"])


def _code(answer: Answer) -> str:
    """Its answers have no codes; one about the key is ours to mend, others are about the event."""
    text = answer.body[:4096].decode("utf-8", "replace").lower()
    told = "routing key" in text or "routing_key" in text
    return _BAD_KEY if told and answer.status >= 400 else ""
