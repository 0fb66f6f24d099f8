"""Remarks on the configuration of the brokers, each logged once a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.runtime.telemetry import get_logger

if TYPE_CHECKING:
    from pipeline.runtime.config import Kafka

_SAID: Final[set[str]] = set()


def remark(config: Kafka) -> None:
    """Log what works and is not as it should be; clients are made again and again."""
    for text in config.remarks():
        if text not in _SAID:
            _SAID.add(text)
            get_logger("kafka").warning("security", remark=text)
