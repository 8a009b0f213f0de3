"""Language modelling: each token is predicted from those before it.

B rows, T tokens, V vocabulary.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lmkit.architectures.sliding_window import UNSCORED
from lmkit.nn.network import Network, State
from lmkit.training.batches import Batch, with_loss_at_end_only
from lmkit.training.objectives.objective import Arrays, Loss, Merit, Objective, Tensors


@dataclass(frozen=True)
class LanguageModelling(Objective):
    """Cross-entropy of next tokens, of batches with `inputs` and `targets`, (B, T).

    start            the token before the first of a document
    label_smoothing  e: the target has probability 1 - e + e/V, all other tokens e/V; trained on, not reported
    teacher_forcing  probability that the true token is fed; else the network's own prediction (scheduled sampling)
    loss_at          `all` tokens of a row are learned, or the `last`
    """

    merits: ClassVar = {"loss": Merit("nats", higher=False), "accuracy": Merit("accuracy", higher=True)}

    start: int
    label_smoothing: float = 0.0
    teacher_forcing: float = 1.0
    loss_at: str = "all"

    def initial(self, network: Network, rows: int) -> State:
        """See `Objective.initial`."""
        return network.initial(rows, self.start)

    def prepare(self, batch: Batch) -> Batch:
        """See `Objective.prepare`."""
        return with_loss_at_end_only(batch) if self.loss_at == "last" else batch

    def without_predictions(self, arrays: Arrays) -> Arrays:
        """See `Objective.without_predictions`."""
        return {**arrays, "targets": np.full_like(arrays["targets"], UNSCORED)}

    def loss(self, network: Network, batch: Tensors, state: State) -> Loss:
        """See `Objective.loss`; the sum is of nats, without label smoothing."""
        inputs, targets = batch["inputs"], batch["targets"]
        if self.teacher_forcing < 1:
            inputs = self._with_predictions(network, inputs, state)
        hidden, state = network(inputs, state)
        if self.loss_at == "last":
            wanted = targets != UNSCORED
            hidden, targets = hidden[wanted], targets[wanted]
        logits = network.logits(hidden).flatten(0, -2)
        nats = _cross_entropy(logits, targets.flatten())
        smoothed = _cross_entropy(logits, targets.flatten(), self.label_smoothing) if self.label_smoothing else nats
        return Loss(smoothed, {"nats": nats.detach()}, state)

    @torch.no_grad()
    def _with_predictions(self, network: Network, inputs: Tensor, state: State) -> Tensor:
        """Return inputs, some replaced by what the network predicts there. Bengio et al. (2015), in two passes."""
        predicted = network.logits(network(inputs, state)[0]).argmax(dim=-1)  # (B, T)
        kept = torch.rand(inputs[:, 1:].shape, device=inputs.device) < self.teacher_forcing
        return torch.cat((inputs[:, :1], torch.where(kept, inputs[:, 1:], predicted[:, :-1])), dim=1)


def _cross_entropy(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the sum over targets, (N,), that are not UNSCORED; logits are (N, V)."""
    return functional.cross_entropy(
        logits.float(), targets, ignore_index=UNSCORED, reduction="sum", label_smoothing=smoothing
    )
