"""How well a network does on a text held out: named numbers, of which an objective's merit is one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lmkit.architectures.config import ModelConfig
from lmkit.architectures.neural_model import LoadedModel
from lmkit.data.corpus import Corpus
from lmkit.data.sequences import TextFormat
from lmkit.nn.language_model import of_network
from lmkit.nn.network import Network
from lmkit.protocols import Tokenizer
from lmkit.training.batches import Batch
from lmkit.training.distributed import SharedNetwork
from lmkit.training.objectives.objective import Objective, tensors_of

BATCH_TOKENS = 1 << 13

Validation = Callable[[Network], Mapping[str, float]]
"""From a network in evaluation mode to named numbers, the loss first."""


@dataclass(frozen=True)
class NextTokenValidation:
    """A Validation of language models: `nats` a token, and `accuracy`, the share of tokens that were most probable.

    `weights` says what the network is of and how text is read; its tensors are not asked for. A text that is one
    sequence is scored in stretches of the context, each alone where the network has no state.
    """

    weights: LoadedModel
    corpus: Corpus

    def __call__(self, network: Network) -> Mapping[str, float]:
        """Score the whole text."""
        corpus, settings = self.corpus, self.weights.settings
        model = of_network(
            network, self.weights, stride=settings.context, batch_tokens=BATCH_TOKENS,
            count_correct=True,
        )  # fmt: skip
        ids = corpus.ids.astype(np.int32)
        if self.weights.form.by == "stream":
            nats = sum(float(part.sum()) for part in model.score_document([ids]))
        else:
            nats = float(model.score_many(ids, corpus.ends).sum())
        tokens = max(1, corpus.tokens)
        return {"nats": -nats / tokens, "accuracy": model.correct / tokens}


@dataclass(frozen=True)
class BatchValidation:
    """A Validation that is the mean loss of an objective, and what it reports besides, over batches that stay the same.

    What the objective draws is drawn from the same random numbers each time.
    """

    objective: Objective
    batches: Sequence[Batch]

    def __call__(self, network: Network) -> Mapping[str, float]:
        """Evaluate all batches."""
        sums: dict[str, float] = {}
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            for batch in self.batches:
                tensors = tensors_of(batch.take(np.arange(batch.rows)), network.device)
                shared: object = network  # one whose weights are shared among processes is no Network
                loss = (
                    shared.loss(tensors) if isinstance(shared, SharedNetwork)
                    else self.objective.loss(network, tensors, None)
                )  # fmt: skip
                sums |= {name: sums.get(name, 0.0) + float(one) for name, one in loss.sums.items()}
        return self.objective.numbers(sums, sum(batch.weight for batch in self.batches))


def validation_of(
    settings: ModelConfig, tokenizer: Tokenizer, form: TextFormat, corpus: Corpus | None
) -> NextTokenValidation | None:
    """Return how a network of these settings is validated on a text; None without one."""
    return None if corpus is None else NextTokenValidation(LoadedModel(settings, form, tokenizer, {}), corpus)
