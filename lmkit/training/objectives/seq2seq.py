"""Sequence to sequence: each token of a target is predicted from its source and the tokens before it.

B pairs, S tokens of the longest source, T of the longest target, V vocabulary of targets.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lmkit.architectures.sliding_window import UNSCORED
from lmkit.nn.network import Network, State
from lmkit.nn.seq2seq import Seq2SeqNetwork
from lmkit.training.objectives.objective import Arrays, Loss, Merit, Objective, Tensors


@dataclass(frozen=True)
class SequenceToSequence(Objective):
    """Cross-entropy of targets, of batches of `pair_batches`: `sources` (B, S), `lengths` (B,), `inputs` and `targets`.

    label_smoothing  e: the target has probability 1 - e + e/V, all other tokens e/V; trained on, not reported
    teacher_forcing  probability that the true token is fed; else the network's own prediction (scheduled sampling)

    The merit `bleu` is for validations that have it.
    """

    merits: ClassVar = {
        "loss": Merit("nats", higher=False), "accuracy": Merit("accuracy", higher=True),
        "bleu": Merit("bleu", higher=True),
    }  # fmt: skip

    label_smoothing: float = 0.0
    teacher_forcing: float = 1.0

    def without_predictions(self, arrays: Arrays) -> Arrays:
        """See `Objective.without_predictions`."""
        return {**arrays, "targets": np.full_like(arrays["targets"], UNSCORED)}

    def loss(self, network: Network, batch: Tensors, state: State) -> Loss:
        """See `Objective.loss`; the sums are of nats, without label smoothing, and in evaluation of right tokens."""
        assert isinstance(network, Seq2SeqNetwork)
        targets, inputs = batch["targets"], batch["inputs"]
        memory = network.encode(batch["sources"], batch["lengths"])
        if self.teacher_forcing < 1 and network.training:
            inputs = self._with_predictions(network, inputs, memory)
        wanted = targets != UNSCORED
        logits = network.logits(network.decode(inputs, memory)[wanted]).float()
        nats = functional.cross_entropy(logits, targets[wanted], reduction="sum")
        total = nats
        if self.label_smoothing:
            total = functional.cross_entropy(
                logits, targets[wanted], reduction="sum", label_smoothing=self.label_smoothing
            )
        sums = {"nats": nats.detach()}
        if not network.training:
            sums["accuracy"] = (logits.argmax(dim=-1) == targets[wanted]).sum()
        return Loss(total, sums, None)

    @torch.no_grad()
    def _with_predictions(self, network: Seq2SeqNetwork, inputs: Tensor, memory: object) -> Tensor:
        """Return inputs, some replaced by what the network predicts there. Bengio et al. (2015), in two passes."""
        predicted = network.logits(network.decode(inputs, memory)).argmax(dim=-1)
        kept = torch.rand(inputs[:, 1:].shape, device=inputs.device) < self.teacher_forcing
        return torch.cat((inputs[:, :1], torch.where(kept, inputs[:, 1:], predicted[:, :-1])), dim=1)
