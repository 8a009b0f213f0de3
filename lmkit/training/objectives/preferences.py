"""Direct preference optimisation: the chosen of two answers gains on the rejected one, measured against a reference.

loss = -(1 - e) log sigmoid(m) - e log sigmoid(-m), m = beta ((w - w_ref) - (l - l_ref)), of log-probabilities of whole
answers, sums over their tokens; e is label smoothing. Rafailov et al. (2023), equation 7.

Arrays of a batch: those of `answers` with a further axis of 2, chosen and rejected, and `reference`, (B, 2), in nats.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lmkit.nn.network import Network, State
from lmkit.training.objectives.answers import learned_tokens
from lmkit.training.objectives.objective import Arrays, Loss, Merit, Objective, Tensors


def answer_sums(network: Network, batch: Tensors) -> Tensor:
    """Return the log-probability of each answer of pairs, (B, 2), in nats."""
    pairs, sides, time = batch["ids"].shape
    flat = {
        "ids": batch["ids"].view(-1, time), "learned": batch["learned"].view(-1, time),
        "lengths": batch["lengths"].view(-1),
    }  # fmt: skip
    tokens, rows = learned_tokens(network, flat)
    sums = tokens.loss.new_zeros(pairs * sides).index_add(0, rows, tokens.loss)
    return -sums.view(pairs, sides)


@dataclass(frozen=True)
class PreferenceOptimisation(Objective):
    """The loss of pairs, their mean over a batch."""

    merits: ClassVar[Mapping[str, Merit]] = {
        "loss": Merit("loss", higher=False), "accuracy": Merit("accuracy", higher=True),
        "margin": Merit("margin", higher=True),
    }  # fmt: skip

    beta: float = 0.1
    label_smoothing: float = 0.0

    def without_predictions(self, arrays: Arrays) -> Arrays:
        """See `Objective.without_predictions`."""
        return {**arrays, "counted": np.zeros_like(arrays["counted"])}

    def loss(self, network: Network, batch: Tensors, state: State) -> Loss:
        """See `Objective.loss`; sums of losses, of pairs with a margin above 0 (half at 0), margins and nats."""
        logs, counted = answer_sums(network, batch), batch["counted"]
        gains = logs - batch["reference"]
        margin = self.beta * (gains[:, 0] - gains[:, 1])
        e = self.label_smoothing
        losses = -(1 - e) * functional.logsigmoid(margin) - e * functional.logsigmoid(-margin)
        total = (losses * counted).sum()
        found = margin.detach()
        sums = {
            "loss": total.detach(), "accuracy": ((torch.sign(found) + 1) / 2 * counted).sum(),
            "margin": (found * counted).sum(), "chosen": (logs.detach()[:, 0] * counted).sum(),
            "rejected": (logs.detach()[:, 1] * counted).sum(),
        }  # fmt: skip
        return Loss(total, sums, None)
