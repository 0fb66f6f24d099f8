"""Flags as they are issued, corrected and taken back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipeline.model.flag import Flag, FlagState
from pipeline.model.issued import Issued

if TYPE_CHECKING:
    from datetime import datetime


class IssuedFlags(Issued[Flag]):
    """The last revision issued of every flag that may still change."""

    def key(self, document: Flag) -> str:
        """Its flag_id."""
        return document.flag_id

    def plain(self, document: Flag) -> Flag:
        """The flag without revision, raised_at and corrected_at."""
        return replace(document, revision=0, raised_at=document.alarm_at, corrected_at=None)

    def raised_at(self, document: Flag) -> datetime:
        """Its raised_at."""
        return document.raised_at

    def revised(
        self, document: Flag, last: Flag | None, since: datetime | None, at: datetime | None
    ) -> Flag:
        """The revision after ``last``."""
        return replace(
            document,
            revision=1 if last is None else last.revision + 1,
            raised_at=max(document.raised_at, since or document.raised_at),
            corrected_at=at,
        )

    def retraction(self, last: Flag, at: datetime) -> Flag:
        """The same numbers, with the word that they no longer hold."""
        return replace(last, revision=last.revision + 1, state=FlagState.RETRACTED, corrected_at=at)

    def due_at(self, document: Flag) -> datetime:
        """When it was raised; of a closing, when that was decided too."""
        return max(document.raised_at, document.decided_at or document.raised_at)

    def matter(self, document: Flag) -> object:
        """Its state: an open flag is an alarm, whatever its numbers grow to."""
        return document.state

    def is_retracted(self, document: Flag) -> bool:
        """Whether its state says so."""
        return document.state is FlagState.RETRACTED

    def same_matter(self, retracted: Flag, document: Flag) -> bool:
        """Whether both tell of one lane, at times that overlap."""
        return (
            _lane(retracted) == _lane(document)
            and (retracted.closed_at is None or document.onset_at <= retracted.closed_at)
            and (document.closed_at is None or retracted.onset_at <= document.closed_at)
        )

    def over_at(self, document: Flag) -> datetime | None:
        """When it was decided that the change is over; None while the flag is open."""
        if document.state is FlagState.OPEN:
            return None
        return max(document.alarm_at, document.decided_at or document.alarm_at)


def _lane(flag: Flag) -> tuple[Any, ...]:
    cell = (flag.tenant, flag.source, flag.service, flag.client)
    return (*cell, flag.signal, flag.family, flag.error_code)
