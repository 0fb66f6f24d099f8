"""Elasticsearch's bulk interface: revisions in the form of ECS, into data streams.

Only ``create`` is sent, and ``_id`` holds (id, revision): what is stored already is refused with
409, and so counts as done. Each item of a request has a status of its own, and a data stream may
have several shards; so no request holds two revisions of one id, as the later one might be taken
without the earlier one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from connectors.http.client import HttpClient
from connectors.sinks.encoders.ecs import encode
from connectors.sinks.encoders.encoder import key_of, key_text, kind_of
from connectors.sinks.parcels import Outcome, deliver, halves, packed, parts
from connectors.sinks.rules import code_or_none, rule_for
from pipeline.model.errors import FatalError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from connectors.http.answers import Answer
    from connectors.sinks.parcels import Parcel
    from pipeline.model.contracts import Delivery

# Elastic's advice for one bulk request is 5 to 15 MB; it refuses 100 MB.
MOST_BYTES: Final = 5_000_000
_DESTINATION: Final = "elastic"
_ITEM: Final = "elastic item"
# What is left of the answer: no reason, as reasons quote documents.
_FILTER: Final = {"filter_path": "items.*.status,items.*.error.type"}
_TIMEOUT: Final = 30.0
_LONGEST_ID: Final = 512  # bytes of an _id
_AGAIN_SECONDS: Final = 30.0


def api_key(read: Callable[[], str]) -> Callable[[], str]:
    """The header of an API key, ``ID:KEY`` or encoded as Kibana shows it; read at each request."""

    def header() -> str:
        text = read()
        encoded = base64.b64encode(text.encode()).decode() if ":" in text else text
        return f"ApiKey {encoded}"

    return header


def basic(user: str, read_password: Callable[[], str]) -> Callable[[], str]:
    """The header of a user and a password, which is read at each request."""

    def header() -> str:
        return "Basic " + base64.b64encode(f"{user}:{read_password()}".encode()).decode()

    return header


class ElasticSink:
    """Stores every revision of flags and incidents in ``logs-outrider.*``.

    Args:
        address: ``https://HOST:9200``; a path before ``/_bulk`` may follow.
        authorization: gives the header: :func:`api_key`, :func:`basic`; None = it asks for none.
        name: of the destination, for messages.
        namespace: last part of the data streams' names.
        ca_file: authorities to trust; None = the usual ones.
        most_bytes: in one request, before it is packed.
    """

    def __init__(
        self,
        address: str,
        authorization: Callable[[], str] | None = None,
        *,
        name: str = "Elasticsearch",
        namespace: str = "default",
        ca_file: Path | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        header = authorization
        self._name = name
        self._client = HttpClient(
            name,
            address,
            secret_headers=None if header is None else lambda: {"Authorization": header()},
            ca_file=ca_file,
            timeout=_TIMEOUT,
        )
        self._open = header is None
        self._namespace, self._most_bytes = namespace, most_bytes

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Store the documents; those that are stored already count as accepted.

        Raises:
            RetriableError: nothing could be settled; the same documents come again.
            FatalError: a person has to act: the credential, its rights, the index template.
        """
        parcels, unsaid = packed(documents, self._item)
        return deliver(parts(parcels, self._most_bytes, apart=True), self._send, unsaid)

    def check(self) -> None:
        """See that Elasticsearch knows the credential; raises what :meth:`deliver` does."""
        answer = self._client.get(
            "/" if self._open else "/_security/_authenticate", any_status=True
        )
        if rule_for(_DESTINATION, answer.status).then != "accepted":
            raise self._trouble(answer)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _item(self, document: Mapping[str, Any]) -> bytes:
        kind = kind_of(document)
        event = encode(document)
        event["data_stream"] = {**event["data_stream"], "namespace": self._namespace}
        create = {"_index": f"logs-outrider.{kind}-{self._namespace}", "_id": _name(document)}
        lines = ({"create": create}, event)
        texts = (json.dumps(line, ensure_ascii=False, allow_nan=False) for line in lines)
        return "".join(f"{text}\n" for text in texts).encode()

    def _send(self, part: Sequence[Parcel]) -> Outcome:
        answer = self._client.post(
            "/_bulk",
            body=b"".join(parcel.body for parcel in part),
            packed=True,
            params=_FILTER,
            headers={"Content-Type": "application/x-ndjson"},
            any_status=True,
        )
        then = rule_for(_DESTINATION, answer.status, _code(answer)).then
        if then == "accepted":
            return self._settle(part, _items(answer))
        if then in {"split", "reject"}:
            return halves(part)
        raise self._trouble(answer)

    def _settle(self, part: Sequence[Parcel], items: list[tuple[int, str]]) -> Outcome:
        if len(items) != len(part):
            raise RetriableError(
                f"{self._name}: answered {len(items)} items to {len(part)}; is there a proxy in between?",
                retry_after=_AGAIN_SECONDS,
            )
        accepted, rejected, trouble = [], [], None
        for parcel, (status, kind) in zip(part, items, strict=True):
            rule = rule_for(_ITEM, status, kind)
            if rule.then == "accepted":
                accepted.append(parcel.key)
            elif rule.then in {"split", "reject"}:
                rejected.append(parcel.key)
            elif trouble is None or rule.then == "fatal":
                told = (
                    f"item with status {status}, {kind}" if kind else f"item with status {status}"
                )
                trouble = rule.trouble(self._name, told)
        return Outcome(accepted, rejected, trouble=trouble)

    def _trouble(self, answer: Answer) -> RetriableError | FatalError:
        rule = rule_for(_DESTINATION, answer.status, _code(answer))
        return rule.trouble(self._name, f"HTTP {answer.status}", self._client.wait(answer))


def _name(document: Mapping[str, Any]) -> str:
    text = key_text(*key_of(document))
    if len(text) <= _LONGEST_ID:  # percent-encoded, so a byte is a character
        return text
    return hashlib.sha256(text.encode()).hexdigest()


def _code(answer: Answer) -> str:
    """The type of a whole request's error, empty if it tells none."""
    try:
        code = str(json.loads(answer.body)["error"]["type"])
    except (ValueError, KeyError, TypeError):
        code = ""
    return code_or_none(answer.status, code)


def _items(answer: Answer) -> list[tuple[int, str]]:
    """Status and type of error of each item, empty if the answer is none of a bulk request."""
    try:
        items = json.loads(answer.body)["items"]
        found = [next(iter(item.values())) for item in items]
        return [(int(one["status"]), str(one.get("error", {}).get("type", ""))) for one in found]
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return []
