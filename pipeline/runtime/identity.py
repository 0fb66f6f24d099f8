"""Who this program is in Entra, by its configuration."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from connectors.auth import (
    Application,
    ClientCertificate,
    ClientSecret,
    FederatedToken,
    Identity,
    Machine,
)
from pipeline.runtime.config_microsoft import Microsoft
from pipeline.runtime.secret_files import read_secret
from pipeline.runtime.telemetry import get_logger

if TYPE_CHECKING:
    from connectors.auth import SignIn
    from connectors.auth_code import SignInPage
    from pipeline.model.clock import Clock
    from pipeline.runtime.config_entra import Entra
    from pipeline.runtime.config_serve import Oidc


@lru_cache(maxsize=8)
def identity(entra: Entra) -> Identity:
    """The identity that the section tells; all clients of a process share it and its tokens."""
    return Identity(sign_in(entra, entra.tenant))


def sign_in(section: Entra | Microsoft, tenant: str | None) -> SignIn:
    """The way to get tokens that a section tells.

    Args:
        section: checked already.
        tenant: to sign in at.
    """
    if section.managed_identity:
        return Machine(section.client_id)
    if isinstance(section, Microsoft) and section.device_code:
        from connectors.auth_device import DeviceCode  # noqa: PLC0415 # and with it all of msal

        return DeviceCode(
            tenant=tenant or "",
            client_id=section.client_id or "",
            tell=lambda text: get_logger("sign-in").warning("sign-in", please=text),
            authority=section.login,
            ca_file=section.ca_file,
        )
    return Application(
        tenant=tenant or "",
        client_id=section.client_id or "",
        credential=_credential(section),
        authority=section.login,
        ca_file=section.ca_file,
    )


def signed_in(section: Microsoft, tenant: str, clock: Clock | None = None) -> Identity:
    """The identity at one tenant, with tokens of its own."""
    return Identity(sign_in(section, tenant), clock=clock)


def _credential(
    section: Entra | Microsoft | Oidc,
) -> ClientSecret | ClientCertificate | FederatedToken:
    if section.certificate_file is not None and section.certificate_key_file is not None:
        return ClientCertificate(
            section.certificate_file,
            section.certificate_key_file,
            lambda: read_secret(
                section.certificate_key_password_file,
                section.key_password_variable,
                f"{section.certificate_key_file}: the key is encrypted, and its password",
                f"{section.section}.certificate_key_password_file",
            ),
        )
    if section.federated_token_file is not None:
        return FederatedToken(
            lambda: read_secret(
                section.federated_token_file, "", "the federated token", "federated_token_file"
            )
        )
    return ClientSecret(
        lambda: read_secret(
            section.secret_file,
            section.secret_variable,
            "the client secret",
            f"{section.section}.secret_file",
        )
    )


def sign_in_page(oidc: Oidc, redirect: str) -> SignInPage:
    """The page of Entra that people sign in at.

    Args:
        oidc: the section, checked already.
        redirect: where they are sent back to.
    """
    from connectors.auth_code import SignInPage  # noqa: PLC0415 # and with it all of msal

    return SignInPage(
        tenant=oidc.tenant or "",
        client_id=oidc.client_id or "",
        credential=_credential(oidc),
        authority=oidc.login,
        redirect=redirect,
        ca_file=oidc.ca_file,
    )
