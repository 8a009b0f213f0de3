"""A language model some of whose tensors are tuned: all, those of some layers, its head, or low-rank adapters.

B sequences, T tokens of the longest, N tokens of all, D hidden size.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from lmkit.architectures.adapters import Adapter
from lmkit.checkpoint import Array
from lmkit.nn.low_rank import LowRankAdapters
from lmkit.nn.network import Network, ParameterSlice, State, to_array
from lmkit.nn.transformer import TransformerNetwork

HEAD = "lm_head."


class TunedLanguageModel(Network):
    """A body and what of it is tuned: `trained` names its tensors that change, no other one does.

    `start` is the token that sequences begin with; `recompute`: see `TransformerNetwork.packed`.
    """

    def __init__(
        self, body: Network, *, trained: Collection[str], adapter: Adapter | None = None, start: int = 0,
        recompute: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.settings, self.body = body.settings, body
        self._start, self._recompute = start, recompute
        moved = {body.places[name].parameter for name in trained}
        for name, parameter in body.named_parameters():
            parameter.requires_grad_(name in moved)
        kept = {name: place for name, place in body.places.items() if place.parameter in moved}
        self.places = {name: place._replace(parameter=f"body.{place.parameter}") for name, place in kept.items()}
        self.adapters = None if adapter is None else LowRankAdapters(body, adapter)
        if self.adapters is not None:
            own = self.adapters.places.items()
            self.places |= {name: ParameterSlice(f"adapters.{place.parameter}") for name, place in own}

    @property
    def device(self) -> torch.device:
        """See `Network.device`."""
        return self.body.device

    def initialise(self, generator: torch.Generator) -> None:
        """First values of adapters; the body stays as it is."""
        if self.adapters is not None:
            self.adapters.initialise(generator)

    def matrices(self) -> dict[str, list[int]]:
        """See `Network.matrices`: none, since fine-tuning moves all tensors by AdamW."""
        return {}

    def initial(self, rows: int, start: int) -> State:
        """See `Network.initial`."""
        return self.body.initial(rows, start)

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """See `Network.forward`."""
        hidden, after = self.body(ids, state)
        return hidden, after

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Network.logits`."""
        return self.body.logits(hidden)

    def states(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the hidden vectors, (N, D), of (B, T) ids of which (B,) count, laid end to end."""
        inside = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        if isinstance(self.body, TransformerNetwork):
            return self.body.packed(ids[inside], lengths.tolist(), recompute=self._recompute and self.training)
        hidden, _ = self.body(ids, self.body.initial(len(ids), self._start))
        found: Tensor = hidden[inside]
        return found

    def to_arrays(self) -> dict[str, Array]:
        """See `Network.to_arrays`; nothing of what stays as it is."""
        own = dict(self.named_parameters())
        return {name: to_array(place.of(own[place.parameter])) for name, place in self.places.items()}

    @contextmanager
    def untuned(self) -> Iterator[None]:
        """Without the adapters meanwhile: the model that they are beside."""
        if self.adapters is None:
            yield
            return
        self.adapters.active = False
        try:
            yield
        finally:
            self.adapters.active = True


def tuned_tensors(body: Network, mode: str, layers: tuple[int, int] | None = None) -> set[str]:
    """Return the tensors that train: of `all` all, of `head` the untied output layer, of `layers` those of some.

    Layers count from 0. Of other modes none train.
    """
    if mode == "all":
        return set(body.places)
    if mode == "head":
        return {name for name in body.places if name.startswith(HEAD)}
    if mode != "layers" or layers is None:
        return set()
    first, last = layers
    found = [name for name in body.places if name.startswith("layers.")]
    return {name for name in found if first <= int(name.split(".")[1]) <= last}
