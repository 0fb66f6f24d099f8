"""The output folder, read back: whatever is there, line by line, damage counted.

A run writes flags and incidents as a backfill does, and keeps the rest in its ledger; who follows
topics has a ledger alone. A file that is missing is read from there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pipeline.model.advisory import Advisory, Impact
from pipeline.model.documents import from_json
from pipeline.model.errors import ConfigError
from pipeline.model.flag import Flag
from pipeline.model.incident import Incident, IncidentState, Severity
from pipeline.model.vocabulary import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_T = TypeVar("_T")

SEVERITY_ORDER: Final = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)
STATE_ORDER: Final = (
    IncidentState.OPEN,
    IncidentState.RECOVERING,
    IncidentState.RESOLVED,
    IncidentState.RETRACTED,
)


# One of these is in every folder that we wrote, and in none of exported logs.
_LEDGERS: Final = ("ledger.sqlite", "followed.sqlite")
_WRITTEN: Final = (
    "incidents.ndjson",
    "flags.ndjson",
    "summary.json",
    "advisories.ndjson",
    "impacts.ndjson",
    *_LEDGERS,
)


def is_ours(path: Path) -> bool:
    """Whether a path is a folder that a backfill or a run wrote."""
    return any((path / name).is_file() for name in _WRITTEN)


class Folder:
    """Reads the documents of one output folder; files that are missing are empty.

    Attributes:
        path: the folder.
        ledger: of the run, or of who follows topics; None = a backfill wrote the folder.
        damaged: lines that could not be read, by file name (a run that was killed leaves
            half a line at most).
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``.

        Raises:
            ConfigError: there is no such folder, or something else is in it.
        """
        if not path.is_dir():
            raise ConfigError(
                f"{path}: no such folder; give the folder that `outrider backfill --out` or "
                "`outrider run --state` wrote"
            )
        if not is_ours(path):
            raise ConfigError(
                f"{path}: not a folder that a backfill or a run wrote; give that of `outrider "
                "backfill --out` or `outrider run --state`"
            )
        self.path = path
        ledgers = [path / n for n in _LEDGERS if (path / n).is_file()]
        self.ledger = next((p for p in ledgers if p.stat().st_size), None)
        self.damaged: dict[str, int] = {}

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The JSON objects of one NDJSON file; of a run, those of its ledger if there is none.

        Raises:
            OutriderError: the ledger cannot be read.
        """
        path = self.path / name
        if not path.exists():
            if self.ledger is not None:
                from pipeline.report.kept import kept  # noqa: PLC0415 # runs only

                yield from kept(self.ledger, name)
            return
        with path.open("rb") as file:
            for line in file:
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError):
                    value = None
                if isinstance(value, dict):
                    yield value
                elif line.strip():
                    self._damage(name)

    def documents(self, kind: type[_T], name: str) -> Iterator[_T]:
        """The documents of one NDJSON file, in order of the file."""
        for value in self.lines(name):
            try:
                document = from_json(kind, value)
            except (TypeError, ValueError, KeyError, AttributeError):
                self._damage(name)
            else:
                yield document

    def incidents(self) -> list[list[Incident]]:
        """Every incident as the list of its revisions, the most pressing incident first."""
        found: dict[str, dict[int, Incident]] = {}
        for item in self.documents(Incident, "incidents.ndjson"):
            found.setdefault(item.incident_id, {})[item.revision] = item
        histories = [[h[r] for r in sorted(h)] for h in found.values()]
        return sorted(histories, key=lambda h: urgency(h[-1]))

    def flags(self) -> dict[str, Flag]:
        """The last revision of every flag, by id."""
        return _last((f.flag_id, f.revision, f) for f in self.documents(Flag, "flags.ndjson"))

    def advisories(self) -> dict[str, Advisory]:
        """The last version of every advisory, by id, in order of the file."""
        return {a.advisory_id: a for a in self.documents(Advisory, "advisories.ndjson")}

    def impacts(self) -> dict[str, Impact]:
        """What each advisory means for us, by its id."""
        return {i.advisory_id: i for i in self.documents(Impact, "impacts.ndjson")}

    def summary(self) -> dict[str, Any]:
        """The summary of the run, or an empty one."""
        try:
            value = json.loads((self.path / "summary.json").read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            self._damage("summary.json")
            return {}
        return value if isinstance(value, dict) else {}

    def _damage(self, name: str) -> None:
        self.damaged[name] = self.damaged.get(name, 0) + 1


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything of one folder that is small enough to hold; the timeline is streamed.

    ``histories`` are the incidents, the most pressing first, each a list of revisions.
    """

    histories: list[list[Incident]]
    flags: dict[str, Flag]
    advisories: dict[str, Advisory]
    impacts: dict[str, Impact]
    summary: dict[str, Any]
    damaged: dict[str, int] = field(default_factory=dict)


def read(path: Path) -> Contents:
    """Read the folder.

    Raises:
        ConfigError: there is no such folder.
    """
    folder = Folder(path)
    histories = folder.incidents()
    wanted = {i for h in histories for i in h[-1].flag_ids}
    flags = {k: v for k, v in folder.flags().items() if k in wanted}
    return Contents(
        histories,
        flags,
        folder.advisories(),
        folder.impacts(),
        folder.summary(),
        folder.damaged,
    )


def urgency(incident: Incident) -> tuple[Any, ...]:
    """Sort key: what still goes on, then how bad, then Microsoft's fault, then the latest."""
    return (
        incident.state.over,
        SEVERITY_ORDER.index(incident.severity),
        incident.verdict is not Verdict.SERVICE_OUTAGE,
        STATE_ORDER.index(incident.state),
        -incident.onset_at.timestamp(),
        incident.incident_id,
    )


def _last(items: Iterable[tuple[str, int, _T]]) -> dict[str, _T]:
    best: dict[str, tuple[int, _T]] = {}
    for key, revision, item in items:
        if key not in best or revision >= best[key][0]:
            best[key] = (revision, item)
    return {key: item for key, (_, item) in best.items()}
