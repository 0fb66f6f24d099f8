"""A web address of one's own: documents as JSON, signed so that the receiver knows who sent them."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

from connectors.sinks.encoders.encoder import key_of, key_text, kind_of
from connectors.sinks.hook import Hook
from connectors.sinks.one_by_one import one_by_one, settled
from pipeline.model.clock import SystemClock
from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pipeline.model.clock import Clock
    from pipeline.model.contracts import Delivery

WHAT: Final = "webhook"
SIGNATURE: Final = "Outrider-Signature"
# Half of what SHA-256 gives: less could be guessed sooner than the hash itself.
_LEAST_SECRET: Final = 16


class WebhookSink:
    """Posts each document by itself.

    Args:
        address: gives the address, which may hold a secret.
        secret: gives what the signature is made with, at least 16 bytes.
        key_id: which secret it is, for a receiver that knows an old and a new one.
        ca_file: authorities to trust; None = the usual ones.
        clock: dates the signature.
    """

    def __init__(
        self,
        address: Callable[[], str],
        secret: Callable[[], str],
        *,
        key_id: str = "1",
        ca_file: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._secret, self._key_id = secret, key_id
        self._hook = Hook(WHAT, address, ca_file=ca_file)
        self._clock: Clock = clock or SystemClock()

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Post the documents; see :class:`pipeline.model.contracts.Sink`.

        Raises:
            RetriableError: nothing was taken; later may do.
            FatalError: a person has to act.
        """
        return one_by_one(documents, self._send)

    def close(self) -> None:
        """Let go of the connection."""
        self._hook.close()

    def _send(self, document: Mapping[str, Any]) -> bool:
        secret = self._secret()
        if len(secret.encode()) < _LEAST_SECRET:
            raise ConfigError(
                f"{WHAT}: a secret of at least {_LEAST_SECRET} bytes is needed; write a longer one "
                "into its file or variable"
            )
        # The same bytes each time: whoever compares repetitions finds them equal.
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        body = text.encode("utf-8", "backslashreplace")
        at = int(self._clock.now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key_text(*key_of(document)),
            "Outrider-Kind": kind_of(document),
            SIGNATURE: f"t={at},kid={self._key_id},v1={signature(secret, at, body)}",
        }
        answer = self._hook.post(body, headers)
        return settled("webhook", WHAT, answer, "", self._hook.wait(answer))


def signature(secret: str, at: int, body: bytes) -> str:
    """HMAC-SHA256 over ``AT.BODY``, in hexadecimal digits.

    Args:
        secret: shared with the receiver.
        at: seconds since 1970, as they stand in the header.
        body: as posted.
    """
    return hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
