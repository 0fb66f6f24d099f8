"""A broker with every way to let clients in, on loopback, and certificates made for the occasion."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime, timedelta

import trustme
from cryptography.hazmat.primitives import serialization

from tests.kafka.broker import JAVA, Cluster, free_ports
from tests.kafka.sign_in import RESOURCE

PASSWORD = "broker-password-7Kq!"  # noqa: S105 # of a broker that lives for a minute
KEY_PASSWORD = "key-password-3Zt%"  # noqa: S105 # likewise
LISTENERS = {
    "SASL": "SASL_SSL",
    "CLEAR": "SASL_PLAINTEXT",
    "MUTUAL": "SSL",
    "EXPIRED": "SSL",
    "MISNAMED": "SSL",
}
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_OAUTH = "org.apache.kafka.common.security.oauthbearer"
_VALIDATOR = "OAuthBearerValidatorCallbackHandler"


class Certificates:
    """Files of an authority, of the broker's listeners and of clients."""

    def __init__(self, folder):
        self.folder = folder
        self.ca, self.stranger = trustme.CA(), trustme.CA()
        self.ca_file = self._write("ca.pem", self.ca.cert_pem.bytes())
        self.stranger_file = self._write("stranger.pem", self.stranger.cert_pem.bytes())
        self.broker = self._keystore("broker", self.ca.issue_cert("localhost", "127.0.0.1"))
        yesterday = datetime.now(UTC) - timedelta(days=1)
        self.expired = self._keystore(
            "expired", self.ca.issue_cert("localhost", "127.0.0.1", not_after=yesterday)
        )
        self.misnamed = self._keystore("misnamed", self.ca.issue_cert("elsewhere.example.net"))
        # Entra signs in with RSA only; Java and the broker take it as well.
        rsa = {"key_type": trustme.KeyType.RSA}
        self.client = self.ca.issue_cert("outrider.example.net", common_name="worker", **rsa)
        self.client_file, self.client_key_file = self._pair("client", self.client)
        self.unknown_file, self.unknown_key_file = self._pair(
            "unknown", self.stranger.issue_cert("outrider.example.net")
        )
        self.locked_key_file = self._write("locked.key", pkcs8(self.client, KEY_PASSWORD))

    def _write(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    def _keystore(self, name, issued):
        chain = b"".join(c.bytes() for c in issued.cert_chain_pems)
        return self._write(f"{name}.keystore.pem", pkcs8(issued) + chain)

    def _pair(self, name, issued):
        chain = b"".join(c.bytes() for c in issued.cert_chain_pems)
        return self._write(f"{name}.pem", chain), self._write(f"{name}.key", pkcs8(issued))

    def server(self):
        """TLS of a server on localhost."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.broker)
        return context


def pkcs8(issued, password=None):
    """The private key in the form that Java reads."""
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    lock = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password.encode())
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


class SecureCluster(Cluster):
    """One node; on PLAINTEXT everybody is the administrator, elsewhere lists of access rule."""

    def __init__(self, folder, certificates, sign_in, users):
        self.certificates, self.users = certificates, users
        self.ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
        keys = folder / "jwks.json"
        keys.write_text(json.dumps(sign_in.jwks()))
        self.keys = keys.as_uri()
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.keys}"
        self.java = (JAVA[0], allowed, *JAVA[1:])
        self.formatting = [
            word
            for user in users
            for size in (256, 512)
            for word in ("--add-scram", f"SCRAM-SHA-{size}=[name={user},password={PASSWORD}]")
        ]
        super().__init__(folder)

    def at(self, listener):
        """The address of a listener, as a client names it."""
        return [f"127.0.0.1:{self.ports[listener]}"]

    def listeners(self, node):
        more = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items())
        return f"{super().listeners(node)},{more}"

    def settings(self, _node):
        known = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **LISTENERS}
        made = self.certificates
        stores = {"EXPIRED": made.expired, "MISNAMED": made.misnamed}
        lines = [
            "listener.security.protocol.map=" + ",".join(f"{k}:{v}" for k, v in known.items()),
            "inter.broker.listener.name=PLAINTEXT",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users=User:ANONYMOUS",
            "ssl.keystore.type=PEM",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={made.ca_file}",
            "listener.name.mutual.ssl.client.auth=required",
            "ssl.principal.mapping.rules=RULE:^.*CN=([a-z]+).*$/$1/,DEFAULT",
            f"sasl.oauthbearer.jwks.endpoint.url={self.keys}",
            f"sasl.oauthbearer.expected.audience={RESOURCE}",
            "sasl.oauthbearer.expected.issuer=sign-in",
        ]
        for name in LISTENERS:
            prefix = f"listener.name.{name.lower()}"
            lines.append(f"{prefix}.ssl.keystore.location={stores.get(name, made.broker)}")
        lines += self._sasl("listener.name.sasl")
        # The other listener knows one way only.
        plain = (line for line in self._sasl("listener.name.clear") if ".plain." in line)
        return [*lines, "listener.name.clear.sasl.enabled.mechanisms=PLAIN", *plain]

    def _sasl(self, prefix):
        users = " ".join(f'user_{name}="{PASSWORD}"' for name in self.users)
        return [
            f"{prefix}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            f"{prefix}.plain.sasl.jaas.config={_PLAIN} required {users};",
            f"{prefix}.scram-sha-256.sasl.jaas.config={_SCRAM} required;",
            f"{prefix}.scram-sha-512.sasl.jaas.config={_SCRAM} required;",
            f"{prefix}.oauthbearer.sasl.jaas.config={_OAUTH}.OAuthBearerLoginModule required;",
            f"{prefix}.oauthbearer.sasl.server.callback.handler.class={_OAUTH}.{_VALIDATOR}",
        ]
