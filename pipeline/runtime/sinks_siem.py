"""Sinks towards SIEMs, made from their sections of the configuration."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from connectors.clouds import CLOUDS
from connectors.sinks.elastic import ElasticSink, api_key, basic
from connectors.sinks.sentinel import SentinelSink
from connectors.sinks.splunk import SplunkSink
from pipeline.model.errors import ConfigError
from pipeline.runtime.config_siem import Sentinel, Splunk
from pipeline.runtime.identity import signed_in
from pipeline.runtime.secret_files import read_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.runtime.config_microsoft import Microsoft
    from pipeline.runtime.config_siem import Elastic


def make(
    name: str, section: Splunk | Sentinel | Elastic, microsoft: Microsoft
) -> SplunkSink | SentinelSink | ElasticSink:
    """The sink of one destination.

    Args:
        name: of the destination, ``splunk.main``.
        section: its section, checked already.
        microsoft: who signs in at Azure, and in which cloud, for Sentinel.

    Raises:
        ConfigError: a file of authorities cannot be read, or nobody is there to sign in.
    """
    if isinstance(section, Splunk):
        return _splunk(name, section)
    if isinstance(section, Sentinel):
        return _sentinel(name, section, microsoft)
    return _elastic(name, section)


def _splunk(name: str, section: Splunk) -> SplunkSink:
    return SplunkSink(
        section.address,
        _reader(section.token_file, section.token_variable, f"the token of {name}", "token_file"),
        name=name,
        index=section.index,
        host=section.host,
        source=section.source,
        form=section.form,
        acknowledged=section.acknowledged,
        channel=section.channel,
        ca_file=section.ca_file,
        most_bytes=section.batch_bytes,
    )


def _sentinel(name: str, section: Sentinel, microsoft: Microsoft) -> SentinelSink:
    if not any(microsoft.ways.values()):
        raise ConfigError(
            f"{name}: nobody is there to sign in at Azure; tell in [microsoft] who does, with a "
            "certificate, a secret, a federated token or managed_identity"
        )
    return SentinelSink(
        section.endpoint,
        section.rule_id,
        signed_in(microsoft, microsoft.tenant or ""),
        name=name,
        monitor=section.monitor_address or CLOUDS[microsoft.cloud].monitor,
        incident_stream=section.incident_stream,
        flag_stream=section.flag_stream,
        ca_file=section.ca_file,
    )


def _elastic(name: str, section: Elastic) -> ElasticSink:
    authorization = None
    if section.user is not None:
        what = f"the password of {name}"
        password = _reader(section.password_file, section.password_variable, what, "password_file")
        authorization = basic(section.user, password)
    elif section.api_key_file is not None or section.api_key_variable is not None:
        what = f"the API key of {name}"
        authorization = api_key(
            _reader(section.api_key_file, section.api_key_variable, what, "api_key_file")
        )
    return ElasticSink(
        section.address,
        authorization,
        name=name,
        namespace=section.namespace,
        ca_file=section.ca_file,
        most_bytes=section.batch_bytes,
    )


def _reader(path: Path | None, variable: str | None, what: str, key: str) -> Callable[[], str]:
    """Reads a secret anew each time: one that was changed on disk is used at once."""
    return partial(read_secret, path, variable or "", what, key)
