"""A namespace of Event Hubs: a real broker that signs clients in by connection string or token."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
import time
from contextlib import closing, suppress

from cryptography.hazmat.primitives import serialization
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    NewTopic,
    ResourcePattern,
    ResourceType,
)

from connectors.auth import Application, ClientSecret, Identity
from connectors.sources.event_hubs_login import Address
from pipeline.model.clock import to_us
from tests.kafka.secure import Certificates, SecureCluster
from tests.kafka.sign_in import CLIENT, RESOURCE, SECRET, TENANT, RefusedError, SignIn
from tests.services.diagnostics import START

KEY = "c2VjcmV0LWtleS1vZi1hLW5hbWVzcGFjZS1vbi1sb29wYmFjaw=="
HOST = "localhost"
AUDIENCE = f"https://{HOST}"
USER = "$ConnectionString"
ARRIVED_MS = to_us(START) // 1000
METADATA = 3
_PATIENCE = 30.0
# Newest versions of requests, by kind: Fetch, ListOffsets, Metadata, FindCoordinator,
# SaslHandshake, ApiVersions, SaslAuthenticate (sarama issue 2470, kafka-python issue 2602).
KNOWN = {1: 6, 2: 7, 3: 5, 10: 1, 17: 1, 18: 3, 36: 1}
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


def connection_string(host=HOST, key=KEY, more=""):
    return f"Endpoint=sb://{host}/;SharedAccessKeyName=readers;SharedAccessKey={key}{more}"


class NamespaceSignIn(SignIn):
    """Gives tokens for the namespace and nothing else."""

    def check(self, form):
        if form["scope"] != f"{AUDIENCE}/.default":
            raise RefusedError(500011)
        super().check({**form, "scope": f"{RESOURCE}/.default"})


class Door:
    """Stands before a broker and hangs up on requests that Event Hubs does not know.

    ``asked`` holds the newest version of each request that was let through; ``made`` says whether
    anybody asked for a hub in a way that makes it, if the right Manage allows that.
    """

    def __init__(self, tls, behind):
        self.tls, self.behind, self.asked, self.made = tls, behind, {}, False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._let_in, args=(client,), daemon=True).start()

    def _let_in(self, client):
        inner = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        inner.check_hostname, inner.verify_mode = False, ssl.CERT_NONE
        with suppress(OSError), closing(client):
            client.settimeout(_PATIENCE)
            outside = self.tls.wrap_socket(client, server_side=True)
            with closing(outside), socket.create_connection(("127.0.0.1", self.behind)) as held:
                held.settimeout(_PATIENCE)
                with closing(inner.wrap_socket(held)) as inside:
                    self._hand_on(outside, inside)

    def _hand_on(self, client, broker):
        """Both ways in one thread: two must not use one TLS connection at a time."""
        asked = b""
        while True:
            ready = [s for s in (client, broker) if s.pending()]
            ready = ready or select.select((client, broker), (), (), _PATIENCE)[0]
            for source in ready:
                source.setblocking(False)
                try:
                    piece = source.recv(65536)
                except ssl.SSLWantReadError:
                    continue
                finally:
                    source.settimeout(_PATIENCE)
                if not piece:
                    return
                if source is broker:
                    client.sendall(piece)
                    continue
                asked, whole = self._requests(asked + piece)
                if whole is None:
                    return
                broker.sendall(whole)

    def _requests(self, held):
        """What is left, and the whole requests in it; None = one that is not known."""
        end = 0
        while len(held) >= end + 8:
            size, kind, version = struct.unpack_from(">ihh", held, end)
            if version > KNOWN.get(kind, -1):
                return b"", None
            if len(held) < end + 4 + size:
                break
            end += 4 + size
            self.asked[kind] = max(version, self.asked.get(kind, 0))
            self.made |= kind == METADATA and held[end - 1] != 0
        return held[end:], held[:end]

    def close(self):
        self._listening.close()


class Namespace(SecureCluster):
    """The namespace; hubs are made, filled and cut off by its administrator."""

    def __init__(self, folder):
        self.door = None
        self.certificates = Certificates(folder)
        key = serialization.load_pem_private_key(
            self.certificates.client.private_key_pem.bytes(), None
        )
        self.sign_in = NamespaceSignIn(key.public_key())
        super().__init__(folder, self.certificates, self.sign_in, [])

    def settings(self, node):
        told = "sasl.oauthbearer.expected.audience="
        lines = [line for line in super().settings(node) if not line.startswith(told)]
        # Event Hubs does not sign in by SCRAM.
        named = "listener.name.sasl.sasl.enabled.mechanisms="
        lines = [line for line in lines if not line.startswith(named)]
        self.door = Door(self.certificates.server(), self.ports["SASL"])
        shown = {**self.ports, "PLAINTEXT": self.brokers[node], "SASL": self.door.port}
        addresses = ",".join(f"{name}://{HOST}:{port}" for name, port in shown.items())
        more = (f"{named}PLAIN,OAUTHBEARER", f"advertised.listeners={addresses}")
        return [*lines, told + RESOURCE, *more]

    def _sasl(self, prefix):
        config = f'{_PLAIN} required user_{USER}="{connection_string()}";'
        told = f"{prefix}.plain.sasl.jaas.config="
        others = [line for line in super()._sasl(prefix) if not line.startswith(told)]
        return [*others, told + config]

    @property
    def address(self):
        return Address(HOST, self.door.port)

    def end(self):
        self.kill()
        self.door.close()

    def identity(self):
        """An application that may sign in."""
        return Identity(
            Application(
                tenant=TENANT,
                client_id=CLIENT,
                credential=ClientSecret(lambda: SECRET),
                authority=self.sign_in.authority,
                ca_file=self.certificates.ca_file,
            )
        )

    def administrator(self):
        return KafkaAdminClient(bootstrap_servers=self.servers)

    def make(self, hub, partitions=2, *, users=(USER, "worker")):
        """Make a hub that may be read by the connection string and by tokens."""
        client = self.administrator()
        # What arrived at START is older than what a broker keeps by itself.
        made = NewTopic(hub, partitions, 1, topic_configs={"retention.ms": "-1"})
        client.create_topics([made], wait_for_metadata=True)
        client.close()
        for user in users:
            self.allow(user, hub)

    def remove(self, hub):
        client = self.administrator()
        client.delete_topics([hub])
        ends = time.monotonic() + 20
        while hub in client.list_topics():
            assert time.monotonic() < ends
            time.sleep(0.05)
        client.close()

    def allow(self, user, hub):
        client = self.administrator()
        assert client.create_acls(self._rules(user, hub))["failed"] == []
        client.close()

    def forbid(self, user, hub):
        client = self.administrator()
        client.delete_acls(self._rules(user, hub))
        client.close()

    def _rules(self, user, hub):
        place = ResourcePattern(ResourceType.TOPIC, hub, ACLResourcePatternType.LITERAL)
        return [
            ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, place)
            for operation in (ACLOperation.READ, ACLOperation.DESCRIBE)
        ]

    def send(self, hub, messages, partition=0):
        """Put messages in: bodies, which arrive at START, or (body, ms since 1970) pairs."""
        client = KafkaProducer(bootstrap_servers=self.servers, linger_ms=5)
        for message in messages:
            body, at = message if isinstance(message, tuple) else (message, ARRIVED_MS)
            client.send(hub, value=body, partition=partition, timestamp_ms=at)
        client.flush()
        client.close()

    def cut_off(self, hub, partition, before):
        """Have the messages before an offset leave, as retention does."""
        client = self.administrator()
        client.delete_records({TopicPartition(hub, partition): before})
        client.close()
