"""Sections of the configuration that tell who this program is in Entra."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 # pydantic reads the annotation at run time
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field

from connectors.auth import AUTHORITIES
from pipeline.runtime.config_section import Section
from pipeline.runtime.secret_files import KAFKA_CLIENT_KEY_PASSWORD, KAFKA_CLIENT_SECRET


class Credential(Section):
    """What proves to Entra that it is us: one of a secret, a certificate, a token, a machine."""

    tenant: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+$",
        description="Id or a domain of the tenant that knows the application.",
        examples=["9a3f1c52-0000-4000-8000-5d2c1b0a9f8e"],
    )
    client_id: str | None = Field(
        default=None,
        min_length=1,
        description="The application's id; with managed_identity, that of a user-assigned one.",
        examples=["5b0ad9f2-0000-4000-8000-0c1d2e3f4a5b"],
    )
    secret_file: Path | None = Field(
        default=None,
        description="File with the client secret.",
        examples=["/run/secrets/client-secret"],
    )
    certificate_file: Path | None = Field(
        default=None,
        description="The application's certificate, PEM, instead of a secret.",
        examples=["/etc/outrider/entra.pem"],
    )
    certificate_key_file: Path | None = Field(
        default=None,
        description="That certificate's private key, PEM.",
        examples=["/run/secrets/entra.key"],
    )
    certificate_key_password_file: Path | None = Field(
        default=None,
        description="File with the password of an encrypted private key.",
        examples=["/run/secrets/entra-key-password"],
    )
    federated_token_file: Path | None = Field(
        default=None,
        description="File with a token of another issuer that the application trusts, as "
        "Kubernetes mounts it for a workload identity; it is read at each sign-in.",
        examples=["/var/run/secrets/azure/tokens/azure-identity-token"],
    )
    managed_identity: bool = Field(
        default=False,
        description="Use the identity of the Azure machine this runs on; needs no secret.",
    )
    authority: str | None = Field(
        default=None,
        description="Address of the sign-in service, where cloud names none that fits; https.",
        examples=["https://login.sovcloud-identity.de"],
    )
    ca_file: Path | None = Field(
        default=None,
        description="Authorities to trust for the sign-in service, PEM; for a proxy that looks "
        "into TLS, or a service of your own.",
        examples=["/etc/outrider/proxy-ca.pem"],
    )

    # Variables of the environment that hold the secret and the key's password.
    secret_variable: ClassVar[str] = ""
    key_password_variable: ClassVar[str] = ""
    section: ClassVar[str] = ""

    @property
    def secret_files(self) -> list[Path | None]:
        """Files that nobody else should be able to read."""
        return [
            self.secret_file,
            self.certificate_key_file,
            self.certificate_key_password_file,
            self.federated_token_file,
        ]

    @property
    def ways(self) -> dict[str, object]:
        """Ways to sign in, and whether each is configured."""
        return {
            "secret_file": self.secret_file,
            "certificate_file": self.certificate_file,
            "federated_token_file": self.federated_token_file,
            "managed_identity": self.managed_identity,
        }

    def check(self, section: str) -> None:
        """See that the keys tell one way to sign in.

        Args:
            section: where the keys stand, for messages.

        Raises:
            ValueError: a key is missing, or keys contradict each other.
        """
        named = [name for name, value in self.ways.items() if value]
        if len(named) > 1:
            raise ValueError(f"{section}: {' and '.join(named)} contradict each other; keep one")
        if (self.certificate_file is None) is not (self.certificate_key_file is None):
            raise ValueError(
                f"{section}: certificate_file and certificate_key_file go together; name both"
            )
        if not self.managed_identity:
            for key in ("tenant", "client_id"):
                if getattr(self, key) is None:
                    raise ValueError(f"{section}.{key} is missing: the sign-in needs it")
        if self.authority is not None:
            _check_address(self.authority, section)


class Entra(Credential):
    """An application's identity in Entra, for tokens instead of a password."""

    cloud: Literal["public", "us_government", "china"] = Field(
        default="public",
        description="Which Microsoft cloud: us_government is GCC High and DoD (GCC is public), "
        "china is the one that 21Vianet runs.",
    )
    scope: str | None = Field(
        default=None,
        min_length=1,
        description="What the token is for; it ends with /.default.",
        examples=["https://logs.servicebus.windows.net/.default"],
    )
    secret_file: Path | None = Field(
        default=None,
        description=f"File with the client secret; or set {KAFKA_CLIENT_SECRET}.",
        examples=["/run/secrets/client-secret"],
    )
    certificate_key_password_file: Path | None = Field(
        default=None,
        description="File with the password of an encrypted private key; or set "
        f"{KAFKA_CLIENT_KEY_PASSWORD}.",
        examples=["/run/secrets/entra-key-password"],
    )

    secret_variable: ClassVar[str] = KAFKA_CLIENT_SECRET
    key_password_variable: ClassVar[str] = KAFKA_CLIENT_KEY_PASSWORD
    section: ClassVar[str] = "kafka.oauth"

    @property
    def login(self) -> str:
        """Address of the sign-in service."""
        return self.authority or AUTHORITIES[self.cloud]

    def check(self, section: str) -> None:
        """See that the keys tell one way to sign in, and what for; raises the same."""
        if self.scope is None:
            raise ValueError(f"{section}.scope is missing: name what the token is for")
        if not self.scope.endswith("/.default"):
            raise ValueError(f"{section}.scope must end with /.default: applications get no other")
        super().check(section)


def _check_address(address: str, section: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(f"{section}.authority must be https://HOST, without a path")
