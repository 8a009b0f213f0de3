"""What the networks of all families share: weights in and out under the families' names, and the forward pass.

B batch, T time, D width, V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lmkit.architectures.config import ModelConfig
from lmkit.checkpoint import Array
from lmkit.nn.sharded_tensors import gather_tensor, shard_tensor

State = Any
"""What a network carries from one stretch of text to the next: one tensor or a tuple of them; None without a state."""
ROW_AXIS = -2
"""The axis of rows in every tensor of a state, (..., B, N)."""


class ParameterSlice(NamedTuple):
    """A parameter of a module, and the rows of it that belong to one tensor; None: all of them."""

    parameter: str
    begin: int = 0
    end: int | None = None

    def of(self, tensor: Any) -> Any:
        """The rows of a tensor or array."""
        return tensor if self.end is None else tensor[self.begin : self.end]


class Network(nn.Module, ABC):
    """A language model's network. `forward` gives hidden vectors, `logits` what they say of the next token."""

    settings: ModelConfig
    embed_tokens: nn.Embedding
    places: Mapping[str, ParameterSlice]
    """Where this module keeps the tensor of every name of the family's."""

    def initial(self, rows: int, start: int) -> State:
        """The state at the beginning of documents in B rows; `start` is their start token."""
        return None

    @abstractmethod
    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Hidden vectors, (B, T, D), of ids, (B, T), and the state after them."""

    @abstractmethod
    def logits(self, hidden: Tensor) -> Tensor:
        """Logits, (..., V), of hidden vectors, (..., D)."""

    @abstractmethod
    def initialise(self, generator: torch.Generator) -> None:
        """Fills the weights with their first values."""

    def compile_parts(self, **options: Any) -> bool:
        """Compile the parts of the network that do not depend on the shapes of a batch, in place.

        Return False where it has none such: then all of it is to be compiled. `options` are those of torch.compile.
        """
        return False

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embed_tokens.weight.device

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of weights by the families' names."""
        own = dict(self.named_parameters())
        return {name: place.of(own[place.parameter]) for name, place in self.places.items()}

    def matrices(self) -> dict[str, list[int]]:
        """Parameters of this module that are matrices between hidden vectors, and the rows of the maps in each."""
        rows: dict[str, list[int]] = {}
        for name in self.settings.matrices():
            place = self.places[name]
            blocks = self.settings.gates
            height = self.settings.shapes()[name][0]
            rows.setdefault(place.parameter, []).extend([height // blocks] * blocks)
        return rows

    def tables(self) -> set[str]:
        """Parameters of this module that are embeddings, and may move at a rate of their own."""
        return set()

    def to_arrays(self) -> dict[str, Array]:
        """Copies of the weights, float32."""
        own = {name: to_array(tensor) for name, tensor in self.named_parameters()}
        return {name: np.ascontiguousarray(place.of(own[place.parameter])) for name, place in self.places.items()}

    def load_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Takes weights over from arrays of the same names and shapes."""
        with torch.no_grad():
            for name, tensor in self.named_parameters():
                here = type(tensor) is nn.Parameter and tensor.device.type == "cpu" and tensor.dtype == torch.float32
                full = tensor if here else torch.empty(tensor.shape)
                rows = full.detach().numpy()
                for own, place in self.places.items():
                    if place.parameter == name:
                        place.of(rows)[...] = arrays[own]
                if not here:
                    tensor.copy_(shard_tensor(full, tensor))


def to_array(tensor: Tensor) -> Array:
    """A copy of a tensor, the whole of it where processes share it, float32."""
    return np.array(gather_tensor(tensor).detach().float().cpu().numpy())


def uniform(tensor: Tensor, generator: torch.Generator, scale: float) -> None:
    """Fills a tensor evenly from -scale to scale."""
    with torch.no_grad():
        tensor.uniform_(-scale, scale, generator=generator)


def normal(tensor: Tensor, generator: torch.Generator, deviation: float) -> None:
    """Fills a tensor from a normal distribution around 0."""
    with torch.no_grad():
        tensor.normal_(0.0, deviation, generator=generator)
