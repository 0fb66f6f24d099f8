"""How the program talks to a broker: addresses, security, and the defaults worth changing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from pipeline.model.errors import ConfigError, RetriableError

if TYPE_CHECKING:
    from pipeline.runtime.config import Kafka

# One message is one Arrow batch of thousands of records.
MESSAGE_BYTES: Final = 8 * 2**20
# A worker that dies in the middle of a transaction holds the others up for so long.
TRANSACTION_MS: Final = 15_000

# The client tells of each reconnection; what matters of it comes back as an exception.
logging.getLogger("kafka").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of the topics; the version is of the form of their messages."""

    prefix: str

    @property
    def events(self) -> str:
        """Batches of records, by tenant."""
        return f"{self.prefix}.events.v1"

    @property
    def advisories(self) -> str:
        """The newest version of each advisory, compacted."""
        return f"{self.prefix}.advisories.v1"

    @property
    def flags(self) -> str:
        """Flag revisions, by tenant."""
        return f"{self.prefix}.flags.v1"

    @property
    def incidents(self) -> str:
        """Incident revisions, by tenant."""
        return f"{self.prefix}.incidents.v1"

    @property
    def dead(self) -> str:
        """What could not be used, with reason and place."""
        return f"{self.prefix}.dead.v1"

    @property
    def state(self) -> str:
        """Snapshots and cursors, compacted."""
        return f"{self.prefix}.state.v1"


def common(config: Kafka) -> dict[str, Any]:
    """Options that every client needs.

    Raises:
        ConfigError: a secret's file cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": list(config.servers),
        "security_protocol": config.security,
    }
    if config.security.startswith("SASL"):
        options |= {
            "sasl_mechanism": config.sasl_mechanism,
            "sasl_plain_username": config.username,
            "sasl_plain_password": config.password(),
        }
    for option, path in (
        ("ssl_cafile", config.ca_file),
        ("ssl_certfile", config.certificate_file),
        ("ssl_keyfile", config.certificate_key_file),
    ):
        if path is not None:
            options[option] = str(path)
    return options


def consumer(config: Kafka, **options: Any) -> KafkaConsumer:
    """A consumer that sees what is committed, and commits nothing by itself."""
    told = {
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "fetch_max_bytes": 64 * 2**20,
        "max_partition_fetch_bytes": MESSAGE_BYTES + 2**20,
        "fetch_max_wait_ms": 100,
        "allow_auto_create_topics": False,
    }
    return _made(KafkaConsumer, config, {**told, **options})


def producer(config: Kafka, transactional_id: str) -> KafkaProducer:
    """A transactional producer; an older one of the same name is shut out by it."""
    made = _made(
        KafkaProducer,
        config,
        {
            "transactional_id": transactional_id,
            "enable_idempotence": True,
            "transaction_timeout_ms": TRANSACTION_MS,
            "max_request_size": MESSAGE_BYTES + 2**20,
            "batch_size": 2**20,
            "linger_ms": 5,
            "allow_auto_create_topics": False,
        },
    )
    try:
        made.init_transactions()
    except KafkaError as error:
        made.close(timeout=1)
        raise unreachable(config, error) from error
    return made


def admin(config: Kafka) -> KafkaAdminClient:
    """A client that makes and looks at topics."""
    return _made(KafkaAdminClient, config, {})


def _made(kind: Any, config: Kafka, options: dict[str, Any]) -> Any:
    if not config.servers:
        raise ConfigError('no broker is named: write servers = ["host:9092"] under [kafka]')
    try:
        return kind(**common(config), **options)
    except KafkaError as error:
        raise unreachable(config, error) from error


def unreachable(config: Kafka, error: Exception) -> RetriableError:
    """What to tell when the broker does not answer as it should."""
    servers = ", ".join(config.servers)
    return RetriableError(
        f"Kafka at {servers}: {type(error).__name__}; check that it runs and lets us in",
        retry_after=5.0,
    )
