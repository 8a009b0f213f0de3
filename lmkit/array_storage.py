"""Where growing arrays live while counts are made: in memory here, on disk through the edge room."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Writer(Protocol):
    """An array that is written from front to back and then read."""

    def append(self, values: Array) -> None:
        """Adds values at the end."""

    def finish(self) -> Array:
        """The whole array; nothing can be added any more."""


class Storage(Protocol):
    """A place for arrays."""

    def writer(self, dtype: Any) -> Writer:
        """A new, empty array."""

    def release(self) -> None:
        """Lets go of memory that can be had again, such as mapped pages."""


class _ListWriter:
    def __init__(self, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._pieces: list[Array] = []

    def append(self, values: Array) -> None:
        self._pieces.append(values.astype(self._dtype, copy=False))

    def finish(self) -> Array:
        pieces, self._pieces = self._pieces, []
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=self._dtype)


class Memory:
    """Arrays in memory."""

    def writer(self, dtype: Any) -> Writer:
        """A new, empty array."""
        return _ListWriter(dtype)

    def release(self) -> None:
        """Nothing: what is in memory stays."""
