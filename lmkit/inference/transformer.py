"""The transformer in numpy: states that share keys and values, windows that roll on. Knows no files.

Past the context T, stepping follows the windows of `architectures.sliding_window`: when a window is full, the
last T - S inputs are run again as the beginning of the next, for stride S.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice

import numpy as np

from lmkit.architectures import sliding_window
from lmkit.architectures.neural_model import BATCH_TOKENS, LoadedModel, NeuralModel
from lmkit.architectures.transformer import TransformerConfig
from lmkit.errors import UsageError
from lmkit.inference.batch import WindowedRows
from lmkit.inference.kv_cache import State
from lmkit.inference.linear import tolerance
from lmkit.inference.prefix_cache import TransformerTrunk
from lmkit.inference.transformer_layers import Decoder
from lmkit.inference.weight_folding import folded
from lmkit.protocols import F32, F64, I32, I64, AttentionParts


class TransformerModel(NeuralModel):
    """A LanguageModel that sees the tokens of a window."""

    settings: TransformerConfig

    def __init__(self, weights: LoadedModel, *, stride: int | None = None, batch_tokens: int = BATCH_TOKENS) -> None:
        super().__init__(weights, stride=stride, batch_tokens=batch_tokens)
        self._decoder = Decoder(folded(weights))
        self.tolerance = tolerance(self.settings.layers, self.settings.width)

    # One token at a time.

    def start(self) -> State:
        """See `LanguageModel.start`."""
        return self._fresh(np.array([self.form.start], dtype=np.int32))

    def _fresh(self, inputs: I32) -> State:
        """The state behind the inputs of a window of their own."""
        cache = self._decoder.cache()
        return cache.held(State(cache, len(inputs), self._decoder.extend(cache, inputs)[-1]))

    def advance(self, state: State, token: int) -> State:
        """See `LanguageModel.advance`."""
        ids = np.array([token], dtype=np.int32)
        length = state.length
        if length == self.settings.context:
            return self._fresh(np.concatenate((state.cache.tokens[self.stride : length], ids)))
        cache = state.cache.behind(state)
        return cache.held(State(cache, length + 1, self._decoder.extend(cache, ids)[0]))

    def after(self, ids: I32) -> State:
        """See `NeuralModel.after`; as many tokens as the context leave no room for the start token."""
        return self._fresh(self.form.begun(ids)[-self.settings.context :])

    def next(self, state: State) -> F64:
        """See `LanguageModel.next`."""
        return self._decoder.head.next(state.output)

    def logits(self, state: State) -> F64:
        """What `next` normalises, (V,)."""
        return self._decoder.head.logits(state.output)

    # Several steps at once.

    def rows(self, states: Sequence[State]) -> WindowedRows:
        """See `SupportsBatching.rows`."""
        return WindowedRows(self._decoder, states, self.settings.context, self.stride, self.batch_tokens)

    def follow(self, state: State, ids: I32) -> list[State]:
        """See `SupportsBatching.follow`: up to the end of a window together, into the next by a step."""
        found: list[State] = []
        while len(ids):
            room = self.settings.context - state.length
            if room == 0:
                found.append(self.advance(state, int(ids[0])))
                ids = ids[1:]
            else:
                cache, length = state.cache.behind(state), state.length
                outputs = self._decoder.extend(cache, ids[:room])
                found += [cache.held(State(cache, length + 1 + place, output)) for place, output in enumerate(outputs)]
                ids = ids[room:]
            state = found[-1]
        return found

    def next_many(self, states: Sequence[State]) -> F32:
        """See `SupportsBatching.next_many`."""
        outputs = [np.zeros((0, self.settings.width), dtype=np.float32), *(state.output[None] for state in states)]
        return self._decoder.head.next_many(np.concatenate(outputs))

    def trunk(self) -> TransformerTrunk:
        """See `SupportsPrefixCache.trunk`."""
        newline_id, piece = self.form.newline_id, self.tokenizer.piece
        return TransformerTrunk(
            self._decoder, self.form.begun, self.settings.context,
            lambda token: token == newline_id or piece(token).endswith(b"\n"),
        )  # fmt: skip

    # Many tokens at a time.

    def _run(self, inputs: I32, targets: I32) -> F64:
        """See `windows.Run`."""
        nats = np.zeros(targets.shape)
        wanted = targets != sliding_window.UNSCORED
        nats[wanted] = self._decoder.head.score(self._decoder.whole(inputs)[wanted], targets[wanted])
        return nats

    def score_many(self, ids: I32, ends: I64) -> F64:
        """See `LanguageModel.score_many`."""
        start, context = self.form.context_start, self.settings.context
        return sliding_window.score_sentences(self._run, start, ids, ends, context, self.stride, self.batch_tokens)

    def score_document(self, parts: Iterable[I32]) -> Iterator[F64]:
        """See `NeuralModel.score_document`."""
        several = sliding_window.windows(self.form.context_start, parts, self.settings.context, self.stride)
        return sliding_window.score(self._run, several, self.batch_tokens)

    # What is inside.

    def hidden(self, state: State) -> F32:
        """See `HasHiddenStates.hidden`."""
        return state.output

    def vectors(self, ids: I32) -> F32:
        """See `HasEmbeddings.vectors`; each token sees what fits into its window."""
        inputs = self.form.begun(ids)
        longer = np.append(inputs, np.int32(self.form.start))  # a window's inputs leave out what it predicts last
        several = sliding_window.windows(None, [longer], self.settings.context, self.stride)
        found = []
        for length, alike in groupby(several, key=lambda window: len(window.inputs)):
            while some := list(islice(alike, max(1, self.batch_tokens // length))):
                outputs = self._decoder.whole(np.stack([window.inputs for window in some]))
                found += [rows[window.first :] for rows, window in zip(outputs, some, strict=True)]
        return np.concatenate(found)[len(inputs) - len(ids) :]

    def attention(self, ids: I32) -> AttentionParts:
        """See `HasAttention.attention`. Raises UsageError for more tokens than the context."""
        inputs = self.form.begun(ids)
        if len(inputs) > self.settings.context:
            begun = ", the first to start with," if len(inputs) > len(ids) else ""
            raise UsageError(
                f"{len(inputs)} tokens{begun} and a context of {self.settings.context}",
                hint="a shorter text fits",
            )
        return self._decoder.attention(inputs)
