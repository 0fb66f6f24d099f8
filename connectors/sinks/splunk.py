"""Splunk's HTTP Event Collector: one event for each revision, with (id, revision) as fields.

Splunk takes the events of a request one by one until one is bad, and keeps those before it; the
answer tells the number of the bad one. Without acknowledgement, accepted is what Splunk says it
has received; with it, what its indexers have confirmed.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

from connectors.http.client import HttpClient
from connectors.sinks.encoders import words
from connectors.sinks.encoders.ecs import ECS
from connectors.sinks.encoders.encoder import key_of, key_text, kind_of
from connectors.sinks.encoders.ocsf import OCSF
from connectors.sinks.encoders.text import safe
from connectors.sinks.parcels import (
    Outcome,
    a_person_has_to_act,
    deliver,
    halves,
    packed,
    parts,
)
from connectors.sinks.rules import code_or_none, rule_for
from connectors.sinks.splunk_acks import Acks
from pipeline.model.contracts import Delivery
from pipeline.model.errors import FatalError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from connectors.http.answers import Answer
    from connectors.sinks.parcels import Key, Parcel
    from connectors.sinks.rules import Rule

# The ceiling that Vector's sink for Splunk keeps to.
MOST_BYTES: Final = 1_000_000
_DESTINATION: Final = "splunk"
_EVENTS: Final = "/services/collector/event"
_ACKS: Final = "/services/collector/ack"
_HEALTH: Final = "/services/collector/health"
_TIMEOUT: Final = 20.0
# A wait of a second and more counts as trouble; indexers take some seconds.
_LOOK_SECONDS: Final = 0.9
_NO_ACKNOWLEDGEMENT: Final = "14"


def _plain(document: Mapping[str, Any]) -> str:
    return json.dumps(safe(dict(document)), ensure_ascii=False, allow_nan=False)


# What an event can hold: a document to one JSON object.
FORMS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "json": _plain,
    "ecs": ECS.line,
    "ocsf": OCSF.line,
}


class SplunkSink:
    """Sends every revision of flags and incidents to an HTTP Event Collector.

    Args:
        address: ``https://HOST:8088``.
        token: gives the collector's token; called at each request, so that a new one counts.
        name: of the destination, for messages.
        index: to write to; None = the token's own.
        host: to tell as the events' host.
        source: to tell as their source; their sourcetype is ``outrider:flag`` or
            ``outrider:incident``.
        form: of the events, one of :data:`FORMS`.
        acknowledged: accept only what the indexers have confirmed; the token must have it on.
        channel: GUID for the acknowledgements; None = a new one.
        ca_file: authorities to trust; None = the usual ones.
        most_bytes: in one request.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        address: str,
        token: Callable[[], str],
        *,
        name: str = "Splunk",
        index: str | None = None,
        host: str = "outrider",
        source: str = "outrider",
        form: str = "json",
        acknowledged: bool = False,
        channel: str | None = None,
        ca_file: Path | None = None,
        most_bytes: int = MOST_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._client = HttpClient(
            name,
            address,
            secret_headers=lambda: {"Authorization": f"Splunk {token()}"},
            ca_file=ca_file,
            timeout=_TIMEOUT,
        )
        self._about = {"host": host, "source": source} | ({"index": index} if index else {})
        self._line, self._most_bytes = FORMS[form], most_bytes
        self._acks = Acks(monotonic) if acknowledged else None
        self._headers = {"Content-Type": "application/json"}
        if acknowledged:
            self._headers["X-Splunk-Request-Channel"] = channel or str(uuid.uuid4())

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Send the documents, or hear that those of an earlier call are indexed.

        Raises:
            RetriableError: nothing could be settled; the same documents come again.
            FatalError: a person has to act: the token, the index, the channel.
        """
        parcels, unsaid = packed(documents, self._event)
        if self._acks is None:
            return deliver(parts(parcels, self._most_bytes, around=1), self._send, unsaid)
        return self._deliver_acknowledged(self._acks, parcels, unsaid)

    def check(self) -> None:
        """See that Splunk takes events, without sending one; raises what :meth:`deliver` does."""
        answer = self._client.get(_HEALTH, any_status=True)
        code, _ = _read(answer)
        rule = rule_for(_DESTINATION, answer.status, code)
        if rule.then != "accepted":
            raise self._trouble(rule, answer, code)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _event(self, document: Mapping[str, Any]) -> bytes:
        kind, (name, revision) = kind_of(document), key_of(document)
        about = {
            "time": words.milliseconds(words.told_at(document)) / 1000,
            **self._about,
            "sourcetype": f"outrider:{kind}",
            # Text only, and flat: Splunk refuses anything else in indexed fields.
            "fields": {
                "id": safe(name),
                "revision": str(revision),
                "key": key_text(name, revision),
                "state": safe(str(document["state"])),
                **{k: str(document[k]) for k in ("severity", "verdict") if k in document},
            },
        }
        head = json.dumps(about, ensure_ascii=False, allow_nan=False)
        return f'{head[:-1]}, "event": {self._line(document)}}}'.encode()

    def _deliver_acknowledged(
        self, acks: Acks, parcels: list[Parcel], unsaid: Sequence[Key]
    ) -> Delivery:
        if acks.open:
            with a_person_has_to_act():
                self._look(acks)
        keys = [parcel.key for parcel in parcels]
        settled = acks.settle(keys)
        known = set(settled)
        fresh = [parcel for parcel in parcels if parcel.key not in known]
        try:
            done = deliver(parts(fresh, self._most_bytes, around=1), self._send, unsaid)
        except (RetriableError, FatalError) as error:
            if not settled:
                raise
            # What is confirmed is told first; the trouble is met again right after.
            return Delivery(settled, (), getattr(error, "retry_after", None) or 0.0)
        wait = done.retry_after
        if wait is None and len(settled) + len(done.rejected) < len(keys) + len(unsaid):
            wait = _LOOK_SECONDS
        return Delivery([*settled, *done.accepted], done.rejected, wait)

    def _look(self, acks: Acks) -> None:
        """Ask which requests are indexed."""
        body = json.dumps({"acks": acks.open}).encode()
        answer = self._client.post(_ACKS, body=body, headers=self._headers, any_status=True)
        code, document = _read(answer)
        rule = rule_for(_DESTINATION, answer.status, code)
        if rule.then != "accepted":
            raise self._trouble(rule, answer, code)
        told = document.get("acks")
        acks.told(told if isinstance(told, dict) else {})

    def _send(self, part: Sequence[Parcel]) -> Outcome:
        if self._acks is not None:
            # What was sent is not sent again, and a later revision waits until the earlier one is
            # indexed: that one may still get lost.
            flying = {name for name, _ in self._acks.awaited}
            part = [parcel for parcel in part if parcel.key[0] not in flying]
            if not part:
                return Outcome()
        body = b"\n".join(parcel.body for parcel in part)
        answer = self._client.post(_EVENTS, body=body, headers=self._headers, any_status=True)
        code, document = _read(answer)
        rule = rule_for(_DESTINATION, answer.status, code)
        number = document.get("invalid-event-number")
        bad = number if isinstance(number, int) and 0 <= number < len(part) else None
        if rule.then == "accepted":
            return self._taken(part, document)
        if rule.then in {"split", "reject"}:
            return halves(part) if bad is None or len(part) == 1 else self._without(part, bad)
        # Some versions count from 1: the last one before the bad one is not sure.
        before = part[: max((bad or 0) - 1, 0)] if self._acks is None else ()
        return Outcome([p.key for p in before], trouble=self._trouble(rule, answer, code))

    def _taken(self, part: Sequence[Parcel], document: Mapping[str, Any]) -> Outcome:
        keys = [parcel.key for parcel in part]
        if self._acks is None:
            return Outcome(keys)
        number = document.get("ackId")
        if not isinstance(number, int):
            rule = rule_for(_DESTINATION, 400, _NO_ACKNOWLEDGEMENT)
            raise rule.trouble(self._name, "it gave no ackId")
        self._acks.note(number, keys)
        return Outcome()

    def _without(self, part: Sequence[Parcel], bad: int) -> Outcome:
        """Go on around the bad event, whose number is counted from 0, or from 1 by some versions.

        Those before it are indexed already (moby/moby issue 35862).
        """
        after = [part[bad + 1 :]] if bad + 1 < len(part) else []
        if self._acks is not None:
            # Without an ackId nobody confirms those before it: they go again, with the same key.
            return Outcome(again=[*([part[:bad]] if bad else []), part[bad : bad + 1], *after])
        keys = [parcel.key for parcel in part]
        try:
            alone = self._send(part[bad : bad + 1])
        except (RetriableError, FatalError) as error:
            alone = Outcome(trouble=error)
        if alone.trouble is not None:
            return Outcome(keys[: max(bad - 1, 0)], trouble=alone.trouble)
        if alone.rejected or not bad:
            return Outcome([*keys[:bad], *alone.accepted], alone.rejected, after)
        # It was taken, so the one before it was meant.
        return Outcome([*keys[: bad - 1], keys[bad]], again=[part[bad - 1 : bad], *after])

    def _trouble(self, rule: Rule, answer: Answer, code: str) -> RetriableError | FatalError:
        told = f"HTTP {answer.status}{f', code {code}' if code.isdigit() else ''}"
        return rule.trouble(self._name, told, self._client.wait(answer))


def _read(answer: Answer) -> tuple[str, dict[str, Any]]:
    """Splunk's code, empty if there is none, and the document that holds it."""
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    document = found if isinstance(found, dict) else {}
    code = document.get("code")
    return code_or_none(answer.status, str(code) if isinstance(code, int) else ""), document
