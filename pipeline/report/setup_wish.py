"""What ``outrider setup`` is asked to set up, and the configuration that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pipeline.runtime.checking.permissions import NEEDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.clouds import CloudName
    from pipeline.runtime.checking.permissions import Permission

Credential: TypeAlias = Literal["certificate", "secret", "federated", "managed_identity"]
CREDENTIALS: Final[tuple[Credential, ...]] = (
    "certificate",
    "secret",
    "federated",
    "managed_identity",
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be set up.

    Attributes:
        cloud: of the tenant.
        sources: of ``[collect]``, by name.
        credential: how the application proves that it is us.
        tenant: its id; None = that of whoever signs in.
        name: of the application, as administrators see it.
    """

    cloud: CloudName
    sources: Sequence[str]
    credential: Credential
    tenant: str | None
    name: str

    @property
    def signs_in(self) -> bool:
        """Whether a source needs the application at all."""
        return any(s != "status_page" for s in self.sources)

    @property
    def permissions(self) -> list[Permission]:
        """That the sources need, each once."""
        return list(dict.fromkeys(p for s in self.sources for p in NEEDED.get(s, ())))


def configuration(wish: Wish) -> list[str]:
    """The configuration file, with ``$TENANT`` and the like for the shell to fill in."""
    lines: list[str] = []
    if wish.signs_in:
        lines += ["[microsoft]", f'cloud = "{wish.cloud}"', 'tenant = "$TENANT"']
        lines += {
            "certificate": [
                'client_id = "$APP"',
                'certificate_file = "$PWD/outrider.pem"',
                'certificate_key_file = "$PWD/outrider.key"',
            ],
            "secret": ['client_id = "$APP"', 'secret_file = "$PWD/client-secret"'],
            "federated": [
                'client_id = "$APP"',
                'federated_token_file = "/var/run/secrets/azure/tokens/azure-identity-token"',
            ],
            "managed_identity": [
                "managed_identity = true",
                "# client_id = that of a user-assigned identity",
            ],
        }[wish.credential]
    for source in wish.sources:
        lines += ["", f"[collect.{source}]", "enabled = true"]
        lines += {
            "event_hubs": ['namespace = "$NAMESPACE"'],
            "blobs": ['account = "$ACCOUNT"'],
            "status_page": ['address = "https://status.cloud.microsoft/api/feed/mac"'],
        }.get(source, [])
    return lines[1:] if lines and not lines[0] else lines
