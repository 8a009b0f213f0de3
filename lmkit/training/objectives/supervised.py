"""Supervised learning of labels, numbers, and labels of words, from items of `data.item_sequences`.

Arrays of a batch: `ids` and `segments`, (B, T); `lengths` and `starts`, (B,); `targets` and `costs`, (B,), or of a
tagger `words`, (B, T), 1 + the label of the word whose token it is, 0 at other tokens. B items, T tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from lmkit.architectures.heads import CLASSIFY, TAG
from lmkit.nn.network import Network, State
from lmkit.nn.supervised import SupervisedNetwork
from lmkit.training.objectives.objective import Arrays, Loss, Merit, Objective, Tensors


@dataclass(frozen=True)
class Supervised(Objective):
    """Cross-entropy of labels in nats, or half the squared error of numbers, weighed by `costs`."""

    merits: ClassVar[Mapping[str, Merit]] = {
        "accuracy": Merit("accuracy", higher=True), "macro_f1": Merit("macro_f1", higher=True),
        "f1": Merit("f1", higher=True), "loss": Merit("loss", higher=False),
        "pearson": Merit("pearson", higher=True), "spearman": Merit("spearman", higher=True),
        "mse": Merit("mse", higher=False), "mae": Merit("mae", higher=False),
    }  # fmt: skip

    task: str
    label_smoothing: float = 0.0

    def without_predictions(self, arrays: Arrays) -> Arrays:
        """See `Objective.without_predictions`."""
        name = "words" if self.task == TAG else "costs"
        return {**arrays, name: np.zeros_like(arrays[name])}

    def loss(self, network: Network, batch: Tensors, state: State) -> Loss:
        """See `Objective.loss`."""
        assert isinstance(network, SupervisedNetwork)
        found = network.outputs(batch).float()
        if self.task == TAG:
            inside = torch.arange(batch["ids"].shape[1], device=found.device) < batch["lengths"][:, None]
            words = batch["words"][inside]
            labels = words[words > 0] - 1
            if network.task.crf:
                total = network.chain_losses(found, labels, (batch["words"] > 0).sum(dim=1)).sum()
            else:
                total = self._cross_entropy(found, labels).sum()
        elif self.task == CLASSIFY:
            total = (self._cross_entropy(found, batch["targets"]) * batch["costs"]).sum()
        else:
            total = ((found[:, 0] - batch["targets"]) ** 2 * batch["costs"]).sum() / 2
        return Loss(total, {"loss": total.detach()}, None)

    def _cross_entropy(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, targets, reduction="none", label_smoothing=self.label_smoothing)
