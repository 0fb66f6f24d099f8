"""Microsoft Sentinel, through the Logs Ingestion interface of Azure Monitor.

Incidents go into one stream of a data collection rule, flags into another. Log Analytics keeps
every row that it takes, also one that comes twice; (id, revision) stands in each row, and a query
takes the last one (docs/outputs.md).
"""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from connectors.http.answers import error_code
from connectors.http.client import HttpClient
from connectors.sinks.encoders.encoder import key_of, kind_of
from connectors.sinks.parcels import Outcome, deliver, halves, packed, parts
from connectors.sinks.rules import code_or_none, rule_for
from connectors.sinks.sentinel_rows import row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from connectors.http.answers import Answer
    from connectors.http.client import Tokens
    from connectors.sinks.parcels import Parcel
    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Delivery
    from pipeline.model.errors import FatalError, RetriableError

# Azure allows 1 MB a call, compressed and uncompressed alike, and leaves open which MB.
MOST_BYTES: Final = 1_000_000
_DESTINATION: Final = "sentinel"
_VERSION: Final = "2023-01-01"
_TIMEOUT: Final = 30.0


class SentinelSink:
    """Sends every revision of flags and incidents to a data collection rule.

    Args:
        endpoint: of the rule (``logsIngestion``), or of a data collection endpoint.
        rule_id: immutable id of the rule, ``dcr-...``.
        tokens: gives tokens: :class:`connectors.auth.Identity`.
        name: of the destination, for messages.
        monitor: address of Azure Monitor in the cloud, which the tokens are for
            (:attr:`connectors.clouds.Cloud.monitor`).
        incident_stream: of the rule.
        flag_stream: of the rule.
        ca_file: authorities to trust; None = the usual ones.
        most_bytes: in one call, before it is packed.
        clock: tells how far Azure's clock is from ours.
    """

    def __init__(
        self,
        endpoint: str,
        rule_id: str,
        tokens: Tokens,
        *,
        name: str = "Microsoft Sentinel",
        monitor: str,
        incident_stream: str = "Custom-OutriderIncident_CL",
        flag_stream: str = "Custom-OutriderFlag_CL",
        ca_file: Path | None = None,
        most_bytes: int = MOST_BYTES,
        clock: Clock | None = None,
    ) -> None:
        self._tokens, self._scope = tokens, f"{monitor}/.default"
        self._name = name
        self._client = HttpClient(
            name,
            endpoint,
            tokens=tokens,
            scope=self._scope,
            ca_file=ca_file,
            timeout=_TIMEOUT,
            clock=clock,
        )
        self._rule_id, self._most_bytes = rule_id, most_bytes
        self._streams = {"incident": incident_stream, "flag": flag_stream}

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Send the documents, a call for each MB and kind.

        Raises:
            RetriableError: nothing could be settled; the same documents come again.
            FatalError: a person has to act: the sign-in, the rule, its streams, the role.
        """
        parcels, unsaid = packed(documents, _encoded)
        kinds = {key_of(d): kind_of(d) for d in documents}
        calls = chain.from_iterable(
            # Commas, and the brackets of the whole.
            parts((p for p in parcels if kinds[p.key] == kind), self._most_bytes - 2, around=1)
            for kind in self._streams
        )
        return deliver(calls, lambda part: self._send(part, kinds[part[0].key]), unsaid)

    def check(self) -> None:
        """See that the sign-in gives a token; raises what :meth:`deliver` does."""
        self._tokens.token(self._scope)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _send(self, part: Sequence[Parcel], kind: str) -> Outcome:
        answer = self._client.post(
            f"/dataCollectionRules/{self._rule_id}/streams/{self._streams[kind]}",
            body=b"[" + b",".join(parcel.body for parcel in part) + b"]",
            packed=True,
            params={"api-version": _VERSION},
            headers={"Content-Type": "application/json"},
            any_status=True,
        )
        code = error_code(answer.body[:4096].decode("utf-8", "replace"))
        code = code_or_none(answer.status, code)
        then = rule_for(_DESTINATION, answer.status, code).then
        if then == "accepted":
            return Outcome([parcel.key for parcel in part])
        if then in {"split", "reject"}:
            return halves(part)
        raise self._trouble(answer, code)

    def _trouble(self, answer: Answer, code: str) -> RetriableError | FatalError:
        told = f"HTTP {answer.status}, {code}" if code else f"HTTP {answer.status}"
        rule = rule_for(_DESTINATION, answer.status, code)
        return rule.trouble(self._name, told, self._client.wait(answer))


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(row(document), ensure_ascii=False, allow_nan=False).encode()
