"""What is never changed once it is made, and so shared by all copies of a state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


class Frozen:
    """Base of frozen dataclasses whose arrays nobody writes to.

    A live bank is copied each time the hours still open are judged; its lanes and the day
    of judgements it keeps (12 MB of 450 lanes) are most of it and are not copied.
    """

    __slots__ = ()

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Self:
        """The same object."""
        return self
