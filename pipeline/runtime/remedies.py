"""What each reason of a dead letter means, and what to do about it."""

from __future__ import annotations

from typing import Final, NamedTuple

from pipeline.model.dead_letter import JUDGING_FAILED, REFUSED_BY_SINK, UNREADABLE_MESSAGE
from pipeline.model.reject import RejectReason


class Remedy(NamedTuple):
    """One sentence each; ``replay`` tells whether a letter may be tried again as it is."""

    meaning: str
    remedy: str
    replay: bool = False


# A file is known by its path, size and time of change, and a record by its id.
READ_AGAIN: Final = (
    "a file that has changed is read again as a whole, and what was counted counts once"
)
_REMEDIES: Final[dict[str, Remedy]] = {
    RejectReason.NOT_JSON: Remedy("text that is no JSON", "export the file again"),
    RejectReason.TRUNCATED: Remedy(
        "the file ends within a record", "copy the file again, once it is complete"
    ),
    RejectReason.TOO_LONG: Remedy(
        "longer than any record", "look whether the file is a log, and export it again"
    ),
    RejectReason.TOO_DEEP: Remedy(
        "nested deeper than any record", "look whether the file is a log, and export it again"
    ),
    RejectReason.BAD_ENCODING: Remedy("no UTF-8", "save the file as UTF-8"),
    RejectReason.UNKNOWN_SHAPE: Remedy(
        "a form of log that is not known", "export in a known form, or take the file away"
    ),
    RejectReason.MISSING_FIELD: Remedy(
        "a record without a field it needs", "export again with all columns"
    ),
    RejectReason.BAD_TIME: Remedy(
        "a time that cannot be read", "export again with times in ISO 8601"
    ),
    RejectReason.BAD_VALUE: Remedy("a field of another kind", "export again, without editing"),
    RejectReason.WRONG_WIDTH: Remedy(
        "a row of a table with more or fewer columns than its header",
        "export the table again, with quotes around text",
    ),
    RejectReason.UNREADABLE: Remedy(
        "a file that cannot be opened or unpacked", "check the path, its permissions and the file"
    ),
    RejectReason.TOO_LARGE: Remedy("larger than may be unpacked", "split the file"),
    UNREADABLE_MESSAGE: Remedy(
        "a batch that this version could not read",
        "bring all parts to one version, then replay",
        replay=True,
    ),
    JUDGING_FAILED: Remedy(
        "a fault of the program while judging",
        "report it; replay with a version without the fault",
        replay=True,
    ),
    REFUSED_BY_SINK: Remedy(
        "a destination refused a flag or an incident",
        "see the log of the destination, set it right, then replay",
        replay=True,
    ),
}
_UNKNOWN: Final = Remedy("a reason of another version", "look at it with the newest version")


def remedy(reason: str) -> Remedy:
    """What to do about a reason; of one that is not known, that too."""
    return _REMEDIES.get(reason, _UNKNOWN)
