"""What the trainer knows of a task: the loss of a batch, and which numbers of a validation are better.

B rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lmkit.checkpoint import Array
from lmkit.nn.network import Network, State
from lmkit.training.batches import Batch

Arrays = Mapping[str, Array]
Tensors = Mapping[str, Tensor]


class Loss(NamedTuple):
    """The loss of some rows, summed over their predictions: the trainer divides by the weight of the whole batch.

    total  what is minimised, ()
    sums   what is reported of it, by name, () each and detached; the same names for all rows, the loss first
    state  what the network carries to the rows' next stretch of text
    """

    total: Tensor
    sums: Tensors
    state: State


class Merit(NamedTuple):
    """The number of a validation that says which weights are better, and whether the higher one is."""

    name: str
    higher: bool

    def of(self, numbers: Mapping[str, float]) -> float:
        """Return the merit, higher where weights are better."""
        return numbers[self.name] if self.higher else -numbers[self.name]


class Objective(ABC):
    """A task to train for, with the settings that are its own."""

    merits: ClassVar[Mapping[str, Merit]]
    """Merits by the names that `TrainingConfig.select_by` takes; the first is meant where none is named."""

    @abstractmethod
    def loss(self, network: Network, batch: Tensors, state: State) -> Loss:
        """Return the loss of the rows of a batch, whose arrays are tensors on the network's device."""

    @abstractmethod
    def without_predictions(self, arrays: Arrays) -> Arrays:
        """Return the same rows with nothing to predict: their loss is 0, and so are its gradients."""

    def prepare(self, batch: Batch) -> Batch:
        """Return a batch as it is learned from; its weight is what the loss is divided by."""
        return batch

    def initial(self, network: Network, rows: int) -> State:
        """Return the state of B rows that begin anew."""
        return None

    def numbers(self, sums: Mapping[str, float], weight: int) -> Mapping[str, float]:
        """Return what is reported of losses whose sums, and whose weight together, are given: means by name."""
        return {name: total / max(1, weight) for name, total in sums.items()}

    def merit(self, select_by: str | None) -> Merit:
        """Return the merit of a name, the first one without."""
        return self.merits[select_by] if select_by is not None else next(iter(self.merits.values()))


def tensors_of(arrays: Arrays, device: torch.device) -> Tensors:
    """Return the rows of a batch on a device; integers become int64."""
    return {name: torch.from_numpy(_widened(array)).to(device) for name, array in arrays.items()}


def _widened(array: Array) -> Array:
    return array.astype(np.int64) if array.dtype.kind in "iu" else array
