"""Whether this machine's clock and a service's agree."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pipeline.runtime.checking.finding import Finding, State

# From a minute on, arrival times and leads are visibly wrong; from five minutes on, Entra and
# others refuse what is signed here.
_WARN: Final = timedelta(seconds=60)
_FAIL: Final = timedelta(seconds=300)


def agreed(where: str, skew: timedelta) -> Finding:
    """The finding on a clock; ``skew`` is how far the service's is ahead of ours."""
    seconds = abs(skew.total_seconds())
    side = "behind" if skew > timedelta(0) else "ahead of"
    if abs(skew) < _WARN:
        return Finding(where, "clock", State.OK, f"within {seconds:.0f} s of the service's")
    return Finding(
        where,
        "clock",
        State.FAIL if abs(skew) >= _FAIL else State.WARN,
        f"this machine's clock is {seconds:.0f} s {side} the service's",
        "have it set by NTP (timedatectl set-ntp true, or the host's time service)",
    )
