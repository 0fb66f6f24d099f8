"""What one look found, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final

from pipeline.model.errors import ConfigError, ExitCode, OutriderError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Iterable


class State(StrEnum):
    """How a look ended."""

    OK = "ok"
    WARN = "warn"  # it works, and somebody should look at it
    FAIL = "fail"
    SKIP = "skip"  # it was not tried, since something before it failed


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report (``outrider.finding/1``).

    Attributes:
        where: the source, the sink or the place that was looked at.
        what: was tried: ``name``, ``TLS``, ``token``, ``permission``, ...
        state: how it ended.
        told: what was found, one sentence without a secret or a person's name.
        remedy: what to do, empty where nothing is to be done.
    """

    SCHEMA: ClassVar[str] = "outrider.finding/1"

    where: str
    what: str
    state: State
    told: str
    remedy: str = ""


# "who: what is wrong; what to do", or "who: what is wrong: what to do".
_CUT: Final = re.compile(r"(?P<told>.*?: .*?)(?:; |: )(?P<remedy>.*)", re.DOTALL)


def of_error(where: str, what: str, error: OutriderError) -> Finding:
    """The finding of an error: its message, cut into what is wrong and what to do.

    A service that asks for a pause works: its quota is used up by others just now.
    """
    text = str(error)
    match = None if isinstance(error, ConfigError) else _CUT.fullmatch(text)
    if match is not None:
        told, remedy = match["told"], match["remedy"]
    else:
        told, _, remedy = text.partition("; ")
    if isinstance(error, ThrottledError):
        seconds = "" if error.retry_after is None else f" for {error.retry_after:.0f} s"
        return Finding(
            where,
            what,
            State.WARN,
            f"{told}{seconds}: its quota is used up just now",
            "look who else asks with the same application; the collector waits and goes on",
        )
    return Finding(where, what, State.FAIL, told, remedy or "put that right, and check again")


def skipped(where: str, what: str, reason: str) -> Finding:
    """A look that makes no sense after what was found before."""
    return Finding(where, what, State.SKIP, f"not tried: {reason}")


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """1 if anything fails, 4 if there are warnings only, 0 if all is well."""
    states = {f.state for f in findings}
    if State.FAIL in states:
        return ExitCode.FAILURE
    return ExitCode.PARTIAL_DATA if State.WARN in states else ExitCode.OK
