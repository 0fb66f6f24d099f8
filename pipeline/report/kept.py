"""What a ledger keeps, as the lines of the files that a backfill writes."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from pipeline.ledger.periods import PeriodReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# By name of the file: kind of the documents.
_KINDS: Final = {"incidents.ndjson": "incident", "flags.ndjson": "flag"}
_PORTION: Final = 1000


def kept(ledger: Path, name: str) -> Iterator[dict[str, Any]]:
    """The documents that would be in a file; none if a ledger keeps nothing of the kind.

    An impact is that of the tenant that is hit worst.

    Args:
        ledger: of a run, or of who follows topics.
        name: of the file, such as ``incidents.ndjson``.

    Raises:
        OutriderError: the ledger cannot be read.
    """
    with closing(PeriodReader(ledger)) as reader, reader.reading():
        if name in _KINDS:
            after = 0
            while found := reader.documents(after=after, kind=_KINDS[name], limit=_PORTION):
                yield from (d.document for d in found)
                after = found[-1].seq
        elif name == "advisories.ndjson":
            yield from (document for document, _ in reader.all_advisories())
        elif name == "impacts.ndjson":
            yield from (impact for _, impact in reader.all_advisories() if impact is not None)
