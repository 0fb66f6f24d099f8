"""Notices to a chat by a webhook: each is a message of its own, as a hook tells nothing it posted."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from connectors.http.budget import Budget
from connectors.sinks.hook import Hook
from connectors.sinks.one_by_one import one_by_one, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pipeline.model.contracts import Delivery
    from pipeline.model.message import Message


class HookSink(ABC):
    """Posts each notice by itself; one whose answer was lost comes twice, with the same reference.

    Args:
        address: gives the hook's address, which is a secret.
        message: a notice in words.
        ca_file: authorities to trust; None = the usual ones.
        monotonic: seconds that never go back.

    Attributes:
        destination: whose rows of the table of rules count.
        what: is posted to, for messages.
        content_type: of the bodies.
        pace: how many messages may be posted in how many seconds.
    """

    destination: ClassVar[str]
    what: ClassVar[str]
    content_type: ClassVar[str] = "application/json"
    pace: ClassVar[tuple[int, float]]

    def __init__(
        self,
        address: Callable[[], str],
        message: Callable[[Mapping[str, Any]], Message],
        *,
        ca_file: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        budget = Budget(*self.pace, self.what, monotonic=monotonic)
        self._hook = Hook(self.what, address, ca_file=ca_file, budget=budget)
        self._message = message

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Post the notices; see :class:`pipeline.model.contracts.Sink`.

        Raises:
            RetriableError: nothing was posted; later may do.
            FatalError: a person has to act.
        """
        return one_by_one(documents, self._send)

    def close(self) -> None:
        """Let go of the connection."""
        self._hook.close()

    @abstractmethod
    def _body(self, message: Message) -> bytes:
        """What is posted of a message."""

    @abstractmethod
    def _code(self, answer: bytes) -> str:
        """The service's own code in the body of an answer, "" if there is none."""

    def _send(self, notice: Mapping[str, Any]) -> bool:
        body = self._body(self._message(notice))
        answer = self._hook.post(body, {"Content-Type": self.content_type})
        code = self._code(answer.body)
        return settled(self.destination, self.what, answer, code, self._hook.wait(answer))
