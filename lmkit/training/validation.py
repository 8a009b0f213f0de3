"""How well a network does on a text held out: named numbers, of which an objective's merit is one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lmkit.architectures.config import ModelConfig
from lmkit.architectures.neural_model import LoadedModel
from lmkit.data.corpus import Corpus
from lmkit.data.sequences import TextFormat
from lmkit.nn.language_model import of_network
from lmkit.nn.network import Network
from lmkit.protocols import Tokenizer

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


def validation_of(
    settings: ModelConfig, tokenizer: Tokenizer, form: TextFormat, corpus: Corpus | None
) -> NextTokenValidation | None:
    """Return how a network of these settings is validated on a text; None without one."""
    return None if corpus is None else NextTokenValidation(LoadedModel(settings, form, tokenizer, {}), corpus)
