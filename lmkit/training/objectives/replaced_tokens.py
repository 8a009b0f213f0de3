"""Replaced-token detection: a generator fills masked places, a discriminator says which tokens it changed.

Clark et al. (2020), ELECTRA. Shapes as in `masked_lm`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from lmkit.data.masking import IGNORED
from lmkit.nn.electra import ElectraNetwork
from lmkit.nn.network import Network, State
from lmkit.training.objectives.masked_lm import masked_logits, packed, without_labels
from lmkit.training.objectives.objective import Arrays, Loss, Merit, Objective, Tensors

WEIGHT = 50.0
"""Of the discriminator's loss beside the generator's; from the paper."""


@dataclass(frozen=True)
class ReplacedTokenDetection(Objective):
    """The generator's cross-entropy at masked places, and the discriminator's at all places.

    loss = mean over masked places + `weight` times the mean over all tokens. A label is 1 where the token is another
    than the true one: what the generator drew is 0 where it is the true token. Drawing passes no gradient on. Inputs
    must have the true tokens wherever nothing is masked.
    """

    merits: ClassVar = {"loss": Merit("discriminator", higher=False), "accuracy": Merit("recall", higher=True)}

    weight: float = WEIGHT

    def without_predictions(self, arrays: Arrays) -> Arrays:
        """See `Objective.without_predictions`."""
        return without_labels(arrays)

    def loss(self, network: Network, batch: Tensors, state: State) -> Loss:
        """See `Objective.loss`; sums of nats, and of tokens that were replaced, flagged, and both (detected)."""
        assert isinstance(network, ElectraNetwork)
        text = packed(batch)
        hidden = network.generator.hidden(text.inputs, text.segments, None, text.lengths)
        logits, wanted = masked_logits(network.generator, hidden, text.labels)
        nats = functional.cross_entropy(logits, wanted, reduction="sum")
        true = torch.where(text.labels != IGNORED, text.labels, text.inputs)
        corrupted = true.masked_scatter(text.labels != IGNORED, drawn(logits.detach()))
        replaced = corrupted != true
        scores = network.logits(network.discriminator.hidden(corrupted, text.segments, None, text.lengths)).float()
        share = torch.repeat_interleave(batch["share"], batch["lengths"])
        found = functional.binary_cross_entropy_with_logits(scores, replaced.float(), weight=share, reduction="sum")
        total = nats + self.weight * found
        flagged = (scores.detach() > 0) & (share > 0)
        sums = {
            "loss": total.detach(), "nats": nats.detach(), "discriminator": found.detach(),
            "accuracy": ((flagged == replaced) * share).sum(), "replaced": replaced.sum(), "flagged": flagged.sum(),
            "detected": (flagged & replaced).sum(),
        }  # fmt: skip
        return Loss(total, sums, state)

    def numbers(self, sums: Mapping[str, float], weight: int) -> Mapping[str, float]:
        """See `Objective.numbers`: recall and precision among replaced tokens, the share of masked ones that are."""
        means = {
            name: sums[name] / max(1, weight) for name in ("loss", "nats", "discriminator", "accuracy", "replaced")
        }
        recall = sums["detected"] / max(1.0, sums["replaced"])
        return {**means, "recall": recall, "precision": sums["detected"] / max(1.0, sums["flagged"])}


def drawn(logits: Tensor) -> Tensor:
    """Return a token for each row of logits, (M, V), drawn from their softmax: the Gumbel-max of exponential noise."""
    noise = torch.empty_like(logits).exponential_()
    return torch.argmax(functional.softmax(logits, dim=-1) / noise.clamp_min(torch.finfo(noise.dtype).tiny), dim=-1)
