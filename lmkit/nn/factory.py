"""From settings or weights to a network."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

from lmkit.architectures.config import ModelConfig
from lmkit.architectures.encoder_model import LoadedEncoder
from lmkit.architectures.families import NETWORKS, imported
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.seq2seq_model import LoadedSeq2Seq
from lmkit.nn.network import Network
from lmkit.protocols import F32, Ints

SEEDS = 1 << 63
"""How many seeds torch tells apart."""

_FILLING = (Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_)


class _Unfilled(TorchFunctionMode):
    """New parameters are not filled, so that their memory is not touched either.

    The meta device would do the same, at the cost of parameters that have to be replaced.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Leave a tensor as it is where it would be filled."""
        fills = func in _FILLING or getattr(func, "__module__", None) == init.__name__
        return None if fills else func(*args, **(kwargs or {}))


def network(settings: ModelConfig, **options: Any) -> Network:
    """A network whose weights are not yet filled."""
    made: Network = imported(NETWORKS[settings.kind].network)(settings, **options)
    return made


def initialised(settings: ModelConfig, *, seed: int, **options: Any) -> Network:
    """A network with its first weights."""
    made = network(settings, **options)
    made.initialise(torch.Generator().manual_seed(seed % SEEDS))
    return made


def embed(made: Network, tokens: Ints, vectors: F32) -> None:
    """Puts vectors, (N, D), in place of the embeddings of some tokens, (N,)."""
    with torch.no_grad():
        made.embed_tokens.weight[torch.from_numpy(tokens)] = torch.from_numpy(vectors)


def loaded(weights: LoadedModel | LoadedEncoder | LoadedSeq2Seq, **options: Any) -> Network:
    """A network with the weights of a checkpoint; no first values are made for these to replace."""
    with _Unfilled():
        made = network(weights.settings, **options)
    made.load_arrays(weights.tensors)
    return made
