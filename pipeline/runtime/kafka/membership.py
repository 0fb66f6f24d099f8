"""Whether the group knows another worker under one's name."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from kafka.errors import FencedInstanceIdError

from pipeline.runtime.kafka.client import admin

if TYPE_CHECKING:
    from pipeline.runtime.config import Kafka

# Another one shuts our producer out first, and joins the group then.
_ASK_SECONDS: Final = 4.0
_PAUSE_SECONDS: Final = 0.5


def look_for_successor(config: Kafka, metadata: Any) -> None:
    """Ask the group for some seconds who is its member of our name.

    A broker shuts a producer out as well where a transaction was open for too long. Without
    this question two workers of one name would shut each other out for ever.

    Args:
        config: of the brokers.
        metadata: of our consumer, as its ``group_metadata`` gives it.

    Raises:
        FencedInstanceIdError: it is another worker by now.
        KafkaError: the broker does not answer.
    """
    with closing(admin(config)) as operator:
        until = time.monotonic() + _ASK_SECONDS
        while time.monotonic() < until:
            group = operator.describe_groups([metadata.group_id])[metadata.group_id]
            for member in group["members"]:
                if member["group_instance_id"] != metadata.group_instance_id:
                    continue
                if member["member_id"] != metadata.member_id:
                    raise FencedInstanceIdError(metadata.group_instance_id)
            time.sleep(_PAUSE_SECONDS)
