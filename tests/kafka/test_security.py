"""Every way into a secured broker, and every way to be kept out: told at once, and what to do."""

from __future__ import annotations

import itertools
import sys
import threading
import time
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from kafka import TopicPartition
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import KafkaError

from pipeline.cli.main import run
from pipeline.ledger.followed import FollowedLedger
from pipeline.model.clock import SystemClock
from pipeline.model.contracts import Delivery, Poll
from pipeline.model.errors import AuthError, ConfigError, RetriableError
from pipeline.runtime.config import Kafka
from pipeline.runtime.config_entra import Entra
from pipeline.runtime.kafka.client import Topics, admin, common, consumer, producer, unreachable
from pipeline.runtime.kafka.collect import Collector
from pipeline.runtime.kafka.detect import Detector
from pipeline.runtime.kafka.tokens import identity
from pipeline.runtime.kafka.topics import init, verify
from pipeline.runtime.metrics import Metrics
from tests.kafka.access import rules
from tests.kafka.broker import require
from tests.kafka.publishing import deliverer, follower, until
from tests.kafka.secure import KEY_PASSWORD, PASSWORD, Certificates, SecureCluster
from tests.kafka.sign_in import CLIENT, SCOPE, SECRET, TENANT, SignIn, serving
from tests.live.small_tenant import HOUR, LEARNED, MONDAY, SETTINGS, outage, table, usual

SECRETS = (PASSWORD, KEY_PASSWORD, SECRET, "a-wrong-one")
_numbers = itertools.count()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The broker, the sign-in service, and the files of all secrets and certificates."""
    require()
    folder = tmp_path_factory.mktemp("secure")
    made = Certificates(folder)
    key = serialization.load_pem_private_key(made.client.private_key_pem.bytes(), None)
    sign_in = SignIn(key.public_key())
    cluster = SecureCluster(folder, made, sign_in, ["worker", "nobody"])
    cluster.start()
    with serving(sign_in, made.server()):
        yield SimpleNamespace(folder=folder, made=made, sign_in=sign_in, cluster=cluster)
    cluster.kill()


@pytest.fixture(autouse=True)
def _sign_in_as_it_was(place):
    identity.cache_clear()
    yield
    place.sign_in.down = place.sign_in.code = None
    place.sign_in.lifetime, place.sign_in.subject = 3600, "worker"
    structlog.reset_defaults()  # a command has set the log up for a stream that is gone


def file_of(place, content):
    path = place.folder / f"secret{next(_numbers)}"
    path.write_text(f"{content}\n")
    path.chmod(0o600)
    return path


def settings(place, way, **changed):
    """The configuration of one way in."""
    made = place.made
    more = {"ca_file": made.ca_file, "partitions": 2, "replication": 1}
    login = {"username": "worker", "password_file": file_of(place, PASSWORD)}
    pair = {"certificate_file": made.client_file, "certificate_key_file": made.client_key_file}
    if way == "mutual TLS":
        more |= {"servers": place.cluster.at("MUTUAL"), "security": "SSL", **pair}
    elif way == "mutual TLS, key encrypted":
        more |= {"servers": place.cluster.at("MUTUAL"), "security": "SSL", **pair}
        more["certificate_key_file"] = made.locked_key_file
        more["certificate_key_password_file"] = file_of(place, KEY_PASSWORD)
    elif way.startswith("OAUTHBEARER"):
        credential = {
            "OAUTHBEARER": {"secret_file": file_of(place, SECRET)},
            "OAUTHBEARER, certificate": pair,
        }[way]
        more |= {"servers": place.cluster.at("SASL"), "security": "SASL_SSL"}
        more |= {"sasl_mechanism": "OAUTHBEARER", "oauth": entra(place, **credential)}
    elif way == "in the clear":
        more |= {"servers": place.cluster.at("CLEAR"), "security": "SASL_PLAINTEXT", **login}
        more["sasl_mechanism"] = "PLAIN"
    else:
        more |= {"servers": place.cluster.at("SASL"), "security": "SASL_SSL", **login}
        more["sasl_mechanism"] = way
    return Kafka(**{**more, **changed})


def entra(place, **changed):
    return Entra(
        **{
            "tenant": TENANT,
            "client_id": CLIENT,
            "scope": SCOPE,
            "authority": place.sign_in.authority,
            "ca_file": place.made.ca_file,
            **changed,
        }
    )


def administrator(place, **changed):
    return Kafka(servers=place.cluster.servers, partitions=2, replication=1, **changed)


def allow(place, principal, rows):
    given = [
        ACL(
            f"User:{principal}",
            "*",
            ACLOperation[operation],
            ACLPermissionType.ALLOW,
            ResourcePattern(ResourceType[kind], name, ACLResourcePatternType[pattern]),
        )
        for kind, pattern, name, operation in rows
    ]
    client = admin(administrator(place))
    assert client.create_acls(given)["failed"] == []
    client.close()
    return given


def forbid(place, given):
    client = admin(administrator(place))
    client.delete_acls(given)
    client.close()


@pytest.fixture(scope="module")
def topics(place):
    """Topics of a prefix, and a worker that may do everything there."""
    prefix = "open"
    init(administrator(place, prefix=prefix))
    everything = [
        ("TOPIC", "PREFIXED", prefix, "ALL"),
        ("GROUP", "PREFIXED", prefix, "ALL"),
        ("TRANSACTIONAL_ID", "PREFIXED", prefix, "ALL"),
    ]
    allow(place, "worker", everything)
    return prefix


def client_threads():
    return {t.ident for t in threading.enumerate() if "kafka" in t.name}


def kept_secret(error):
    """The message, after a look that no secret is anywhere in what a log could show."""
    shown = "".join(traceback.format_exception(error)) + repr(error)
    for found in (error.__cause__, error.__context__):
        shown += repr(found)
    assert not [secret for secret in SECRETS if secret in shown]
    return str(error)


WAYS = [
    *("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "OAUTHBEARER, certificate"),
    *("mutual TLS", "mutual TLS, key encrypted", "in the clear"),
]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_reads_what_it_has_written(place, topics, way):
    config = settings(place, way, prefix=topics)
    assert verify(config) == 2
    writer = producer(config, f"{topics}-{next(_numbers)}")
    writer.begin_transaction()
    sent = writer.send(Topics(topics).dead, value=way.encode(), partition=0)
    writer.commit_transaction()
    writer.close()
    reader = consumer(config, group_id=f"{topics}-{next(_numbers)}")
    spot = TopicPartition(Topics(topics).dead, 0)
    reader.assign([spot])
    reader.seek(spot, sent.get(timeout=5).offset)
    found = {}
    ends = time.monotonic() + 20
    while not found and time.monotonic() < ends:
        found = reader.poll(timeout_ms=200)
    reader.close()
    assert found[spot][0].value == way.encode()


def wrong_password(place, way):
    return settings(place, way, password_file=file_of(place, "a-wrong-one"))


REFUSED = {
    "a wrong password, PLAIN": (
        lambda p: wrong_password(p, "PLAIN"),
        AuthError,
        r"user name or the password is wrong; check kafka\.username and kafka\.password_file",
    ),
    "a wrong password, SCRAM": (
        lambda p: wrong_password(p, "SCRAM-SHA-512"),
        AuthError,
        "the broker has the user for SCRAM-SHA-512",
    ),
    "a token that the broker does not take": (
        lambda p: (setattr(p.sign_in, "subject", ""), settings(p, "OAUTHBEARER"))[1],
        AuthError,
        r"does not take our token; check kafka\.oauth\.scope",
    ),
    "an authority that nobody trusts": (
        lambda p: settings(p, "PLAIN", ca_file=p.made.stranger_file),
        AuthError,
        r"from an authority that is not trusted; name that authority with kafka\.ca_file",
    ),
    "the machine's authorities": (
        lambda p: settings(p, "PLAIN", ca_file=None),
        AuthError,
        "from an authority that is not trusted",
    ),
    "another host's certificate": (
        lambda p: settings(p, "mutual TLS", servers=p.cluster.at("MISNAMED")),
        AuthError,
        r"for another host name; name the broker in kafka\.servers",
    ),
    "an expired certificate": (
        lambda p: settings(p, "mutual TLS", servers=p.cluster.at("EXPIRED")),
        AuthError,
        "has expired; have it renewed",
    ),
    "no certificate of ours": (
        lambda p: settings(p, "mutual TLS", certificate_file=None, certificate_key_file=None),
        AuthError,
        r"asks for a certificate; name ours with kafka\.certificate_file",
    ),
    "a certificate of a stranger": (
        lambda p: settings(
            p,
            "mutual TLS",
            certificate_file=p.made.unknown_file,
            certificate_key_file=p.made.unknown_key_file,
        ),
        AuthError,
        "does not take our certificate; use one of an authority that it trusts",
    ),
    "a mechanism that the listener does not have": (
        lambda p: settings(p, "in the clear", sasl_mechanism="SCRAM-SHA-512"),
        ConfigError,
        r"does not know SCRAM-SHA-512; set kafka\.sasl_mechanism",
    ),
    "a listener without SASL": (
        lambda p: settings(p, "in the clear", servers=p.cluster.servers),
        ConfigError,
        r"wants no SASL; set kafka\.security to PLAINTEXT",
    ),
    "a listener with TLS and without SASL": (
        lambda p: settings(
            p,
            "PLAIN",
            servers=p.cluster.at("MUTUAL"),
            certificate_file=p.made.client_file,
            certificate_key_file=p.made.client_key_file,
        ),
        ConfigError,
        r"wants no SASL; set kafka\.security to SSL",
    ),
    "a wrong client secret": (
        lambda p: settings(
            p,
            "OAUTHBEARER",
            oauth=entra(p, secret_file=file_of(p, "a-wrong-one")),
        ),
        AuthError,
        "AADSTS7000215: the client secret is wrong",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_whoever_is_kept_out_is_told_why_at_once(place, case):
    make, kind, words = REFUSED[case]
    config = make(place)
    threads = client_threads()
    began = time.monotonic()
    for client in (admin, consumer, lambda c: producer(c, "anybody")):
        with pytest.raises(kind, match=words) as caught:
            client(config)
        kept_secret(caught.value)
    assert time.monotonic() - began < 9, "it was tried until the time was over"
    assert client_threads() <= threads, "a client that could not be made goes on"


def test_a_listener_that_speaks_something_else_is_tried_again_with_a_hint(place, monkeypatch):
    monkeypatch.setattr("pipeline.runtime.kafka.client.BOOTSTRAP_MS", 300)
    for config in (
        administrator(place).model_copy(update={"servers": place.cluster.at("SASL")}),
        settings(place, "mutual TLS", servers=place.cluster.servers),
    ):
        with pytest.raises(RetriableError, match=r"closes the connection.*kafka\.security"):
            admin(config)


def test_options_show_neither_secret_nor_name(place):
    for way in ("PLAIN", "OAUTHBEARER", "mutual TLS, key encrypted"):
        shown = repr(common(settings(place, way)))
        assert not [word for word in (*SECRETS, "worker") if word in shown]


def test_a_token_is_renewed_in_the_middle_of_a_connection(place, topics):
    place.sign_in.lifetime = 3
    reader = consumer(settings(place, "OAUTHBEARER", prefix=topics), group_id=f"{topics}-renewed")
    reader.subscribe([Topics(topics).dead])
    ends = time.monotonic() + 30
    while not reader.assignment():
        reader.poll(timeout_ms=200)
    opened = dict(reader.watched._seen)
    before = len(place.sign_in.tokens)
    while len(place.sign_in.tokens) - before < 2:
        assert time.monotonic() < ends
        reader.poll(timeout_ms=200)
    assert [n for n, c in opened.items() if c.connected and reader.watched._seen[n] is c]
    assert reader.assignment()
    reader.close()


def test_a_sign_in_that_is_refused_in_the_middle_ends_the_reading(place, topics):
    place.sign_in.lifetime = 2
    config = settings(place, "OAUTHBEARER", prefix=topics)
    reader = consumer(config)
    reader.assign([TopicPartition(Topics(topics).dead, 0)])
    reader.poll(timeout_ms=200)
    place.sign_in.code = 7000222
    ends = time.monotonic() + 15
    with pytest.raises(KafkaError) as caught:  # noqa: PT012 # at one of its next polls
        while time.monotonic() < ends:
            reader.poll(timeout_ms=200)
    reader.close()
    reason = unreachable(config, caught.value)
    assert isinstance(reason, AuthError)
    assert "AADSTS7000222: the client secret has expired" in kept_secret(reason)


def test_a_sign_in_that_is_refused_in_the_middle_ends_the_writing(place, topics):
    place.sign_in.lifetime = 2
    config = settings(place, "OAUTHBEARER", prefix=topics)
    writer = producer(config, f"{topics}-refused")
    place.sign_in.code = 7000222
    ends = time.monotonic() + 15
    refused = (KafkaError, AuthError)  # by the wait for an answer, or by the sign-in itself
    with pytest.raises(refused) as caught:  # noqa: PT012 # at one of its next transactions
        while time.monotonic() < ends:
            writer.begin_transaction()
            writer.send(Topics(topics).dead, value=b"x", partition=0).get(timeout=3)
            writer.commit_transaction()
            time.sleep(0.2)
    threads = client_threads()
    writer.close(timeout=1)
    assert client_threads() < threads, "a producer that is closed goes on"
    reason = caught.value
    if not isinstance(reason, AuthError):
        reason = unreachable(config, reason)
    assert isinstance(reason, AuthError)
    assert "AADSTS7000222" in kept_secret(reason)


def test_a_sign_in_service_that_goes_down_is_told_by_the_reading_and_tried_again(place, topics):
    place.sign_in.lifetime = 2
    config = settings(place, "OAUTHBEARER", prefix=topics)
    reader = consumer(config)
    reader.assign([TopicPartition(Topics(topics).dead, 0)])
    reader.poll(timeout_ms=200)
    place.sign_in.down = 503, {}, ""
    ends = time.monotonic() + 15
    with pytest.raises(KafkaError) as caught:  # noqa: PT012 # at one of its next polls
        while time.monotonic() < ends:
            reader.poll(timeout_ms=200)
    reader.close()
    reason = unreachable(config, caught.value)
    assert isinstance(reason, RetriableError)
    assert "HTTP 503" in kept_secret(reason)
    place.sign_in.down = None
    admin(config).close()


def test_certificates_are_read_anew_for_each_connection(place, topics):
    made, pair = place.made, {}
    for key in ("certificate_file", "certificate_key_file"):
        pair[key] = place.folder / f"renewed.{key}"
    pair["certificate_file"].write_bytes(made.client_file.read_bytes())
    pair["certificate_key_file"].write_bytes(made.client_key_file.read_bytes())
    config = settings(place, "mutual TLS", prefix=topics, **pair)
    client = admin(config)
    assert client.list_topics()
    pair["certificate_file"].write_bytes(made.unknown_file.read_bytes())
    pair["certificate_key_file"].write_bytes(made.unknown_key_file.read_bytes())
    for connection in client.watched.least_used_connections():
        client._net.run(connection.close)
    with pytest.raises(KafkaError) as caught:  # noqa: PT012 # the first one may see the end
        for _ in range(20):
            client.list_topics()
            time.sleep(0.1)
    client.close()
    assert "does not take our certificate" in kept_secret(unreachable(config, caught.value))


def test_a_sign_in_service_that_is_down_is_tried_again(place):
    place.sign_in.down = 503, {"Retry-After": "7"}, ""
    with pytest.raises(RetriableError, match="HTTP 503") as caught:
        admin(settings(place, "OAUTHBEARER"))
    assert caught.value.retry_after == 7.0


class Logs:
    """A bounded source: one tenant with an outage, a day a poll."""

    def poll(self, cursor):
        day = 0 if cursor is None else cursor["day"]
        first = LEARNED - 120
        start, end = first + 24 * day, min(first + 24 * day + 24, LEARNED + 9)
        if start >= end:
            return Poll((), (), {"day": day}, finished=True)
        bad = {LEARNED + 2, LEARNED + 3}
        rows = [
            (hour * 60 + r[0] % 60, *r[1:])
            for hour in range(start, end)
            for r in usual(hour) + (outage(hour, share=0.5) if hour in bad else [])
        ]
        return Poll((table(rows),), (), {"day": day + 1}, read_at=MONDAY + end * HOUR)


def run_collect(config):
    verify(config)
    role = Collector(
        config,
        "logs",
        {"logs": Logs()},
        feeds={},
        unnamed=lambda: "t",
        clock=SystemClock(),
        metrics=Metrics(),
    )
    try:
        while not role.finished:
            role.step()
    finally:
        role.close()


def run_detect(config):
    verify(config)
    metrics = Metrics()
    role = Detector(
        config, SETTINGS, "one", clock=SystemClock(), metrics=metrics, log=structlog.get_logger()
    )
    ends = time.monotonic() + 30
    try:
        while not metrics.documents.labels("flag")._value.get():
            assert time.monotonic() < ends
            role.step()
        role.stop()
    finally:
        role.close()


class TakesIncidents:
    """A destination that refuses flags: those go to the dead topic."""

    def __init__(self):
        self.seen = set()

    def deliver(self, documents):
        kinds = {True: [], False: []}
        for document in documents:
            incident = "incident_id" in document
            name = document["incident_id" if incident else "flag_id"]
            kinds[incident].append((name, document["revision"]))
            self.seen.add(incident)
        return Delivery(kinds[True], kinds[False])


def run_deliver(config):
    verify(config)
    metrics = Metrics()
    sink, name = TakesIncidents(), f"siem{next(_numbers)}"
    role = deliverer(config, sink, metrics=metrics, sink_name=name)
    try:
        until(
            lambda: metrics.commits._value.get() and sink.seen == {True, False},
            role.step,
            seconds=30,
        )
    finally:
        role.close()


def run_serve(config):
    with TemporaryDirectory() as folder:
        ledger = FollowedLedger(Path(folder) / "followed.sqlite")
        role = follower(config, ledger)
        try:
            until(lambda: role.caught_up, role.step, seconds=30)
        finally:
            role.close()
            ledger.close()


RUN = {
    "init": init,
    "collect": run_collect,
    "detect": run_detect,
    "deliver": run_deliver,
    "serve": run_serve,
}


@pytest.fixture(scope="module")
def judged(place):
    """Topics in which each role has done its work, with the rules of the page and no other."""
    prefix = "judged"
    config = settings(place, "PLAIN", prefix=prefix)
    with structlog.testing.capture_logs():
        for role, run in RUN.items():
            given = allow(place, "worker", rules(role, prefix))
            run(config)
            forbid(place, given)
    return prefix


@pytest.fixture(scope="module")
def collected(place):
    """Topics with records that nobody has judged."""
    prefix = "collected"
    config = administrator(place, prefix=prefix)
    init(config)
    with structlog.testing.capture_logs():
        run_collect(config)
    return prefix


@pytest.fixture(scope="module")
def waiting(place):
    """Topics to which nobody has sent anything: where a collector reads on is still to be written."""
    config = administrator(place, prefix="waiting")
    init(config)
    return config.prefix


def test_the_rules_of_the_page_are_enough_for_each_role(place, judged):
    assert verify(administrator(place, prefix=judged)) == 2


# Dead letters and advisories are written only where there are any; incidents go with flags.
RARE = {("collect", "dead"), ("collect", "advisories"), ("detect", "dead"), ("detect", "incidents")}
NEEDED = [
    (role, row)
    for role in RUN
    for row in rules(role, "")
    if (role, row[2].split(".")[1] if "." in row[2] else "") not in RARE
    and (role, row[3]) not in {("init", "DESCRIBE"), ("init", "DESCRIBE_CONFIGS")}
]


@pytest.mark.parametrize("missing", NEEDED, ids=lambda m: f"{m[0]}: {m[1][3]} {m[1][2]}")
def test_a_role_without_one_of_its_rules_is_told_what_is_denied(
    place, missing, judged, collected, waiting
):
    role, (kind, pattern, name, operation) = missing
    prefix = "nothing" if role == "init" else judged
    if operation == "WRITE" and role in {"collect", "detect"}:
        prefix = waiting if role == "collect" else collected
    config = settings(place, "PLAIN", prefix=prefix)
    dropped = (kind, pattern, prefix + name, operation)
    given = allow(place, "worker", [r for r in rules(role, prefix) if r != dropped])
    assert len(given) == len(rules(role, prefix)) - 1
    words = {"TOPIC": "topic", "GROUP": "consumer group", "TRANSACTIONAL_ID": "transactional id"}
    try:
        with structlog.testing.capture_logs(), pytest.raises(AuthError) as caught:
            RUN[role](config)
    finally:
        forbid(place, given)
    message = kept_secret(caught.value)
    assert words[kind] in message
    assert "is denied" in message
    assert "docs/kafka-security.md" in message


def test_who_may_not_make_a_topic_is_told_which(place):
    given = allow(place, "worker", [r for r in rules("init", "unmade") if r[3] != "CREATE"])
    try:
        with pytest.raises(AuthError, match=r"access to a topic \(unmade\.events\.v1\) is denied"):
            init(settings(place, "PLAIN", prefix="unmade"))
    finally:
        forbid(place, given)


def test_a_role_that_is_kept_out_stops_and_says_so(place, monkeypatch, capsys):
    path = place.folder / "refused.toml"
    path.write_text(
        f'[kafka]\nservers = ["{place.cluster.at("SASL")[0]}"]\nsecurity = "SASL_SSL"\n'
        f'username = "worker"\npassword_file = "{file_of(place, "a-wrong-one")}"\n'
        f'ca_file = "{place.made.ca_file}"\n'
    )
    monkeypatch.setattr(sys, "argv", ["outrider", "detect", "--config", str(path)])
    with pytest.raises(SystemExit) as caught:
        run()
    shown = capsys.readouterr()
    assert caught.value.code == 1
    assert "the user name or the password is wrong" in shown.err
    assert not [s for s in (*SECRETS, "worker") if s in shown.out + shown.err]
