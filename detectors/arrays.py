"""State made of numpy arrays with one row a lane: growing, writing down, reading back."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class LaneArrays:
    """Base of dataclasses whose fields are all arrays of shape (lanes, ...)."""

    __slots__ = ()

    def grow(self, lanes: int) -> None:
        """Add zero rows until there are ``lanes``."""
        for item in fields(self):  # type: ignore[arg-type] # every subclass is a dataclass
            old = getattr(self, item.name)
            if len(old) < lanes:
                more = np.zeros((lanes - len(old), *old.shape[1:]), old.dtype)
                setattr(self, item.name, np.concatenate([old, more]))

    def take(self, lanes: NDArray[np.int64]) -> Self:
        """A copy of some rows."""
        rows = (getattr(self, item.name)[lanes] for item in fields(self))  # type: ignore[arg-type] # every subclass is a dataclass
        return type(self)(*rows)

    def put(self, lanes: NDArray[np.int64], rows: Self) -> None:
        """Write rows back to where :meth:`take` took them from."""
        for item in fields(self):  # type: ignore[arg-type] # every subclass is a dataclass
            getattr(self, item.name)[lanes] = getattr(rows, item.name)

    def snapshot(self) -> dict[str, Any]:
        """All arrays as lists of plain numbers."""
        return {
            item.name: getattr(self, item.name).tolist()
            for item in fields(self)  # type: ignore[arg-type] # every subclass is a dataclass
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave, bit for bit.

        Raises:
            KeyError, ValueError: the snapshot is of another shape.
        """
        for item in fields(self):  # type: ignore[arg-type] # every subclass is a dataclass
            old = getattr(self, item.name)
            new = np.array(state[item.name], dtype=old.dtype)
            setattr(self, item.name, new.reshape(-1, *old.shape[1:]))
