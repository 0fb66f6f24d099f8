"""Advisories from files: exports and archives of Graph ``serviceHealthIssue``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from connectors.advisories.issue import IssueError, is_message, read_issue
from connectors.advisories.unpack import InputError, find_files, read_text
from connectors.advisories.versions import in_order, version_key
from pipeline.model.contracts import AdvisoryPoll
from pipeline.model.errors import StateError
from pipeline.model.reject import Reject, RejectReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.model.advisory import Advisory
    from pipeline.model.contracts import Cursor

_CURSOR_VERSION: Final = 1


class FileAdvisoryFeed:
    """Reads every version of every advisory from files, folders and globs.

    Forms, told apart by content: one issue; an array; a Graph page ``{"value": [...]}``;
    health overviews with expanded ``issues``; JSON lines of any of these; each plain, gzip
    or zstd, in UTF-8 or UTF-16. Message Center posts are ignored and counted. Records that
    cannot be used become rejects and the rest goes on.

    Args:
        paths: files, folders (read with all they hold) and glob patterns.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = tuple(paths)

    def changed_since(self, cursor: Cursor | None) -> AdvisoryPoll:
        """Return the versions not yet told of, ordered by id and time of modification.

        The cursor holds one hash per version that is still there: ``{"v": 1, "seen": [...]}``.
        A version is told once, however often and in whatever form it is found; one that was
        taken away and comes back is told again.

        Raises:
            StateError: the cursor is of another version.
        """
        seen = _seen(cursor)
        there: set[str] = set()
        advisories: dict[str, Advisory] = {}
        rejects: list[Reject] = []
        received = ignored = 0
        for record in self._records(rejects):
            received += 1
            path, number, data = record
            try:
                if not isinstance(data, dict):
                    raise IssueError(RejectReason.UNKNOWN_SHAPE, "want a JSON object")  # noqa: TRY301 # same handling as the reader's own
                if is_message(data):
                    ignored += 1
                    continue
                key = version_key(data)
                there.add(key)
                if key not in seen and key not in advisories:
                    advisories[key] = read_issue(data)
            except IssueError as error:
                rejects.append(Reject(path, error.reason, error.detail, record=number))
        return AdvisoryPoll(
            advisories=sorted(advisories.values(), key=in_order),
            rejects=rejects,
            # A folder that is away as a whole comes back as it was.
            cursor={"v": _CURSOR_VERSION, "seen": sorted(seen & there | advisories.keys() or seen)},
            received=received,
            ignored=ignored,
        )

    def _records(self, rejects: list[Reject]) -> Iterator[tuple[str, int, Any]]:
        for path in find_files(self._paths, rejects):
            try:
                text = read_text(path)
            except InputError as error:
                rejects.append(Reject(path, error.reason, error.detail))
                continue
            for number, data in enumerate(_decode(path, text, rejects)):
                yield path, number, data


def _seen(cursor: Cursor | None) -> set[str]:
    if cursor is None:
        return set()
    if cursor.get("v") != _CURSOR_VERSION or not isinstance(cursor.get("seen"), list):
        raise StateError(
            f"advisory cursor: want version {_CURSOR_VERSION} with a list 'seen'; "
            "delete the stored cursor to read all advisories again"
        )
    return set(cursor["seen"])


def _decode(path: str, text: str, rejects: list[Reject]) -> Iterator[Any]:
    """Decode a whole document, else line by line; what neither gives becomes rejects."""
    try:
        whole = json.loads(text)
    except RecursionError:
        rejects.append(Reject(path, RejectReason.TOO_DEEP, "nested too deep to be an advisory"))
        return
    except ValueError as error:
        yield from _decode_lines(path, text, rejects, error)
        return
    yield from _flatten(whole)


def _decode_lines(path: str, text: str, rejects: list[Reject], error: ValueError) -> Iterator[Any]:
    lines = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        return
    if len(lines) == 1 or not lines[0][1].strip().endswith("}"):
        rejects.append(_not_json(path, error, None))
        return
    for number, line in lines:
        try:
            data = json.loads(line)
        except RecursionError:
            rejects.append(Reject(path, RejectReason.TOO_DEEP, "nested too deep", line=number))
        except ValueError as cause:
            rejects.append(_not_json(path, cause, number))
        else:
            yield from _flatten(data)


def _not_json(path: str, error: ValueError, line: int | None) -> Reject:
    place = ""
    if isinstance(error, json.JSONDecodeError):
        line = error.lineno if line is None else line
        place = f" at column {error.colno}"
    return Reject(
        path, RejectReason.NOT_JSON, f"no JSON{place}; export the issues again as JSON", line=line
    )


def _flatten(data: Any) -> Iterator[Any]:
    """Give the records of arrays, Graph pages and health overviews."""
    stack = [data]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, dict):
            inner = _inner(item)
            if inner is None:
                yield item
            else:
                stack.extend(reversed(inner))
        else:
            yield item


def _inner(item: dict[str, Any]) -> list[Any] | None:
    names = {k.casefold(): v for k, v in item.items()}
    for name in ("value", "issues"):
        if isinstance(names.get(name), list) and "posts" not in names and "title" not in names:
            return list(names[name])
    return None
