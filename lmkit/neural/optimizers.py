"""AdamW and Muon, written out; lists of tensors are updated together, so that few operations are started.

torch.optim is not used: its first step imports a compiler for more than a second.
K matrices of a shape, R rows, C columns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmkit.neural.world import spread, whole

ROUNDS = 5  # of Newton and Schulz
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@dataclass(frozen=True)
class Rates:
    """Peak learning rates: of AdamW for embeddings, heads, biases and norms, of Muon for matrices; and decay."""

    adam: float
    muon: float
    weight_decay: float = 0.0


class AdamW:
    """m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p = p - lr (m' / (sqrt v' + e) + decay p).

    m' and v' are m / (1 - b1^t) and v / (1 - b2^t). Loshchilov and Hutter (2019). Only tensors of
    two dimensions decay.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], *, beta1: float = 0.9, beta2: float = 0.95, epsilon: float = 1e-10
    ) -> None:
        self.names = list(parameters)
        self.parameters = list(parameters.values())
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.mean = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.square = [torch.zeros_like(parameter) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, number: int, rate: float, decay: float) -> None:
        """Step `number`, from 1, with the gradients that the parameters carry."""
        if not self.parameters:
            return
        gradients = [_gradient(parameter) for parameter in self.parameters]
        torch._foreach_lerp_(self.mean, gradients, 1 - self.beta1)
        torch._foreach_mul_(self.square, self.beta2)
        torch._foreach_addcmul_(self.square, gradients, gradients, value=1 - self.beta2)
        roots = torch._foreach_sqrt(self.square)
        torch._foreach_div_(roots, (1 - self.beta2**number) ** 0.5)
        torch._foreach_add_(roots, self.epsilon)
        if decay:
            torch._foreach_mul_([tensor for tensor in self.parameters if tensor.ndim > 1], 1 - rate * decay)
        torch._foreach_addcdiv_(self.parameters, self.mean, roots, value=-rate / (1 - self.beta1**number))

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor that must be kept to go on, by name."""
        for name, mean, square in zip(self.names, self.mean, self.square, strict=True):
            yield f"adam.mean.{name}", mean
            yield f"adam.square.{name}", square


class Muon:
    """Momentum whose matrix is made orthogonal before it is applied. Jordan et al. (2024).

    m = b m + (1 - b) g;  u = g + b (m - g);  W = W - lr sqrt(max(1, R / C)) orthogonal(u)

    Gates stacked in one matrix are blocks of their own. Matrices of one shape are handled at once.
    """

    def __init__(self, parameters: Mapping[str, Tensor], blocks: int, *, momentum: float = 0.9) -> None:
        self.momentum = momentum
        self.names = list(parameters)
        self.parameters = list(parameters.values())
        self.blocks = blocks
        self.mean = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.groups: dict[tuple[int, int], list[int]] = {}
        for place, parameter in enumerate(self.parameters):
            rows, columns = parameter.shape[0] // blocks, parameter.shape[1]
            self.groups.setdefault((min(rows, columns), max(rows, columns)), []).append(place)

    @torch.no_grad()
    def step(self, rate: float, decay: float) -> None:
        """One step with the gradients that the parameters carry."""
        if not self.parameters:
            return
        gradients = [_gradient(parameter) for parameter in self.parameters]
        torch._foreach_lerp_(self.mean, gradients, 1 - self.momentum)
        updates = torch._foreach_lerp(gradients, self.mean, self.momentum)
        if decay:
            torch._foreach_mul_(self.parameters, 1 - rate * decay)
        for places in self.groups.values():
            self._update(places, updates, rate)

    def _update(self, places: list[int], updates: Sequence[Tensor], rate: float) -> None:
        """Applies the updates of matrices of one shape, or its transpose."""
        flat = []
        for place in places:
            update = whole(updates[place])
            blocks = update.view(self.blocks, -1, update.shape[1])  # (blocks, R, C)
            flat.append(blocks.mT if blocks.shape[1] > blocks.shape[2] else blocks)
        made = orthogonal(torch.cat(flat))  # (K, R, C), R <= C
        for place, own in zip(places, made.view(len(places), self.blocks, *made.shape[1:]), strict=True):
            parameter = self.parameters[place]
            rows, columns = parameter.shape[0] // self.blocks, parameter.shape[1]
            update = (own.mT if rows > columns else own).reshape(parameter.shape)
            parameter.add_(spread(update, parameter), alpha=-rate * max(1.0, rows / columns) ** 0.5)

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor that must be kept to go on, by name."""
        yield from zip((f"muon.mean.{name}" for name in self.names), self.mean, strict=True)


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest half-orthogonal matrices, roughly, (K, R, C) with R <= C: singular values between 0.7 and 1.2.

    X = a X + (b X X' + c (X X')^2) X from X / |X|, five times. Jordan et al. (2024), after Newton and Schulz.
    """
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ROUNDS):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.to(matrices.dtype)


@torch.no_grad()
def clip(parameters: Iterable[Tensor], most: float | None) -> float:
    """Scales gradients so that their norm together is at most `most`; returns that before. Pascanu et al. (2013)."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = float(whole(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))))
    if most is not None and norm > most:
        torch._foreach_mul_(gradients, most / norm)
    return norm
