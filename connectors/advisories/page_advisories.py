"""Entries of a status page that are in trouble, as advisories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.advisories.announcement import announced
from connectors.advisories.reading import read_post, read_stated, service_names
from connectors.advisories.versions import version_key
from pipeline.model.advisory import Advisory, Post
from pipeline.model.clock import parse_rfc3339, rfc3339
from pipeline.model.ids import content_id
from pipeline.model.vocabulary import Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from connectors.advisories.page_feed import Entry

ORIGIN: Final = "status_page"


def follow(
    before: Mapping[str, Mapping[str, Any]],
    entries: Iterable[Entry],
    looked: datetime | None,
    at: datetime,
) -> tuple[dict[str, dict[str, Any]], list[Advisory]]:
    """What one look at the page changes; pure.

    Args:
        before: what the last look left: by entry, what was told of it.
        entries: of this look.
        looked: when the last look was; None = there was none.
        at: the moment of this look.

    Returns:
        What to hand in at the next look, and the versions to tell.
    """
    after: dict[str, dict[str, Any]] = {}
    told: list[Advisory] = []
    well = set()
    for entry in entries:
        if entry.well:
            well.add(entry.name)
            continue
        held = dict(before.get(entry.name, {}))
        said = {"title": entry.title, "text": entry.text, "status": entry.status}
        key, keys = version_key(said), held.get("keys", [])
        if key not in keys:
            since = held.get("since") or rfc3339(_since(entry, looked, at))
            held = {
                **said,
                "name": entry.name,
                "consumer": entry.consumer,
                "since": since,
                # The first version was there when the entry appeared, the others by now.
                "at": rfc3339(at) if held else since,
                "keys": [*keys, key],
            }
            told.append(_advisory(held))
        after[entry.name] = held
    for name in before.keys() - after.keys():
        over = "serviceRestored" if name in well else "resolved"
        told.append(_advisory({**before[name], "at": rfc3339(at)}, over))
    return after, told


def advisories(held: Mapping[str, Mapping[str, Any]]) -> list[Advisory]:
    """The versions that were told last of what is still in trouble."""
    return [_advisory(v) for v in held.values()]


def _since(entry: Entry, looked: datetime | None, at: datetime) -> datetime:
    """When the trouble was published: at the earliest that can be, so that no lead is a gift."""
    published = entry.published_at
    if published is None or published > at:
        return looked or at
    return published if looked is None else max(published, looked)


def _advisory(held: Mapping[str, Any], over: str = "") -> Advisory:
    title, text, since = held["title"], held["text"], parse_rfc3339(held["since"])
    hint = _services(held)
    post = Post(since, ORIGIN, text or title, read_post(text or title, hint))
    return announced(
        content_id(ORIGIN, held["name"], held["since"]),
        title,
        origin=ORIGIN,
        service_hint=hint,
        service=title if held["status"] else "",
        status=over or held["status"],
        is_resolved=bool(over) or post.reading.restored,
        posts=(post,),
        end_at=parse_rfc3339(held["at"]) if over else None,
        last_modified_at=parse_rfc3339(held["at"]),
        stated=read_stated(title, "", hint),
    )


def _services(held: Mapping[str, Any]) -> tuple[Service, ...]:
    """The services that the entry is about; () = the whole suite."""
    if held["consumer"]:  # Outlook.com is no Exchange Online
        return (Service.OTHER,)
    named = read_post(held["text"], ()).services or service_names(held["title"]) or ()
    if not named and not held["status"]:
        return (Service.OTHER,)  # of Azure, and of nothing that mail leans on
    return tuple(named)
