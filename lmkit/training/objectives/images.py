"""Learning from images: their labels, or their captions, which a language model writes that stays as it is.

Arrays of a batch: `pixels`, (B, H, W, C), scaled, and `targets`, (B,); or those of `image_batches.captions`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lmkit.architectures.sliding_window import UNSCORED
from lmkit.nn.captioner import CaptionerNetwork
from lmkit.nn.network import Network, State
from lmkit.nn.vision import VisionNetwork
from lmkit.training.objectives.objective import Arrays, Loss, Merit, Objective, Tensors


@dataclass(frozen=True)
class ImageObjective(Objective):
    """Cross-entropy in nats, and `accuracy`: the share of images whose label, or all of whose caption, is right.

    A caption is right if each token of it is the most probable one after those before it, so that greedy search
    writes it. The loss of captions is the mean over tokens, the accuracy over captions.
    """

    merits: ClassVar[Mapping[str, Merit]] = {
        "accuracy": Merit("accuracy", higher=True), "loss": Merit("loss", higher=False),
    }  # fmt: skip

    label_smoothing: float = 0.0

    def without_predictions(self, arrays: Arrays) -> Arrays:
        """See `Objective.without_predictions`."""
        return {**arrays, "targets": np.full_like(arrays["targets"], UNSCORED)}

    def loss(self, network: Network, batch: Tensors, state: State) -> Loss:
        """See `Objective.loss`."""
        targets = batch["targets"]
        logits = _logits(network, batch).float()
        total = functional.cross_entropy(
            logits.flatten(0, -2), targets.flatten(), reduction="sum", ignore_index=UNSCORED,
            label_smoothing=self.label_smoothing,
        )  # fmt: skip
        right = (logits.argmax(dim=-1) == targets) | (targets == UNSCORED)
        scored = targets != UNSCORED
        if targets.ndim > 1:
            right, scored = right.all(dim=1), scored.any(dim=1)
        sums = {"loss": total.detach(), "accuracy": (right & scored).sum(), "examples": scored.sum()}
        return Loss(total, sums, None)

    def numbers(self, sums: Mapping[str, float], weight: int) -> Mapping[str, float]:
        """See `Objective.numbers`."""
        return {"loss": sums["loss"] / max(1, weight), "accuracy": sums["accuracy"] / max(1.0, sums["examples"])}


def _logits(network: Network, batch: Tensors) -> Tensor:
    if isinstance(network, VisionNetwork):
        return network.outputs(batch["pixels"])
    assert isinstance(network, CaptionerNetwork)
    return network.outputs(batch["visual"], batch["ids"])


@torch.no_grad()
def count_parameters(network: Network) -> tuple[int, int]:
    """How many numbers of a network train, and how many it has."""
    sizes = [(tensor.numel(), tensor.requires_grad) for tensor in network.parameters()]
    return sum(size for size, trains in sizes if trains), sum(size for size, _ in sizes)
