"""How the program talks to a broker: addresses, security, and the defaults worth changing."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kafka import KafkaAdminClient
from kafka.errors import FencedInstanceIdError, KafkaError

from connectors.kafka.hidden import Hidden
from connectors.kafka.watching import Client, Consumer, RefusedError
from pipeline.model.errors import ConfigError, FatalError, OutriderError, RetriableError
from pipeline.runtime.kafka.refusals import fatal_reason, passing_reason
from pipeline.runtime.kafka.remarks import remark
from pipeline.runtime.kafka.tls import tls_options
from pipeline.runtime.kafka.tokens import tokens
from pipeline.runtime.kafka.watching import Gate, Producer, newest_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.runtime.config import Kafka

# One message is one Arrow batch of thousands of records.
MESSAGE_BYTES: Final = 8 * 2**20
# A worker that dies in the middle of a transaction holds the others up for so long.
TRANSACTION_MS: Final = 15_000
# For so long a new client looks for a broker that lets it in.
BOOTSTRAP_MS: Final = 10_000


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
        """Snapshots of tenants, compacted."""
        return f"{self.prefix}.state.v1"

    @property
    def cursors(self) -> str:
        """Where collectors read on, by collector, compacted."""
        return f"{self.prefix}.cursors.v1"

    @property
    def view(self) -> str:
        """What judging shows, by tenant; compacted, and kept as long as the timeline."""
        return f"{self.prefix}.view.v1"

    @property
    def desk(self) -> str:
        """Acknowledgements and silences, compacted."""
        return f"{self.prefix}.desk.v1"


def common(config: Kafka) -> dict[str, Any]:
    """Options that every client needs; with OAUTHBEARER this signs in.

    Raises:
        ConfigError: a secret or a certificate cannot be read.
        AuthError: the sign-in for a token is refused.
        RetriableError: the sign-in service does not answer.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": list(config.servers),
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
        "security_protocol": config.security,
    }
    if config.tls:
        options |= tls_options(config)
    if config.sasl:
        options["sasl_mechanism"] = config.sasl_mechanism
    if config.tokens:
        options["sasl_oauth_token_provider"] = tokens(config.oauth)
    elif config.sasl:
        options["sasl_plain_username"] = Hidden(config.username or "")
        options["sasl_plain_password"] = Hidden(config.password())
    return options


def consumer(config: Kafka, **options: Any) -> Consumer:
    """A consumer that sees what is committed, and commits nothing by itself."""
    told = {
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "fetch_max_bytes": 16 * 2**20,
        "max_partition_fetch_bytes": MESSAGE_BYTES + 2**20,
        "fetch_max_wait_ms": 100,
        "allow_auto_create_topics": False,
    }
    made: Consumer = _made(Consumer, config, {**told, **options})
    return made


def producer(config: Kafka, transactional_id: str) -> Producer:
    """A transactional producer; an older one of the same name is shut out by it."""
    made: Producer = _made(
        Producer,
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
    remark(config)
    watched: list[Client] = []

    def connections(**more: Any) -> Client:
        watched.append(Client(Gate(config), **more))
        return watched[0]

    try:
        made = kind(kafka_client=connections, **common(config), **options)
    except KafkaError as error:
        problem = watched[0].problem if watched else None
        for client in watched:
            client.stop()
        raise unreachable(config, problem or error) from error
    made.watched = watched[0].watched
    return made


@contextmanager
def letting_go(config: Kafka, close: Callable[[], None], name: str = "") -> Iterator[None]:
    """One turn of a role: whatever ends it lets go of everything, and is told in our words.

    Args:
        config: of the brokers.
        close: lets go.
        name: of a worker that is a static member of its group.

    Raises:
        FatalError: a person has to act.
        RetriableError: the broker does not answer; call again.
    """
    try:
        yield
    except FencedInstanceIdError as error:
        close()
        raise FatalError(
            f"another worker named {name!r} has taken over; give each a name of its own"
        ) from error
    except KafkaError as error:
        close()
        raise unreachable(config, error) from error
    except BaseException:
        close()
        raise


def unreachable(config: Kafka, error: BaseException) -> OutriderError:
    """What to raise when the broker does not answer as it should.

    It is an AuthError or a ConfigError where waiting does not help, else a RetriableError.
    """
    reason = (
        error.reason
        if isinstance(error, RefusedError)
        else fatal_reason(config, error) or newest_refusal(config)
    )
    if reason is not None:
        return reason
    servers = ", ".join(config.servers)
    return RetriableError(f"Kafka at {servers}: {passing_reason(error)}", retry_after=5.0)
