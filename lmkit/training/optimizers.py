"""AdamW and Muon; lists of tensors are updated together, AdamW by the operation that torch.optim has for it.

torch.optim is not used: its first step imports a compiler for more than a second.
K matrices of a shape, R rows, C columns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmkit.nn.sharded_tensors import gather_tensor, shard_tensor

TINY = 1e-30
ROUNDS = (
    (8.09337, -23.62043, 17.44615),
    (3.63659, -2.72193, 0.53655),
    (2.66130, -1.97715, 0.45262),
)
"""Coefficients of x, x^3 and x^5: each round's is the odd polynomial nearest to 1 on the interval that the rounds
before make of [0.01, 1]; together they take that to [0.73, 1.27]. After Amsel et al. (2025)."""


@dataclass(frozen=True)
class LearningRates:
    """Peak learning rates: of AdamW for embeddings, heads, biases and norms, of Muon for matrices; and decay.

    `embeddings` is AdamW's for what a network names as tables of embeddings; None: as `adam`.
    """

    adam: float
    muon: float
    weight_decay: float = 0.0
    embeddings: float | None = None


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
        self._decaying = [at for at, parameter in enumerate(self.parameters) if parameter.ndim > 1]
        self._others = [at for at, parameter in enumerate(self.parameters) if parameter.ndim <= 1]

    @torch.no_grad()
    def step(self, number: int, rate: float, decay: float) -> None:
        """Step `number`, from 1, with the gradients that the parameters carry."""
        if not self.parameters:
            return
        time = torch.tensor(float(number))
        for places, own in ((self._decaying, decay), (self._others, 0.0)):
            if not places:
                continue
            parameters, mean, square = ([of[at] for at in places] for of in (self.parameters, self.mean, self.square))
            torch._fused_adamw_(
                parameters, [_gradient(parameter) for parameter in parameters], mean, square, [],
                [time.to(parameter.device) for parameter in parameters], lr=rate, beta1=self.beta1, beta2=self.beta2,
                weight_decay=own, eps=self.epsilon, amsgrad=False, maximize=False,
            )  # fmt: skip

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor that resuming needs, by name."""
        for name, mean, square in zip(self.names, self.mean, self.square, strict=True):
            yield f"adam.mean.{name}", mean
            yield f"adam.square.{name}", square


class Muon:
    """Momentum whose matrix is made orthogonal before it is applied. Jordan et al. (2024).

    m = b m + (1 - b) g;  u = g + b (m - g);  W = W - lr sqrt(max(1, R / C)) orthogonal(u)

    `blocks` are the rows of the maps that lie in each parameter, such as gates or heads' queries, keys
    and values: each is orthogonalised alone. Those of one shape are handled at once.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], blocks: Mapping[str, Sequence[int]], *, momentum: float = 0.9
    ) -> None:
        self.momentum = momentum
        self.names = list(parameters)
        self.parameters = list(parameters.values())
        self.mean = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.rows = [list(blocks[name]) for name in self.names]
        self.groups: dict[tuple[int, int], list[tuple[int, int]]] = {}  # shape -> parameter and block
        for place, parameter in enumerate(self.parameters):
            for block, rows in enumerate(self.rows[place]):
                shape = sorted((rows, parameter.shape[1]))
                self.groups.setdefault((shape[0], shape[1]), []).append((place, block))

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
        parts = [torch.split(gather_tensor(update), rows) for update, rows in zip(updates, self.rows, strict=True)]
        for members in self.groups.values():
            wide = [parts[place][block] for place, block in members]  # each (R, C) or its transpose
            made = orthogonal(torch.stack([part.mT if part.shape[0] > part.shape[1] else part for part in wide]))
            for part, own in zip(wide, made, strict=True):
                rows, columns = part.shape
                part.copy_(own.mT if rows > columns else own).mul_(max(1.0, rows / columns) ** 0.5)
        for parameter, pieces in zip(self.parameters, parts, strict=True):
            parameter.add_(shard_tensor(torch.cat(pieces), parameter), alpha=-rate)

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor that resuming needs, by name."""
        yield from zip((f"muon.mean.{name}" for name in self.names), self.mean, strict=True)


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest half-orthogonal matrices, roughly, (K, R, C) with R <= C: singular values between 0.7 and 1.3.

    X = (a + b X X' + c (X X')^2) X, three times, from X / sqrt |X X'|: no singular value is above 1 then.
    Jordan et al. (2024), after Newton and Schulz.
    """
    x = matrices / (matrices.abs().amax(dim=(1, 2), keepdim=True) + TINY)  # products of tiny numbers would vanish
    x = x.bfloat16() if x.is_cuda else x
    gram = torch.bmm(x, x.mT)
    norm = torch.linalg.vector_norm(gram, dim=(1, 2), keepdim=True) + TINY
    gram, x = gram / norm, x * norm.rsqrt()
    for number, (a, b, c) in enumerate(ROUNDS):
        if number:
            gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.to(matrices.dtype)


@torch.no_grad()
def clip(parameters: Iterable[Tensor], most: float | None) -> float:
    """Scales gradients so that their norm together is at most `most`; returns that before. Pascanu et al. (2013)."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = float(gather_tensor(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))))
    if most is not None and norm > most:
        torch._foreach_mul_(gradients, most / norm)
    return norm
