"""How well an encoder-decoder does on held-out pairs: its loss, and BLEU of what it writes greedily."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmkit.architectures.families import SEQ2SEQ, imported
from lmkit.architectures.seq2seq_model import EncoderDecoderBase, LoadedSeq2Seq
from lmkit.data.sequences import decode_text
from lmkit.generation import prompt_encoding
from lmkit.generation.engine import Generator, Request, completions
from lmkit.generation.filters import Filtering
from lmkit.generation.sampler import Sampler
from lmkit.generation.steppers import BatchedStepper
from lmkit.metrics import bleu
from lmkit.metrics.bootstrap import Sampling
from lmkit.nn.network import Network
from lmkit.protocols import I32
from lmkit.training.validation import BatchValidation

BATCH = 64
MORE = 10
"""Tokens that a text may have beside one and a half times those of the longest source."""


@dataclass(frozen=True)
class TranslationValidation:
    """A Validation: the numbers of a `loss`, and `bleu` of greedy texts.

    `weights` says what the network is of; its tensors are not asked for.
    """

    weights: LoadedSeq2Seq
    loss: BatchValidation
    sources: Sequence[I32]
    references: Sequence[str]

    def __call__(self, network: Network) -> Mapping[str, float]:
        """See `Validation`."""
        weights = replace(self.weights, tensors=network.to_arrays())
        model: EncoderDecoderBase = imported(SEQ2SEQ[weights.kind].model)(weights)
        texts = [text.decode(errors="replace") for text in greedy(model, self.sources)]
        measured = bleu.measure([texts], [self.references], sampling=Sampling(resamples=0))
        return {**self.loss(network), "bleu": measured.comparison.values["bleu"] or 0.0}


def greedy(model: EncoderDecoderBase, sources: Sequence[I32]) -> list[bytes]:
    """The text that a model writes for each source, the most probable token at each step."""
    givens = model.given_many(sources)
    sampler = Sampler(Filtering().chain(), never=prompt_encoding.never(givens[0], unknown=False), greedy=True)
    most = MORE + 3 * max(map(len, sources)) // 2
    order = np.argsort([-len(source) for source in sources], kind="stable").tolist()
    generator = Generator(givens[0], BatchedStepper(givens[0], sampler), most=most, batch=BATCH, growing=False)
    nothing = np.zeros(0, dtype=np.int32)
    requests = [Request(place, nothing, givens[place].start, label=place) for place in order]
    found = [b""] * len(sources)
    for done in completions(generator.run(requests)):
        found[done.request.label] = decode_text(model.tokenizer, model.form, done.ids)
    return found
