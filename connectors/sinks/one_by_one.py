"""Delivery to places that take one document at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from connectors.http.answers import told_code
from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.rules import rule_for
from pipeline.model.contracts import Delivery
from pipeline.model.errors import ConfigError, FatalError, RetriableError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from connectors.http.answers import Answer
    from pipeline.model.errors import OutriderError

# One document that the other side stumbles over holds nobody else up; two in a row are an outage,
# and each further try could cost a time-out.
_TROUBLES: Final = 2
_CODE: Final = re.compile(r"[^A-Za-z0-9_.-]")


def one_by_one(
    documents: Sequence[Mapping[str, Any]], send: Callable[[Mapping[str, Any]], bool]
) -> Delivery:
    """Send each document, in order; of one id none overtakes an earlier one.

    Args:
        documents: flags, incidents or notices.
        send: sends one: True = accepted, False = refused for good. What it raises is how it
            went: ThrottledError ends the call, another RetriableError puts off this id alone
            (a second one ends the call), FatalError and ConfigError need a person; KeyError,
            TypeError and ValueError say that the document cannot be told.

    Raises:
        RetriableError: nothing was settled; later may do.
        FatalError: nothing was settled, and a person has to act.
    """
    accepted: list[tuple[str, int]] = []
    rejected: list[tuple[str, int]] = []
    put_off: set[str] = set()
    trouble: OutriderError | None = None
    for document in documents:
        key = key_of(document)
        if key[0] in put_off:
            continue
        try:
            (accepted if send(document) else rejected).append(key)
        except RetriableError as error:
            trouble = trouble or error
            put_off.add(key[0])
            if isinstance(error, ThrottledError) or len(put_off) >= _TROUBLES:
                break
        except (FatalError, ConfigError) as error:
            trouble = trouble or error
            break
        except (KeyError, TypeError, ValueError):
            rejected.append(key)
    if trouble is None:
        return Delivery(accepted, rejected)
    if not accepted and not rejected:
        if isinstance(trouble, ConfigError):
            # The way to a secret is wrong: whoever calls knows what to do with a fatal one.
            raise FatalError(str(trouble)) from trouble
        raise trouble
    # What needs a person is met, and told, by the next call, which settles nothing before it.
    wait = trouble.retry_after if isinstance(trouble, RetriableError) else 0.0
    return Delivery(accepted, rejected, retry_after=wait)


def settled(
    destination: str, what: str, answer: Answer, code: str = "", wait: float | None = None
) -> bool:
    """Whether one document was accepted, by the table of rules.

    Args:
        destination: whose rows count.
        what: was sent to, for messages.
        answer: of the service.
        code: the service's own, if it gave one.
        wait: seconds that it asks for.

    Raises:
        RetriableError: the rule says retry.
        FatalError: the rule says fatal.
    """
    code = _CODE.sub("", code)[:80]
    rule = rule_for(destination, answer.status, code)
    if rule.then == "accepted":
        return True
    if rule.then in {"split", "reject"}:
        return False
    raise rule.trouble(what, f"HTTP {answer.status}{told_code(code)}", wait)
