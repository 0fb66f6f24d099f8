"""TLS to the brokers: whom to trust, and what to show of ourselves."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from connectors.certificates import load_authorities, load_pair

if TYPE_CHECKING:
    from pipeline.runtime.config import Kafka


def tls_options(config: Kafka) -> dict[str, Any]:
    """The client's options. It reads the files anew for each connection: they may be renewed.

    They are read here once as well, since the client would try broken ones for ever, silently.

    Raises:
        ConfigError: a file cannot be read or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    options: dict[str, Any] = {"ssl_check_hostname": True}
    if config.ca_file is not None:
        load_authorities(context, config.ca_file)
        options["ssl_cafile"] = str(config.ca_file)
    if config.certificate_file is not None and config.certificate_key_file is not None:
        load_pair(
            context, config.certificate_file, config.certificate_key_file, config.key_password
        )
        options |= {
            "ssl_certfile": str(config.certificate_file),
            "ssl_keyfile": str(config.certificate_key_file),
            "ssl_password": config.key_password,
        }
    return options
