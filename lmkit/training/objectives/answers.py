"""Supervised fine-tuning on answers: each learned token is predicted from those before it, no other token is.

Arrays of a batch, of `answer_batches`: `ids` and `learned`, (B, T), `lengths`, (B,). B sequences, T tokens, M learned.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lmkit.nn.answer_loss import TokenNats, token_nats
from lmkit.nn.network import Network, State
from lmkit.nn.tuned_language_model import TunedLanguageModel
from lmkit.training.objectives.objective import Arrays, Loss, Merit, Objective, Tensors


class LearnedTokens(NamedTuple):
    """Nats of the learned tokens, (M,), and the sequence that each is of, (M,)."""

    tokens: TokenNats
    rows: Tensor


def learned_tokens(network: Network, batch: Tensors, smoothing: float = 0.0) -> LearnedTokens:
    """Run a network over the sequences of a batch; the head only where a token is learned."""
    assert isinstance(network, TunedLanguageModel)
    ids, lengths, learned = batch["ids"], batch["lengths"], batch["learned"]
    read = lengths - 1  # the last token is only predicted
    hidden = network.states(ids[:, :-1], read)
    inside = torch.arange(ids.shape[1] - 1, device=ids.device) < read[:, None]
    wanted = learned[:, 1:][inside] > 0
    rows = torch.arange(len(ids), device=ids.device)[:, None].expand(inside.shape)[inside][wanted]
    return LearnedTokens(token_nats(network.body, hidden[wanted], ids[:, 1:][inside][wanted], smoothing), rows)


@dataclass(frozen=True)
class AnswerModelling(Objective):
    """Cross-entropy of the learned tokens in nats, their mean over a batch; label smoothing is not reported."""

    merits: ClassVar = {"loss": Merit("nats", higher=False), "accuracy": Merit("accuracy", higher=True)}

    label_smoothing: float = 0.0

    def without_predictions(self, arrays: Arrays) -> Arrays:
        """See `Objective.without_predictions`."""
        return {**arrays, "learned": np.zeros_like(arrays["learned"])}

    def loss(self, network: Network, batch: Tensors, state: State) -> Loss:
        """See `Objective.loss`; the sums are of nats, and while a network is evaluated of tokens that were right."""
        tokens, _ = learned_tokens(network, batch, self.label_smoothing)
        sums = {"nats": tokens.nats.sum()}
        if not network.training:
            sums["accuracy"] = tokens.right.sum()
        return Loss(tokens.loss.sum(), sums, None)
