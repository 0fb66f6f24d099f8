"""The notify stage's settings, from the configuration and the destinations that there are."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from pipeline.model.errors import ConfigError
from pipeline.model.incident import Severity
from pipeline.model.notice import NoticeReason
from pipeline.notify.matchers import parse_all
from pipeline.notify.settings import (
    Inhibition,
    Maintenance,
    NotifySettings,
    Quiet,
    Route,
)
from pipeline.notify.times import Dated, Weekly, in_zone
from pipeline.runtime.config_deliver import NOTICES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pipeline.notify.settings import Times
    from pipeline.runtime.config import Config
    from pipeline.runtime.config_routes import Dates, Hours, Notify, RouteOptions, RouteSection

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_REPEAT_HOURS: Final = 4
_GROUP_WAIT_SECONDS: Final = 30
_GROUP_INTERVAL_SECONDS: Final = 300
_PAGER: Final = "pagerduty."


@dataclass(frozen=True, slots=True)
class _Around:
    """What a route takes over from those around it."""

    sinks: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    group_wait: int | None = None
    group_interval: int | None = None
    repeat_hours: int = _REPEAT_HOURS
    reasons: frozenset[NoticeReason] | None = None
    quiet: tuple[str, ...] = ()
    below: Severity = Severity.CRITICAL

    def within(self, options: RouteOptions) -> _Around:
        """With what a route sets itself."""
        o = options
        return _Around(
            self.sinks if o.sinks is None else tuple(o.sinks),
            self.group_by if o.group_by is None else tuple(o.group_by),
            self.group_wait if o.group_wait_seconds is None else o.group_wait_seconds,
            self.group_interval if o.group_interval_seconds is None else o.group_interval_seconds,
            self.repeat_hours if o.repeat_interval_hours is None else o.repeat_interval_hours,
            self.reasons if o.reasons is None else frozenset(map(NoticeReason, o.reasons)),
            self.quiet if o.quiet_hours is None else tuple(o.quiet_hours),
            self.below if o.quiet_below is None else Severity(o.quiet_below),
        )


def people_of(config: Config) -> list[str]:
    """Names of the configured destinations of people: ``slack.oncall``, by type and name."""
    return list(config.deliver.of(NOTICES))


def settings_of(config: Config) -> NotifySettings:
    """What the stage is told by the whole configuration.

    Raises:
        ConfigError: as for :func:`notify_settings`.
    """
    return notify_settings(config.notify, people_of(config))


def notify_settings(section: Notify, sinks: Collection[str]) -> NotifySettings:
    """What the stage is told.

    Args:
        section: of the configuration.
        sinks: names of the destinations that take notices.

    Raises:
        ConfigError: a route names a destination that there is not.
    """
    times: dict[str, Times] = {name: (_weekly(hours),) for name, hours in section.hours.items()}
    for name, dates in section.dates.items():
        times[name] = (*times.get(name, ()), _dated(dates))
    around = _Around().within(section)
    _check_sinks("notify", around.sinks, sinks)
    if not section.routes and section.sinks is None:
        root = _default(around, tuple(sorted(sinks)), times)
    else:
        children = [
            _route(name, f"notify.routes.{name}", route, around, sinks, times)
            for name, route in section.routes.items()
        ]
        root = _made("default", around, times, children=tuple(children))
    return NotifySettings(
        root,
        frozenset(sinks),
        tuple(
            Inhibition(n, parse_all(i.source), parse_all(i.target), tuple(i.equal), i.lower)
            for n, i in section.inhibit.items()
        ),
        tuple(
            Maintenance(n, parse_all(m.match), tuple(t for w in m.times for t in times[w]))
            for n, m in section.maintenance.items()
        ),
        section.public_url,
    )


def _default(around: _Around, sinks: tuple[str, ...], times: Mapping[str, Times]) -> Route:
    """Where no route is configured: what is small wakes nobody, and what nobody can name no pager.

    An undetermined incident is medium only if it hits many people, and never more.
    """
    calm = tuple(name for name in sinks if not name.startswith(_PAGER))
    told = ("severity>=medium", "verdict!=undetermined")
    unclear = ("severity>=medium", "verdict=undetermined")
    leaves = (
        _made("told", replace(around, sinks=sinks), times, matchers=told),
        _made("unclear", replace(around, sinks=calm), times, matchers=unclear),
    )
    children = tuple(replace(leaf, built_in=True) for leaf in leaves)
    return _made("default", around, times, children=children)


def _route(
    name: str,
    place: str,
    section: RouteSection,
    around: _Around,
    sinks: Collection[str],
    times: Mapping[str, Times],
) -> Route:
    here = around.within(section)
    _check_sinks(place, here.sinks, sinks)
    children = [
        _route(f"{name}.{n}", f"{place}.routes.{n}", r, here, sinks, times)
        for n, r in section.routes.items()
    ]
    return _made(
        name,
        here,
        times,
        matchers=tuple(section.match),
        goes_on=section.goes_on,
        children=tuple(children),
    )


def _made(
    name: str,
    here: _Around,
    times: Mapping[str, Times],
    *,
    matchers: tuple[str, ...] = (),
    goes_on: bool = False,
    children: tuple[Route, ...] = (),
) -> Route:
    grouped = bool(here.group_by)
    wait = here.group_wait if here.group_wait is not None else _GROUP_WAIT_SECONDS * grouped
    interval = (
        here.group_interval
        if here.group_interval is not None
        else _GROUP_INTERVAL_SECONDS * grouped
    )
    return Route(
        name,
        parse_all(matchers),
        here.sinks,
        goes_on=goes_on,
        group_by=here.group_by,
        group_wait=timedelta(seconds=wait),
        group_interval=timedelta(seconds=interval),
        repeat_interval=timedelta(hours=here.repeat_hours) if here.repeat_hours else None,
        reasons=here.reasons,
        quiet=Quiet(tuple(t for w in here.quiet for t in times[w]), here.quiet, here.below),
        children=children,
    )


def _check_sinks(place: str, named: Collection[str], known: Collection[str]) -> None:
    for name in named:
        if name in known:
            continue
        near = difflib.get_close_matches(name, list(known), n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        there = ", ".join(sorted(known)) or "none that takes messages is configured in [deliver]"
        raise ConfigError(
            f"{place}.sinks: there is no destination {name!r}{hint}; there are: {there}"
        )


def _dated(dates: Dates) -> Dated:
    zone = ZoneInfo(dates.time_zone)
    return Dated(
        in_zone(datetime.fromisoformat(dates.starts_at), zone, fold=0),
        in_zone(datetime.fromisoformat(dates.ends_at), zone, fold=1),
    )


def _weekly(hours: Hours) -> Weekly:
    return Weekly(
        ZoneInfo(hours.time_zone),
        frozenset(_DAYS.index(day) for day in hours.weekdays),
        time.fromisoformat(hours.start),
        time.fromisoformat(hours.end),
    )
