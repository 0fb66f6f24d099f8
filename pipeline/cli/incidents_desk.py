"""``outrider incidents ack`` and ``silence``: what people answer to what they were told."""

from __future__ import annotations

import getpass
import re
from contextlib import closing
from datetime import timedelta
from pathlib import Path  # noqa: TC003 # Typer reads it at run time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pipeline.cli.folders import JsonOption, one_of  # Typer reads it at run time
from pipeline.cli.output import parse_time, print_json, print_json_array, print_text
from pipeline.cli.stores import (
    DEFAULT_STATE,
    ConfigOption,
    KafkaOption,
    StateOption,
    minute,
    named,
    open_ledger,
)
from pipeline.model.clock import SystemClock, to_us
from pipeline.model.documents import to_json
from pipeline.model.errors import ConfigError
from pipeline.model.ids import content_id
from pipeline.model.notice import Ack, Silence
from pipeline.notify.clean import clean
from pipeline.notify.matchers import parse_all
from pipeline.report.text import table

if TYPE_CHECKING:
    from datetime import datetime

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_LENGTH: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_LONGEST: Final = timedelta(days=366)
_HEAD: Final = ("SILENCE", "FROM", "UNTIL", "MATCHES", "BY", "COMMENT")
_SHOWN: Final = 5
_TEXT_CHARACTERS: Final = 500
_INCIDENT: Final = re.compile(r"inc-[0-9a-f]{16}")

ByOption = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who you are; default: your account.")
]


def ack(
    incident: Annotated[str, typer.Argument(metavar="ID", help="Incident, or its beginning.")],
    *,
    by: ByOption = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What you say about it.")] = "",
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it ends by itself; default: never.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    kafka: KafkaOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that you look after an incident: no reminders and no small updates until it gets worse.

    With --kafka the whole ID is needed, and it is not looked up.
    """
    named(incident, "incident")
    now, end = SystemClock().now(), parse_time("--until", until)
    if end is not None and end <= now:
        raise ConfigError(f"--until: {until} is past")
    if kafka:
        # The topic of incidents forgets those that have gone on for longer than it keeps records:
        # that one is not there says nothing.
        if not _INCIDENT.fullmatch(incident):
            raise ConfigError(
                f"{incident!r} is no whole id; with --kafka write all of it, inc- and 16 digits "
                "of 0 to 9 and a to f, as messages and pages show it"
            )
        given = _ack(incident, now, by, note, end)
        _send(config, given)
    else:
        with closing(open_ledger(state, readonly=False)) as ledger:
            found = ledger.incidents_named(incident, _SHOWN) or ledger.incidents_named("", _SHOWN)
            given = _ack(one_of(found, incident, "incident", state), now, by, note, end)
            with ledger.transaction():
                ledger.put_ack(given)
    if as_json:
        print_json(to_json(given))
    elif kafka:
        print_text(f"It is sent that {given.by} looks after {given.incident_id}.")
    else:
        print_text(f"{given.incident_id} is acknowledged by {given.by}.")


def silence(
    *,
    match: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=VALUE", help="All have to match; may be given again."),
    ] = None,
    length: Annotated[
        str | None,
        typer.Option("--for", metavar="2h", help="How long: minutes m, hours h, days d."),
    ] = None,
    by: ByOption = None,
    comment: Annotated[str | None, typer.Option(metavar="TEXT", help="Why.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List what is silenced now.")] = False,
    end: Annotated[str | None, typer.Option(metavar="ID", help="End a silence now.")] = None,
    state: StateOption = DEFAULT_STATE,
    kafka: KafkaOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell nobody of what matches for a while; list what is silenced, or end a silence."""
    now = SystemClock().now()
    wishes = [
        match is not None or length is not None or comment is not None,
        listed,
        end is not None,
    ]
    if sum(wishes) != 1:
        raise ConfigError("give --match with --for and --comment, or --list, or --end")
    if listed:
        _show(_silences(state, now, config, kafka=kafka), as_json=as_json)
        return
    if end is not None:
        named(end, "silence")
        known = {s.silence_id: s for s in _silences(state, now, config, kafka=kafka)}
        held = known[one_of(known, end, "silence", state)]
        made = Silence(held.silence_id, held.matchers, held.starts_at, now, held.by, held.comment)
    else:
        made = _silence(match or [], length, by, comment, now)
    if kafka:
        _send(config, made)
    else:
        with closing(open_ledger(state, readonly=False)) as ledger, ledger.transaction():
            ledger.put_silence(made)
    if as_json:
        print_json(to_json(made))
    elif end is not None:
        print_text(f"{made.silence_id} has ended.")
    else:
        print_text(f"{made.silence_id} silences {_matching(made)} until {minute(made.ends_at)}.")


def _ack(incident: str, now: datetime, by: str | None, note: str, until: datetime | None) -> Ack:
    return Ack(incident, now, _who(by), clean(note, _TEXT_CHARACTERS), until)


def _silence(
    matchers: list[str], length: str | None, by: str | None, comment: str | None, now: datetime
) -> Silence:
    if not matchers:
        raise ConfigError("--match: say what is silenced, such as --match tenant=contoso")
    try:
        parse_all(matchers)
    except ValueError as error:
        raise ConfigError(f"--match: {error}") from error
    if length is None or comment is None:
        raise ConfigError(
            "a silence needs --for and --comment: the others will ask how long and why"
        )
    ends = now + length_of(length)
    name = content_id("sil", sorted(matchers), to_us(now), to_us(ends))
    told = clean(comment, _TEXT_CHARACTERS)
    return Silence(name, tuple(matchers), now, ends, _who(by), told)


def length_of(text: str) -> timedelta:
    """Read ``30m``, ``2h`` or ``1d``.

    Raises:
        ConfigError: it is none of these, or longer than a year.

    >>> length_of("90m") == timedelta(hours=1.5)
    True
    """
    match = _LENGTH.fullmatch(text)
    found = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if found is None or found > _LONGEST:
        raise ConfigError(f"--for: {text!r} is no length such as 30m, 2h or 1d, up to a year")
    return found


def _who(by: str | None) -> str:
    if by is not None:
        return clean(by, _TEXT_CHARACTERS)
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # an account without a name, as in some containers
        raise ConfigError("--by: this account has no name; say who you are") from error


def _send(config: Path | None, answer: Ack | Silence) -> None:
    from pipeline.runtime.config import load  # noqa: PLC0415 # all that is configured takes 0.3 s
    from pipeline.runtime.kafka.desk import send_answer  # noqa: PLC0415 # 0.2 s

    send_answer(load(config).kafka, answer)


def _silences(state: Path, now: datetime, config: Path | None, *, kafka: bool) -> list[Silence]:
    if not kafka:
        with closing(open_ledger(state)) as ledger:
            return ledger.silences(to_us(now))
    from pipeline.runtime.config import load  # noqa: PLC0415 # as above
    from pipeline.runtime.kafka.desk import read_answers  # noqa: PLC0415 # 0.2 s

    found = read_answers(load(config).kafka).silences
    return sorted((s for s in found if s.ends_at > now), key=lambda s: (s.ends_at, s.silence_id))


def _show(found: list[Silence], *, as_json: bool) -> None:
    if as_json:
        print_json_array(to_json(s) for s in found)
    elif found:
        rows = [
            [
                clean(s.silence_id),
                minute(s.starts_at),
                minute(s.ends_at),
                _matching(s),
                clean(s.by, _TEXT_CHARACTERS),
                clean(s.comment, _TEXT_CHARACTERS),
            ]
            for s in found
        ]
        print_text(table(_HEAD, rows))
    else:
        print_text("Nothing is silenced.")


def _matching(made: Silence) -> str:
    return clean(" and ".join(made.matchers), _TEXT_CHARACTERS)
