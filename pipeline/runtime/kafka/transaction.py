"""A transaction: what is sent in it shows at once, or nothing of it."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from kafka.errors import KafkaError, KafkaTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A message waits so long for the brokers that keep its copies.
_SEND_SECONDS: Final = 30


@contextmanager
def transaction(producer: Any) -> Iterator[Callable[..., None]]:
    """Commit what the block sends; gives what sends, with the arguments of the client's own.

    Args:
        producer: whose transaction it is; to be closed by whoever catches the error.

    Raises:
        KafkaError: nothing of it shows; or, where the broker answered no more to the end of the
            transaction, all of it may: whoever goes on reads what is committed.
    """
    sent: list[Any] = []

    def send(topic: str, **record: Any) -> None:
        sent.append(producer.send(topic, **record))

    producer.begin_transaction()
    try:
        yield send
        for future in sent:
            future.get(timeout=_SEND_SECONDS)
        producer.commit_transaction()
    except KafkaTimeoutError:
        raise  # nobody is there to be told; the broker ends it by itself
    except BaseException:
        with suppress(KafkaError):  # the broker ends it by itself, or has shut us out
            producer.abort_transaction()
        raise
