"""The tree of routes: where an incident goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.notify.matchers import all_match

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.notify.matchers import Labels
    from pipeline.notify.settings import Route


def routes_of(root: Route, labels: Labels) -> list[Route]:
    """The routes that take an incident, in order.

    Of the children of a route the first one that matches takes it, and those behind only if that
    one goes on. A route none of whose children matches takes it itself.
    """
    return list(_walk(root, labels)) if all_match(root.matchers, labels) else []


def _walk(route: Route, labels: Labels) -> Iterator[Route]:
    taken = False
    for child in route.children:
        if all_match(child.matchers, labels):
            taken = True
            yield from _walk(child, labels)
            if not child.goes_on:
                break
    if not taken:
        yield route


def by_sink(root: Route, labels: Labels) -> dict[str, Route]:
    """The destinations of an incident, each by the first route that names it."""
    found: dict[str, Route] = {}
    for route in routes_of(root, labels):
        for sink in route.sinks:
            found.setdefault(sink, route)
    return found
