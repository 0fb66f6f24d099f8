"""Certificates and private keys in files: read, held against each other, told what is wrong."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MISMATCH: Final = "KEY_VALUES_MISMATCH"


def load_authorities(context: ssl.SSLContext, path: Path) -> None:
    """Trust the authorities of a PEM file in the connections of ``context``.

    Raises:
        ConfigError: the file cannot be read or holds none.
    """
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise ConfigError(
            f"{path}: holds no authorities in PEM form; it starts with -----BEGIN CERTIFICATE-----"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def load_pair(
    context: ssl.SSLContext, certificate: Path, key: Path, read_password: Callable[[], str]
) -> str | None:
    """Show ``certificate`` in the connections of ``context``; gives the key's password, if any.

    Args:
        context: to load into.
        certificate: PEM file, the certificate first, then those that lead to the authority.
        key: PEM file of its private key.
        read_password: called only if the key is encrypted.

    Raises:
        ConfigError: a file cannot be read, the password is wrong, or the two do not fit.
    """
    for path in (certificate, key):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    used: list[str] = []

    def password() -> str:
        # OpenSSL would otherwise ask on the terminal, and a service would wait there for ever.
        used.append(read_password())
        return used[0]

    try:
        context.load_cert_chain(certificate, key, password=password)
    except ssl.SSLError as error:
        raise ConfigError(_told(certificate, key, error, encrypted=bool(used))) from error
    return used[0] if used else None


def _told(certificate: Path, key: Path, error: ssl.SSLError, *, encrypted: bool) -> str:
    if error.reason == _MISMATCH:
        return f"{key}: is not the private key of {certificate}; name the two that belong together"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except ssl.SSLError:
        return f"{certificate}: holds no certificate in PEM form; it starts with -----BEGIN"
    if encrypted:
        return f"{key}: its password does not open it, or it is damaged; check the password's file"
    return f"{key}: holds no private key in PEM form; it starts with -----BEGIN PRIVATE KEY-----"
