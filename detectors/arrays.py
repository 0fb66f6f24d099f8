"""State made of numpy arrays with one row a lane: growing, writing down, reading back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray


class LaneArrays:
    """Base of dataclasses whose fields are all arrays of shape (lanes, ...)."""

    __slots__ = ()

    def grow(self, lanes: int) -> None:
        """Add zero rows until there are ``lanes``."""
        for name in self._names():
            old = getattr(self, name)
            if len(old) < lanes:
                more = np.zeros((lanes - len(old), *old.shape[1:]), old.dtype)
                setattr(self, name, np.concatenate([old, more]))

    def copy(self) -> Self:
        """A copy of all rows."""
        return type(self)(*(array.copy() for array in self.arrays()))

    def take(self, lanes: NDArray[np.int64]) -> Self:
        """A copy of some rows."""
        return type(self)(*(array[lanes] for array in self.arrays()))

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All arrays, in the order of the fields."""
        return tuple(getattr(self, name) for name in self._names())

    def put(self, lanes: NDArray[np.int64], rows: Self) -> None:
        """Write rows back to where :meth:`take` took them from."""
        for name in self._names():
            getattr(self, name)[lanes] = getattr(rows, name)

    def snapshot(self) -> dict[str, Any]:
        """All arrays as lists of plain numbers."""
        return {name: getattr(self, name).tolist() for name in self._names()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave, bit for bit.

        Raises:
            KeyError, ValueError: the snapshot is of another shape.
        """
        for name in self._names():
            old = getattr(self, name)
            new = np.array(state[name], dtype=old.dtype)
            setattr(self, name, new.reshape(-1, *old.shape[1:]))

    def _names(self) -> Iterable[str]:
        """The fields; ``dataclasses.fields`` takes as long as the copies of five of them."""
        names: Iterable[str] = self.__dataclass_fields__  # type: ignore[attr-defined] # every subclass is a dataclass
        return names
