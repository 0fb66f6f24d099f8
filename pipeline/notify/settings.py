"""What the notify stage is told by the configuration; plain values, checked before."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from pipeline.model.incident import Severity
from pipeline.model.notice import NoticeReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.notify.matchers import Matcher
    from pipeline.notify.times import Dated, Weekly

Times: TypeAlias = "tuple[Weekly | Dated, ...]"

_N = NoticeReason
_PAGER: Final = frozenset({_N.OPENED, _N.SEVERITY_UP, _N.REOPENED, _N.RESOLVED})
_MAIL: Final = _PAGER | {_N.MATCHED, _N.SPREAD, _N.REMINDER}
_CHAT: Final = _MAIL | {_N.ADVISORY_CHANGED, _N.RECOVERING}
_RECORD: Final = frozenset(_N) - {_N.REMINDER}
# What each type of destination is told where its route does not say. A pager reminds by itself;
# a system that keeps records wants all that changed and no repetition.
REASONS: Final[Mapping[str, frozenset[NoticeReason]]] = {
    "pagerduty": _PAGER,
    "email": _MAIL,
    "slack": _CHAT,
    "teams": _CHAT,
    "servicenow": _RECORD,
    "webhook": _RECORD,
}


@dataclass(frozen=True, slots=True)
class Quiet:
    """Quiet hours: what is below a severity waits until they end."""

    times: Times = ()
    names: tuple[str, ...] = ()
    below: Severity = Severity.CRITICAL


@dataclass(frozen=True, slots=True)
class Route:
    """Which incidents go where, and how often; a route without children is a leaf.

    Attributes:
        name: as it is written, parents first: ``mail.night``.
        matchers: all have to match.
        sinks: destinations that are told.
        goes_on: whether the next route is looked at too, after this one has matched.
        group_by: labels; incidents that have them in common are told together. Empty: each alone.
        group_wait: how long a first notice waits for others of its group.
        group_interval: least time from one notice of a thread to the next update.
        repeat_interval: after so long without a notice a reminder comes; None = never.
        reasons: that are told; None = as the type of the destination has it.
        quiet: its quiet hours.
        children: looked at first; the first one that matches takes the incident.
        built_in: whether nobody wrote it: it is there where no route is configured.
    """

    name: str
    matchers: tuple[Matcher, ...] = ()
    sinks: tuple[str, ...] = ()
    goes_on: bool = False
    group_by: tuple[str, ...] = ()
    group_wait: timedelta = timedelta(0)
    group_interval: timedelta = timedelta(0)
    repeat_interval: timedelta | None = None
    reasons: frozenset[NoticeReason] | None = None
    quiet: Quiet = field(default_factory=Quiet)
    children: tuple[Route, ...] = ()
    built_in: bool = False

    @property
    def title(self) -> str:
        """Its name for people, who look for it in what they wrote."""
        return f"{self.name} (built in)" if self.built_in else self.name

    def wanted(self, sink: str) -> frozenset[NoticeReason]:
        """For which reasons a destination is told, ends and beginnings apart."""
        if self.reasons is not None:
            return self.reasons
        return REASONS.get(sink.partition(".")[0], _CHAT)

    def wants(self, sink: str, reason: NoticeReason) -> bool:
        """Whether a destination is told for this reason."""
        return reason in self.wanted(sink)


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While an incident that ``source`` matches goes on, those that ``target`` matches are not told.

    Attributes:
        name: as it is written.
        source, target: matchers.
        equal: labels of which both must have a value in common.
        lower: only what has a lower severity than the source.
    """

    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ("tenant",)
    lower: bool = False


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Nothing of what matches is told at these times."""

    name: str
    matchers: tuple[Matcher, ...]
    times: Times


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Everything the stage is told.

    Attributes:
        root: the route that every incident enters.
        sinks: the destinations there are.
        inhibitions, maintenance: in the order in which they are written.
        public_url: address of the pages, without a slash at its end; None = no links.
    """

    root: Route
    sinks: frozenset[str]
    inhibitions: tuple[Inhibition, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    public_url: str | None = None
