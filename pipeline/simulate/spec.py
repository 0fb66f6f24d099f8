"""What to simulate, and what came of it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.simulate.outage import Outage

SCENARIOS: Final[dict[str, str]] = {
    "quiet": "no incident: daily life, background failures, throttled mailboxes",
    "ex1256020": "outage: Outlook mobile and new Outlook for Mac, silent in the sign-in log, "
    "declared restored too early and relisted",
    "all_protocols": "outage: OWA, classic Outlook, ActiveSync, IMAP4 and EWS for five hours",
    "office_copilot": "outage: Office.com and Copilot sign-ins overloaded for some hours",
    "imap4": "outage: IMAP4 intermittently over two days",
    "classic_outlook": "outage: classic Outlook refused (401) for one working day",
    "password_spray": "confounder: thousands of wrong passwords from a few foreign networks",
    "retry_storm": "confounder: one device failing 20 to 40 times a minute, twice",
    "conditional_access": "confounder: a policy change blocks Outlook mobile and OWA for 2 h",
    "expired_certificate": "confounder: the token-signing certificate of the federation expires",
    "office_network": "confounder: one office's network is down for 3 h at midday",
    "audit_gap": "confounder: 6 h of audit records are never delivered",
    "holiday": "confounder: a public holiday, activity at 15 %",
    "migration": "confounder: 30 % of classic Outlook users move to new Outlook in 2 weeks",
    "daylight_saving": "confounder: the clock changes of New York and Berlin fall inside",
}

SIGNIN_FORMS: Final = (
    "eventhub",
    "graph_beta",
    "graph_v1",
    "jsonl",
    "log_analytics_csv",
    "storage_blob",
    "portal_csv",
)
AUDIT_FORMS: Final = ("activity_api", "jsonl", "purview_csv", "search_ual_csv", "graph_query")
COMPRESSIONS: Final = ("none", "gzip", "zstd")
PARTS: Final = ("signins", "audit", "directory", "advisories")

# A Monday three weeks before EX1256020 began; the four weeks after it hold both the
# American (8 March) and the European (29 March) clock change of 2026.
DEFAULT_START: Final = datetime(2026, 3, 2, tzinfo=UTC)
# With the clock changes as the subject, three working days must follow the last one.
DAYLIGHT_START: Final = datetime(2026, 3, 4, tzinfo=UTC)

# The outage needs a Thursday and the Friday of the week after; the move takes 14 days.
_MIN_WEEKS: Final = {"ex1256020": 2, "migration": 3, "daylight_saving": 4}


@dataclass(frozen=True, slots=True)
class SimulationSpec:
    """One simulated tenant; the same spec gives the same bytes.

    Attributes:
        scenarios: names of SCENARIOS; several may be combined, none means quiet.
        users: members of the tenant (guests, service mailboxes come on top).
        weeks: length; incidents fall into the last two weeks.
        seed: of every random draw.
        start: first moment, UTC; None chooses the calendar of March 2026.
        tenant_id: None derives a GUID from the seed.
        signin_form: one of SIGNIN_FORMS.
        audit_form: one of AUDIT_FORMS.
        compression: one of COMPRESSIONS.
        full_records: whether records carry everything a real one does (about 4 KB a
            sign-in, 2 KB an audit record) or only what typing needs (600 to 800 bytes).
        without: parts not to write, of PARTS.
        dirty: whether one record in about 20,000 is damaged.
        outages: outages made to order, beside those of the scenarios.

    Raises:
        ConfigError: a name is unknown or the period is too short for a scenario.
    """

    scenarios: tuple[str, ...] = ("quiet",)
    users: int = 500
    weeks: int = 4
    seed: int = 1
    start: datetime | None = None
    tenant_id: str | None = None
    signin_form: str = "eventhub"
    audit_form: str = "activity_api"
    compression: str = "gzip"
    full_records: bool = False
    without: tuple[str, ...] = ()
    dirty: bool = True
    outages: tuple[Outage, ...] = ()

    def __post_init__(self) -> None:
        _known("scenario", self.scenarios, SCENARIOS)
        _known("sign-in form", (self.signin_form,), SIGNIN_FORMS)
        _known("audit form", (self.audit_form,), AUDIT_FORMS)
        _known("compression", (self.compression,), COMPRESSIONS)
        _known("part to leave out", self.without, PARTS)
        if self.users < 10:
            raise ConfigError(f"users is {self.users}: a tenant needs at least 10")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}: give a number from 0")
        least = max([1, *(_MIN_WEEKS.get(s, 1) for s in self.scenarios)])
        if self.weeks < least:
            raise ConfigError(
                f"weeks is {self.weeks}: {', '.join(self.scenarios)} needs at least {least}"
            )
        if self.start is not None and self.start.tzinfo is None:
            raise ConfigError("start has no time zone: give it in UTC")

    @property
    def begin(self) -> datetime:
        """First moment of the period, UTC midnight."""
        default = DAYLIGHT_START if "daylight_saving" in self.scenarios else DEFAULT_START
        moment = (self.start or default).astimezone(UTC)
        return moment.replace(hour=0, minute=0, second=0, microsecond=0)

    @property
    def end(self) -> datetime:
        """The moment after the period."""
        return self.begin + timedelta(weeks=self.weeks)

    @property
    def tenant(self) -> str:
        """The tenant's GUID."""
        if self.tenant_id is not None:
            return self.tenant_id
        raw = bytearray(stream(self.seed, "tenant").bytes(16))
        return guid(bytes(raw).hex())

    def wants(self, part: str) -> bool:
        """Whether ``part`` (of PARTS) is to be written."""
        return part not in self.without


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What :func:`pipeline.simulate.run.simulate` wrote.

    ``records`` counts by part the rows written, redelivered ones included; ``bytes`` is
    the size on disk of all files together.
    """

    out: Path
    tenant: str
    begin: datetime
    end: datetime
    labels: Path
    records: dict[str, int] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0


def stream(seed: int, name: str, *numbers: int) -> np.random.Generator:
    """A generator of its own for every purpose, so that one scenario moves no other draw."""
    entropy = (seed, zlib.crc32(name.encode()), *(n & 0xFFFFFFFF for n in numbers))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def guid(digits: str) -> str:
    """Write 32 hexadecimal digits as a GUID of version 4."""
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _known(what: str, given: tuple[str, ...], allowed: dict[str, str] | tuple[str, ...]) -> None:
    for name in given:
        if name not in allowed:
            raise ConfigError(f"unknown {what} {name!r}: choose from {', '.join(allowed)}")
