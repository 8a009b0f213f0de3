"""How far errors reach back: norms of the gradient of one token's loss by distance in time.

For a window of T inputs whose last predicts a target, with loss L = -log p(target), they are
|dL/dx_t| over distances T - 1 - t, averaged over windows. x is the embedding of an input; in a
recurrent model also the input of each later layer, and the state of the last layer (with the
cell of an LSTM, through which most of the error flows). Where they fall as a power of the distance
gradients vanish, where they rise they explode. Bengio et al. (1994), Pascanu et al. (2013).

B windows, T time, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lmkit.errors import DataError
from lmkit.nn.network import Network
from lmkit.nn.recurrent import RecurrentNetwork
from lmkit.protocols import F64, I32

PLACES = 32
EMBEDDING = "embedding"


def windows(ids: I32, time: int) -> tuple[I32, I32]:
    """Inputs, (B, T), and the target after each, (B,), from up to PLACES places evenly over a text.

    T is `time`, or less in a shorter text. Raises DataError for a text without two tokens.
    """
    if len(ids) < 2:
        raise DataError("gradients need a text of two tokens or more")
    time = min(time, len(ids) - 1)
    last = len(ids) - time - 1
    begins = np.unique(np.linspace(0, last, min(PLACES, last + 1)).astype(np.int64))
    return ids[begins[:, None] + np.arange(time)], ids[begins + time]


def by_distance(network: Network, inputs: I32, targets: I32, start: int) -> Mapping[str, F64]:
    """Mean norms, (T,), at distance 0, 1, ..., of what the gradient is taken by; `start` is the start token."""
    network.eval()
    ids, wanted = (torch.from_numpy(part.astype(np.int64)).to(network.device) for part in (inputs, targets))
    if isinstance(network, RecurrentNetwork):
        return _recurrent(network, ids, wanted)
    kept: list[Tensor] = []
    handle = network.embed_tokens.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        hidden, _ = network(ids, network.initial(len(ids), start))
    finally:
        handle.remove()
    loss = _loss(network, hidden[:, -1], wanted)
    (gradient,) = torch.autograd.grad(loss, kept)  # (B, T, D)
    norms = gradient[:, -ids.shape[1] :].double().norm(dim=-1).mean(dim=0)
    return {EMBEDDING: _backwards(norms)}


def _loss(network: Network, hidden: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(network.logits(hidden), targets, reduction="sum")


def _backwards(norms: Tensor) -> F64:
    """From time to distance."""
    made: F64 = norms.flip(0).cpu().numpy()
    return made


def _recurrent(network: RecurrentNetwork, ids: Tensor, targets: Tensor) -> Mapping[str, F64]:
    """The same, layer by layer and step by step, so that every state is there to be asked."""
    layers, inputs = _single_layers(network), list(network.embed_tokens(ids).unbind(dim=1))  # T of (B, D)
    asked: dict[str, list[tuple[Tensor, ...]]] = {}
    for number, layer in enumerate(layers):
        asked[f"layers.{number}.input" if number else EMBEDDING] = [(x,) for x in inputs]
        state, states = layer.initial(len(ids), 0), []
        for x in inputs:
            _, state = layer.cells(x[None], state)
            states.append(state if isinstance(state, tuple) else (state,))
        inputs = [state[0][0] for state in states]
    asked[f"layers.{len(layers) - 1}.state"] = states
    loss = _loss(network, inputs[-1], targets)
    return {name: _backwards(_norms(loss, places)) for name, places in asked.items()}


def _norms(loss: Tensor, places: Sequence[tuple[Tensor, ...]]) -> Tensor:
    """Mean norms of the gradient by each tuple of (..., B, D), taken together."""
    flat = [part for parts in places for part in parts]
    gradients = torch.autograd.grad(loss, flat, retain_graph=True, allow_unused=True, materialize_grads=True)
    several = len(places[0])
    each = torch.stack([gradient.reshape(-1, gradient.shape[-1]).double() for gradient in gradients])  # (T n, B, D)
    squares = each.square().sum(dim=-1).view(len(places), several, -1).sum(dim=1)  # (T, B)
    return squares.sqrt().mean(dim=1)


def _single_layers(network: RecurrentNetwork) -> list[RecurrentNetwork]:
    """A network of one layer for each layer."""
    settings, arrays = replace(network.settings, layers=1), network.to_arrays()
    made = []
    for number in range(network.settings.layers):
        layer = RecurrentNetwork(settings)
        layer.load_arrays({name: arrays[name.replace("layers.0.", f"layers.{number}.")] for name in settings.shapes()})
        made.append(layer.to(network.device, network.embed_tokens.weight.dtype).eval())
    return made
