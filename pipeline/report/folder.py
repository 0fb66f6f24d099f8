"""The output folder, read back: whatever is there, line by line, damage counted."""

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


class Folder:
    """Reads the documents of one output folder; files that are missing are empty.

    Attributes:
        path: the folder.
        damaged: lines that could not be read, by file name (a run that was killed leaves
            half a line at most).
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``.

        Raises:
            ConfigError: there is no such folder.
        """
        if not path.is_dir():
            raise ConfigError(
                f"{path}: no such folder; give the folder that `outrider backfill --out` wrote"
            )
        self.path = path
        self.damaged: dict[str, int] = {}

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The JSON objects of one NDJSON file."""
        path = self.path / name
        if not path.exists():
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
