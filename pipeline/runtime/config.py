"""The configuration: what may be set, its defaults, and how files, environment and flags join.

One TOML file, read strictly: an unknown key is an error that names the file, the line, the
path of the key and the nearest key that exists. Precedence is flags, then environment
(``OUTRIDER_SECTION__KEY``), then the file. Secrets stand in files or in the environment and
are named here by reference only; see :mod:`pipeline.runtime.keys` and
:mod:`pipeline.runtime.secret_files`.
"""

from __future__ import annotations

import ipaddress
import json
import os
import tomllib
from pathlib import Path  # noqa: TC003 # pydantic reads the annotation at run time
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, Field, ValidationError, model_validator

from pipeline.model.errors import ConfigError
from pipeline.model.tenants import is_tenant
from pipeline.runtime.config_collect import Collect
from pipeline.runtime.config_deliver import Deliver
from pipeline.runtime.config_errors import explain
from pipeline.runtime.config_kafka import Kafka
from pipeline.runtime.config_microsoft import Microsoft
from pipeline.runtime.config_routes import Notify
from pipeline.runtime.config_section import Section as _Section
from pipeline.runtime.config_section import Zone
from pipeline.runtime.config_serve import Serve
from pipeline.runtime.own_addresses import addresses_of, keep_visible

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ENV_PREFIX", "Backfill", "Collect", "Config", "Deliver", "Detection", "Kafka", "LedgerSettings", "Microsoft", "Notify",
    "Privacy", "Serve", "SourceSettings", "Sources", "Tenant", "load",
]  # fmt: skip

ENV_PREFIX: Final = "OUTRIDER_"


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError(
            "is no network prefix; write the first address and the length, as in 203.0.113.0/24"
        ) from None


def _tenant(text: str) -> str:
    if not is_tenant(text):
        raise ValueError("want the id or name of a tenant, without control characters")
    return text


class Privacy(_Section):
    """How people are kept out of every output."""

    key_file: Path | None = Field(
        default=None,
        description="File with the key of all user hashes (16 bytes or more). Without it, and "
        "without OUTRIDER_PRIVACY_KEY, a random key is made once in OUT/.outrider/key.",
        examples=["/run/secrets/outrider-key"],
    )
    reveal_users: bool = Field(
        default=False,
        description="Write user names beside the hashes; needs a key of your own.",
    )


class Tenant(_Section):
    """Whose logs these are, and the clock its people live by."""

    id: Annotated[str, AfterValidator(_tenant)] | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="Tenant to keep; records of any other are left out. Default: all tenants.",
        examples=["9a3f1c52-0000-4000-8000-5d2c1b0a9f8e"],
    )
    time_zone: Zone = Field(
        default="UTC",
        description="IANA name; times are printed in UTC and in this zone.",
    )


class SourceSettings(_Section):
    """What to assume of one source where its records do not tell."""

    declared_delay_seconds: int = Field(
        default=300,
        ge=0,
        le=7 * 86_400,
        description="How long after the event a record usually becomes readable; used where the "
        "records carry no arrival time.",
    )


def _delay(seconds: int) -> Any:
    return Field(default_factory=lambda: SourceSettings(declared_delay_seconds=seconds))


class Sources(_Section):
    """One section for each source of logs.

    Delays: sign-ins 1 to 5 minutes in real Event Hubs and Elastic records; the mailbox
    audit log 60 to 90 minutes by the Management Activity API reference (no guarantee).
    """

    entra_signin: SourceSettings = _delay(300)
    entra_signin_noninteractive: SourceSettings = _delay(300)
    exchange_audit: SourceSettings = _delay(5400)
    entra_directory_audit: SourceSettings = _delay(900)


class Detection(_Section):
    """How much noise you accept, and how much history a baseline needs."""

    false_pages_per_month: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="False alarms you accept for each tenant and month, over all clients.",
    )
    warm_up_hours: int = Field(
        default=168,
        ge=1,
        le=24 * 366,
        description="History a baseline needs before it may judge; 168 is one week.",
    )


class Backfill(_Section):
    """How much of this machine a backfill may use."""

    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=256,
        description="Processes that parse files. Default: one for each processor.",
        examples=[4],
    )
    slice_mib: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Unpacked input that one worker holds at a time, in MiB.",
    )


class LedgerSettings(_Section):
    """The store of a run on one machine."""

    keep_days: int = Field(
        default=400,
        ge=30,
        le=36_500,
        description="How long flags, incidents and dead letters are kept after they were issued, "
        "in days; what a destination has not taken stays.",
    )


class Config(_Section):
    """The whole configuration; ``Config()`` is a working one."""

    privacy: Privacy = Field(default_factory=Privacy)
    tenant: Tenant = Field(default_factory=Tenant)
    sites: dict[Annotated[str, AfterValidator(_network)], str] = Field(
        default_factory=dict,
        description="Names for your own networks: prefix = name. A named network is printed by "
        "its name; any other only as a keyed hash.",
        examples=[{"203.0.113.0/24": "Berlin office", "2001:db8:7::/48": "Lisbon office"}],
    )
    microsoft: Microsoft = Field(default_factory=Microsoft)
    collect: Collect = Field(default_factory=Collect)
    sources: Sources = Field(default_factory=Sources)
    detection: Detection = Field(default_factory=Detection)
    backfill: Backfill = Field(default_factory=Backfill)
    ledger: LedgerSettings = Field(default_factory=LedgerSettings)
    kafka: Kafka = Field(default_factory=Kafka)
    deliver: Deliver = Field(default_factory=Deliver)
    notify: Notify = Field(default_factory=Notify)
    serve: Serve = Field(default_factory=Serve)

    @model_validator(mode="after")
    def _identity(self) -> Config:
        """See that whatever is read live can sign in."""
        if self.needs_identity:
            self.microsoft.check("microsoft")
            self.microsoft.check_tenants()
        return self

    @property
    def needs_identity(self) -> bool:
        """Whether something that is read live signs in as the application of [microsoft]."""
        live = self.collect
        own_way = {
            "event_hubs": live.event_hubs.by_key,
            "blobs": live.blobs.by_signature,
            "status_page": True,
        }
        return any(not own_way.get(name) for name in live.enabled)


def load(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Config:
    """Join the file, the environment and the flags into one checked configuration.

    Args:
        path: the TOML file; None = defaults.
        environ: variables to read; None = those of the process. Only names with a double
            underscore (``OUTRIDER_TENANT__TIME_ZONE``) set a key; values are TOML, and
            text that is no TOML value is taken as it stands.
        flags: values by dotted path (``"backfill.workers"``); ``None`` values are not set.

    Raises:
        ConfigError: the file cannot be read, a key is unknown or a value is wrong.
    """
    data: dict[str, Any] = {}
    text = ""
    origin: dict[tuple[str, ...], str] = {}
    if path is not None:
        text = _read(path)
        data = _parse(path, text)
    for name, value in sorted((os.environ if environ is None else environ).items()):
        rest = name.removeprefix(ENV_PREFIX)
        if rest == name or "__" not in rest:
            continue
        keys = tuple(rest.lower().split("__"))
        origin[keys] = f"environment variable {name}"
        _put(data, keys, _toml_value(value), origin[keys])
    for dotted, value in (flags or {}).items():
        if value is not None:
            keys = tuple(dotted.split("."))
            origin[keys] = "command line"
            _put(data, keys, value, "command line")
    try:
        # In JSON mode strict still takes text for paths, as TOML has no path type.
        made = Config.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        message = explain(error, Config, path=path, text=text, origin=origin)
        raise ConfigError(message) from error
    keep_visible(addresses_of(made))
    return made


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text at byte {error.start}") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(data: dict[str, Any], keys: tuple[str, ...], value: Any, where: str) -> None:
    node = data
    for key in keys[:-1]:
        node = node.setdefault(key, {})
        if not isinstance(node, dict):
            raise ConfigError(f"{where}: {'.'.join(keys)}: {key} is a value, not a section")
    node[keys[-1]] = value
