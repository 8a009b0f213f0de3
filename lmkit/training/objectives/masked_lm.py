"""Masked language modelling: selected tokens are predicted from both sides; and whether two sentences are contiguous.

S sequences, T tokens of the longest, N tokens together, M of them selected, V vocabulary, D hidden size. Batches are
those of `encoder_batches`. No time goes into padding, and the head runs at the M selected places only.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lmkit.data.masking import IGNORED
from lmkit.nn.encoder import EncoderNetwork
from lmkit.nn.network import Network, State
from lmkit.training.objectives.objective import Arrays, Loss, Merit, Objective, Tensors


class Packed(NamedTuple):
    """Sequences end to end.

    inputs    (N,)
    labels    (N,), IGNORED where nothing is predicted
    lengths   of the sequences
    segments  (N,), None of single texts
    """

    inputs: Tensor
    labels: Tensor
    lengths: list[int]
    segments: Tensor | None


def packed(batch: Tensors) -> Packed:
    """Return the sequences of a batch without what lies behind their ends."""
    lengths, inputs = batch["lengths"], batch["inputs"]
    segments = batch.get("segments")
    if int(lengths.min()) == inputs.shape[1]:  # all are of one length
        own = None if segments is None else segments.flatten()
        return Packed(inputs.flatten(), batch["labels"].flatten(), lengths.tolist(), own)
    inside = torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]
    own = None if segments is None else segments[inside]
    return Packed(inputs[inside], batch["labels"][inside], lengths.tolist(), own)


def masked_logits(network: EncoderNetwork, hidden: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits, (M, V), and the true tokens, (M,), of the selected places among hidden vectors, (N, D)."""
    selected = torch.nonzero(labels != IGNORED).squeeze(-1)
    return network.mlm_logits(hidden[selected]).float(), labels[selected]


def without_labels(arrays: Arrays) -> Arrays:
    """Return the same rows with nothing to predict."""
    changed = {"labels": np.full_like(arrays["labels"], IGNORED), "share": np.zeros_like(arrays["share"])}
    if "follows" in arrays:
        changed["follows"] = np.full_like(arrays["follows"], IGNORED)
    return {**arrays, **changed}


@dataclass(frozen=True)
class MaskedLanguageModelling(Objective):
    """Cross-entropy of the selected tokens; with `pairs` also of whether the second text of a pair follows the first.

    The loss is the mean over selected tokens, plus the mean over pairs. Devlin et al. (2019).
    """

    merits: ClassVar = {"loss": Merit("nats", higher=False), "accuracy": Merit("accuracy", higher=True)}

    pairs: bool = False

    def without_predictions(self, arrays: Arrays) -> Arrays:
        """See `Objective.without_predictions`."""
        return without_labels(arrays)

    def loss(self, network: Network, batch: Tensors, state: State) -> Loss:
        """See `Objective.loss`; the sums are of nats, and while a network is evaluated of tokens that were right."""
        assert isinstance(network, EncoderNetwork)
        text = packed(batch)
        hidden = network.hidden(text.inputs, text.segments, None, text.lengths)
        logits, wanted = masked_logits(network, hidden, text.labels)
        nats = functional.cross_entropy(logits, wanted, reduction="sum")
        sums = {"nats": nats.detach()}
        if not network.training:
            sums["accuracy"] = (logits.argmax(dim=-1) == wanted).sum()
        if not self.pairs:
            return Loss(nats, sums, state)
        pair = self._pair_sums(network, batch, hidden)
        total = nats + pair["pair_nats"]
        return Loss(total, {"loss": total.detach(), **sums, **{key: one.detach() for key, one in pair.items()}}, state)

    def _pair_sums(self, network: EncoderNetwork, batch: Tensors, hidden: Tensor) -> dict[str, Tensor]:
        """Return nats of the pairs, and how many were right, each times the pair's share."""
        lengths, follows, share = batch["lengths"], batch["follows"], batch["share"]
        first = torch.cumsum(lengths, 0) - lengths
        logits = network.pair_logits(network.pooled(hidden[first])).float()
        nats = functional.cross_entropy(logits, follows, reduction="none", ignore_index=IGNORED)
        right = logits.argmax(dim=-1) == follows
        return {"pair_nats": (nats * share).sum(), "pair_accuracy": (right * share).sum()}
