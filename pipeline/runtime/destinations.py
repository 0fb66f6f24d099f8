"""The destinations that the configuration names, made and ready to be handed documents."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.ledger.known import KnownAdvisories
from pipeline.ledger.notes import Notes
from pipeline.model.errors import ConfigError
from pipeline.notify.wording import message_of
from pipeline.runtime.config_deliver import NOTICES, RECORDS
from pipeline.runtime.config_lines import Files, KafkaTopic, Syslog
from pipeline.runtime.named_files import check_destination

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from pipeline.model.contracts import Sink
    from pipeline.runtime.config import Config

_LINES = (Syslog, KafkaTopic, Files)


def names(config: Config) -> tuple[list[str], list[str]]:
    """Names of the configured destinations: of records, and of people."""
    return list(config.deliver.of(RECORDS)), list(config.deliver.of(NOTICES))


def chosen(config: Config, only: Collection[str] | None) -> tuple[list[str], list[str]]:
    """The same, of those that are meant.

    Args:
        config: of the run.
        only: these; None or empty = all.

    Raises:
        ConfigError: one of ``only`` is not configured.
    """
    records, people = names(config)
    missing = [name for name in only or () if name not in {*records, *people}]
    if missing:
        there = ", ".join([*records, *people]) or "none"
        raise ConfigError(f"[deliver] names no destination {missing[0]!r}; there are: {there}")
    if not only:
        return records, people
    return [n for n in records if n in only], [n for n in people if n in only]


def records(config: Config, wanted: Collection[str]) -> dict[str, Sink]:
    """Destinations that take every revision of every flag and incident, by name.

    Raises:
        ConfigError: one cannot be made of what is configured, or a secret cannot be read.
    """
    found = config.deliver.of(RECORDS)
    for name in wanted:
        check_destination(name, found[name], config)
    return {name: _record(name, found[name], config) for name in wanted}


def _record(name: str, section: Any, config: Config) -> Sink:
    # Most runs have one destination or none: those of other kinds, with the clients of their
    # protocols, are not even imported.
    if isinstance(section, _LINES):
        from pipeline.runtime import sinks_lines  # noqa: PLC0415

        return sinks_lines.make(name, section, config.microsoft)
    from pipeline.runtime import sinks_siem  # noqa: PLC0415

    return sinks_siem.make(name, section, config.microsoft)


def people(
    config: Config, wanted: Collection[str], *, ledger: Path, log: FilteringBoundLogger
) -> dict[str, Sink]:
    """Destinations where people read, by name.

    Args:
        config: of the run.
        wanted: names of destinations.
        ledger: keeps what a destination has to know of a thread, and the advisories.
        log: hears of recipients whom a mail server refuses.

    Raises:
        ConfigError: a secret cannot be read.
    """
    if not wanted:
        return {}
    from pipeline.runtime import sinks_people  # noqa: PLC0415 # with HTTP, SMTP and templates

    found: dict[str, Any] = config.deliver.of(NOTICES)
    for name in wanted:
        check_destination(name, found[name], config)
    message = partial(
        message_of, time_zone=config.tenant.time_zone, advisories=KnownAdvisories(ledger)
    )
    return {
        name: sinks_people.make(
            name,
            found[name],
            message=message,
            memory=Notes(ledger, name),
            tell=partial(_tell, log, name),
        )
        for name in wanted
    }


def _tell(log: FilteringBoundLogger, name: str, text: str) -> None:
    log.warning("delivery", sink=name, outcome="recipients refused", error=text)
