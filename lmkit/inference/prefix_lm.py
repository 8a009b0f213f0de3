"""Prefix language models in numpy: a source is run at once and both ways, its target after it. Knows no files.

See `architectures.prefix_lm`. N tokens of a source, M of a target.
"""

from collections.abc import Sequence

import numpy as np

from lmkit.architectures.neural_model import BATCH_TOKENS, LoadedModel
from lmkit.architectures.prefix_lm import PrefixLMConfig
from lmkit.architectures.seq2seq_model import EncoderDecoderBase, LoadedSeq2Seq
from lmkit.errors import CheckpointError, DataError
from lmkit.inference.batch import WindowedRows
from lmkit.inference.kv_cache import State
from lmkit.inference.linear import tolerance
from lmkit.inference.transformer_layers import Decoder
from lmkit.inference.weight_folding import folded
from lmkit.protocols import F32, F64, I32


class PrefixLMModel(EncoderDecoderBase):
    """An EncoderDecoder whose memory of a source is the state after it."""

    settings: PrefixLMConfig

    def __init__(self, weights: LoadedSeq2Seq) -> None:
        super().__init__(weights)
        if weights.source_tokenizer is not weights.tokenizer:
            raise CheckpointError("damaged checkpoint: a prefix language model has one tokenizer for both sides")
        body = LoadedModel(weights.settings, weights.form, weights.tokenizer, weights.tensors, weights.digest)
        self._decoder = Decoder(folded(body))
        self.tolerance = tolerance(self.settings.layers, self.settings.width)

    def encode(self, sources: Sequence[I32]) -> list[State]:
        """See `EncoderDecoderBase.encode`; one after another."""
        return [self._read(source)[0] for source in sources]

    def _read(self, source: I32) -> tuple[State, F32]:
        """The state after a source, and what the head multiplies at each of its tokens, (N, D)."""
        cache = self._decoder.cache()
        outputs = self._decoder.extend(cache, source, both_ways=True)
        return cache.held(State(cache, len(source), outputs[-1])), outputs

    def begin(self, memory: State) -> State:
        """See `EncoderDecoderBase.begin`."""
        return self.advance(memory, self.form.start)

    def advance(self, state: State, token: int) -> State:
        """See `LanguageModel.advance`. Raises DataError beyond the context."""
        return self.follow(state, np.array([token], dtype=np.int32))[0]

    def next(self, state: State) -> F64:
        """See `LanguageModel.next`."""
        return self._decoder.head.next(state.output)

    def logits(self, state: State) -> F64:
        """See `HasLogits.logits`."""
        return self._decoder.head.logits(state.output)

    def rows(self, states: Sequence[State]) -> WindowedRows:
        """See `SupportsBatching.rows`."""
        return WindowedRows(self._decoder, states, self.settings.context, 1, BATCH_TOKENS)

    def follow(self, state: State, ids: I32) -> list[State]:
        """See `SupportsBatching.follow`. Raises DataError beyond the context."""
        if not len(ids):
            return []
        if state.length + len(ids) > self.settings.context:
            raise DataError(f"source and target are longer than the context of {self.settings.context} tokens")
        cache, length = state.cache.behind(state), state.length
        outputs = self._decoder.extend(cache, ids)
        return [cache.held(State(cache, length + 1 + place, output)) for place, output in enumerate(outputs)]

    def next_many(self, states: Sequence[State]) -> F32:
        """See `SupportsBatching.next_many`."""
        outputs = [np.zeros((0, self.settings.width), dtype=np.float32), *(state.output[None] for state in states)]
        return self._decoder.head.next_many(np.concatenate(outputs))

    def score_pairs(self, sources: Sequence[I32], targets: Sequence[I32]) -> list[F64]:
        """See `EncoderDecoder.score_pairs`; a source that comes several times together is read once."""
        found, before, memory = list[F64](), None, None
        for source, target in zip(sources, targets, strict=True):
            if not len(target):
                found.append(np.zeros(0))
                continue
            if memory is None or before is None or not np.array_equal(before, source):
                before, memory = source, self.encode([source])[0]
            inputs = np.concatenate(([self.form.start], target[:-1])).astype(np.int32)
            outputs = np.stack([state.output for state in self.follow(memory, inputs)])
            found.append(self._decoder.head.score(outputs, target))
        return found

    def alignment(self, source: I32, target: I32) -> F32:
        """See `EncoderDecoder.alignment`. Raises CheckpointError: its attention is to source and target together."""
        raise CheckpointError("it has no attention to its source alone: a prefix language model has one stack")
