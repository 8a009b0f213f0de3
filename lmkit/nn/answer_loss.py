"""Nats of chosen tokens under hidden vectors, a slice of logits at a time, so that they are never all there.

M tokens, D hidden size, V vocabulary.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lmkit.nn.network import Network
from lmkit.nn.transformer import TransformerNetwork

SLICE = 1 << 24
"""Logits that are there at once: 64 MB."""


class TokenNats(NamedTuple):
    """What is minimised for each token, (M,): its nats, with label smoothing; the nats alone, and the hits, detached.

    Hits are all False while a network trains, as the most probable token is not looked for then.
    """

    loss: Tensor
    nats: Tensor
    right: Tensor


def token_nats(network: Network, hidden: Tensor, targets: Tensor, smoothing: float = 0.0) -> TokenNats:
    """Return the nats of targets, (M,), under hidden vectors, (M, D).

    With label smoothing e the target has probability 1 - e + e/V, all other tokens e/V.
    """
    weight = _head(network)
    if weight is not None:
        loss, nats, right = _Chunked.apply(  # type: ignore[no-untyped-call]
            hidden, weight, targets, smoothing, not network.training
        )
        return TokenNats(loss, nats, right)
    logits = network.logits(hidden).float()
    loss = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
    nats = functional.cross_entropy(logits.detach(), targets, reduction="none")
    return TokenNats(loss, nats, logits.detach().argmax(dim=-1) == targets)


def _head(network: Network) -> Tensor | None:
    """The matrix, (V, D), that makes logits of hidden vectors; None where more does."""
    if not isinstance(network, TransformerNetwork):
        return None
    head: Tensor = (network.embed_tokens if network.lm_head is None else network.lm_head).weight
    return head


class _Chunked(torch.autograd.Function):
    """Cross-entropy of h W^T in slices of M. The gradient of h is made in the forward pass where W is frozen.

    dh = (softmax - target distribution) W; where W learns too, the slices are computed again for both gradients.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, smoothing: float, hits: bool
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """Return loss, nats and hits, (M,) each."""
        frozen = ctx.needs_input_grad[0] and not ctx.needs_input_grad[1]
        loss, nats = (hidden.new_empty(len(targets), dtype=torch.float32) for _ in range(2))
        right = torch.zeros_like(targets, dtype=torch.bool)
        change = torch.empty_like(hidden) if frozen else None
        for part in _slices(len(targets), len(weight)):
            logits = functional.linear(hidden[part], weight).float()
            if hits:
                right[part] = logits.argmax(dim=-1) == targets[part]
            wanted = logits.gather(1, targets[part, None]).squeeze(1)
            mean = logits.mean(dim=-1) if smoothing else wanted
            total = _exponentials(logits)
            nats[part] = total - wanted
            loss[part] = total - (1 - smoothing) * wanted - smoothing * mean
            if change is not None:
                change[part] = (_error(logits, targets[part], smoothing) @ weight).to(hidden.dtype)
        ctx.smoothing = smoothing
        if frozen:
            ctx.save_for_backward(change)
        elif any(ctx.needs_input_grad):
            ctx.save_for_backward(hidden, weight, targets)
        ctx.frozen = frozen
        ctx.mark_non_differentiable(nats, right)
        return loss, nats, right

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of hidden vectors and of the matrix."""
        if ctx.frozen:
            (change,) = ctx.saved_tensors
            return gradient[:, None].to(change.dtype) * change, None, None, None, None
        hidden, weight, targets = ctx.saved_tensors
        of_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight)
        for part in _slices(len(targets), len(weight)):
            logits = functional.linear(hidden[part], weight).float()
            _exponentials(logits)
            error = _error(logits, targets[part], ctx.smoothing)
            error = (error * gradient[part, None]).to(weight.dtype)
            if of_hidden is not None:
                of_hidden[part] = (error @ weight).to(hidden.dtype)
            of_weight.addmm_(error.t(), hidden[part].to(weight.dtype))
        return of_hidden, of_weight, None, None, None


def _slices(tokens: int, vocabulary: int) -> list[slice]:
    most = max(1, SLICE // vocabulary)
    return [slice(begin, min(begin + most, tokens)) for begin in range(0, tokens, most)]


def _exponentials(logits: Tensor) -> Tensor:
    """Put the softmax in the place of logits, (M, V), and return the logarithms of the sums, (M,)."""
    most = logits.amax(dim=-1, keepdim=True)
    total = logits.sub_(most).exp_().sum(dim=-1, keepdim=True)
    logits.div_(total)
    return (most + total.log()).squeeze(1)


def _error(softmax: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Softmax less the target distribution, in its place."""
    if smoothing:
        softmax -= smoothing / softmax.shape[1]
    softmax[torch.arange(len(targets), device=targets.device), targets] -= 1 - smoothing
    return softmax
