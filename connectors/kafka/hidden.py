"""Secrets among the options of a client."""

from __future__ import annotations


class Hidden(str):
    """A text that its repr does not show: libraries print their options in debug lines."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'(hidden)'"
