"""The transformer encoder-decoder in numpy: each source is run once, and its texts share what they see of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from lmkit.architectures.neural_model import BATCH_TOKENS
from lmkit.architectures.seq2seq_model import EncoderDecoderBase, LoadedSeq2Seq
from lmkit.architectures.seq2seq_transformer import Seq2SeqTransformerConfig
from lmkit.inference.batch import TransformerRows
from lmkit.inference.kv_cache import State
from lmkit.inference.linear import tolerance
from lmkit.inference.seq2seq_layers import EncoderDecoder
from lmkit.inference.source_memory import Memory, SourceCache
from lmkit.protocols import F32, F64, I32, AttentionParts

_ANY = 1 << 30
"""Tokens that are never reached: targets have no windows."""


class Seq2SeqTransformerModel(EncoderDecoderBase):
    """A transformer encoder-decoder in numpy."""

    def __init__(self, weights: LoadedSeq2Seq) -> None:
        super().__init__(weights)
        settings = weights.settings
        assert isinstance(settings, Seq2SeqTransformerConfig)
        self._decoder = EncoderDecoder(settings, weights.tensors, weights.tokenizer.size)
        self._prefix = np.array([self.form.start, *weights.source_form.target], dtype=np.int32)
        self.tolerance = tolerance(settings.layers + settings.decoder_layers, settings.width)

    @property
    def target_limit(self) -> int | None:
        """See `EncoderDecoder.target_limit`; tokens that are given of each target take positions too."""
        limit = self.settings.target_limit
        return None if limit is None else limit + 1 - len(self._prefix)

    def encode(self, sources: Sequence[I32]) -> list[Memory]:
        """See `EncoderDecoderBase.encode`."""
        return self._decoder.exact_memories(sources)

    def begin(self, memory: Memory) -> "Beginning":
        """See `EncoderDecoderBase.begin`."""
        return Beginning(memory, self.started)

    def started(self, memory: Memory) -> State:
        """The state behind the first tokens of a target, which are the same for all."""
        cache = self._decoder.cache(memory)
        return cache.held(State(cache, len(self._prefix), self._decoder.extend(cache, self._prefix)[-1]))

    def advance(self, state: "State | Beginning", token: int) -> State:
        """See `LanguageModel.advance`."""
        return self.follow(state, np.array([token], dtype=np.int32))[0]

    def follow(self, state: "State | Beginning", ids: I32) -> list[State]:
        """See `SupportsBatching.follow`."""
        state = _started(state)
        cache, length = state.cache.behind(state), state.length
        assert isinstance(cache, SourceCache)
        if not len(ids):
            return []
        outputs = self._decoder.extend(cache, ids)
        return [cache.held(State(cache, length + 1 + place, output)) for place, output in enumerate(outputs)]

    def next(self, state: "State | Beginning") -> F64:
        """See `LanguageModel.next`."""
        return self._decoder.head.next(_started(state).output)

    def logits(self, state: "State | Beginning") -> F64:
        """See `HasLogits.logits`."""
        return self._decoder.head.logits(_started(state).output)

    def next_many(self, states: "Sequence[State | Beginning]") -> F32:
        """See `SupportsBatching.next_many`."""
        outputs = [np.zeros((0, self._decoder.width), dtype=np.float32)]
        return self._decoder.head.next_many(np.concatenate([*outputs, *(_started(one).output[None] for one in states)]))

    def rows(self, states: "Sequence[State | Beginning]") -> TransformerRows:
        """See `SupportsBatching.rows`."""
        return SourceTransformerRows(self._decoder, states, self._prefix)

    def score_pairs(self, sources: Sequence[I32], targets: Sequence[I32]) -> list[F64]:
        """See `EncoderDecoder.score_pairs`; pairs of like lengths are run together, each source once in each batch."""
        found = [np.zeros(0)] * len(targets)
        for some in _batches(sources, targets):
            unique = {sources[place].tobytes(): sources[place] for place in some}
            memories = dict(zip(unique, self._decoder.memories(list(unique.values())), strict=True))
            inputs = [np.concatenate((self._prefix, targets[place][:-1])) for place in some]
            hidden = self._decoder.whole([memories[sources[place].tobytes()] for place in some], inputs)
            predicted = np.concatenate([np.arange(len(one)) >= len(self._prefix) - 1 for one in inputs])
            nats = self._decoder.head.score(hidden[predicted], np.concatenate([targets[place] for place in some]))
            ends = np.cumsum([len(targets[place]) for place in some])
            for place, part in zip(some, np.split(nats, ends[:-1]), strict=True):
                found[place] = part
        return found

    def encoder_attention(self, source: I32) -> AttentionParts:
        """See `EncoderDecoder.encoder_attention`."""
        return self._decoder.encoder_attention(self.checked(source))

    def decoder_attention(self, source: I32, target: I32) -> AttentionParts:
        """See `EncoderDecoder.decoder_attention`."""
        (memory,) = self._decoder.memories([source])
        return self._decoder.decoder_attention(memory, np.concatenate((self._prefix, target[:-1])))

    def alignment(self, source: I32, target: I32) -> F32:
        """See `EncoderDecoder.alignment`."""
        (memory,) = self._decoder.memories([source])
        inputs = np.concatenate((self._prefix, target[:-1]))
        return self._decoder.weights(memory, inputs)[:, :, len(self._prefix) - 1 :][:, :, : len(target)]


class Beginning:
    """The state before a target. Where it is looked at alone, its first tokens are run alone; no key."""

    __slots__ = ("_start", "_started", "memory")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, memory: Memory, start: Callable[[Memory], State]) -> None:
        self.memory, self._start = memory, start
        self._started: State | None = None

    @property
    def started(self) -> State:
        """The state behind the first tokens."""
        if self._started is None:
            self._started = self._start(self.memory)
        return self._started


def _started(state: State | Beginning) -> State:
    return state.started if isinstance(state, Beginning) else state


class SourceTransformerRows(TransformerRows):
    """Rows of targets; those that begin together run their first tokens together."""

    def __init__(self, decoder: EncoderDecoder, states: Sequence[State | Beginning], prefix: I32) -> None:
        self._sources, self._prefix = decoder, prefix
        super().__init__(decoder, [], _ANY)
        self.join(states)

    def join(self, states: Sequence[State | Beginning]) -> None:
        """See `DecodingBatch.join`."""
        found = self._begun({id(one): one.memory for one in states if isinstance(one, Beginning)})
        super().join([found[id(one)] if isinstance(one, Beginning) else one for one in states])

    def _begun(self, memories: Mapping[int, Memory]) -> dict[int, State]:
        """The states behind the first tokens, by the identities of those before them."""
        if not memories:
            return {}
        made = self._sources.begun(list(memories.values()), self._prefix)
        return {
            name: State(cache, len(self._prefix), output) for name, (cache, output) in zip(memories, made, strict=True)
        }


def _batches(sources: Sequence[I32], targets: Sequence[I32]) -> Iterator[list[int]]:
    """Pairs of like lengths, by their numbers, whose sides have so many tokens at most, or one; no empty targets."""
    order = sorted(range(len(targets)), key=lambda place: (len(targets[place]), len(sources[place])))
    some: list[int] = []
    size = 0
    for place in order:
        if len(targets[place]):
            more = max(len(sources[place]), len(targets[place]))
            if some and size + more > BATCH_TOKENS:
                yield some
                some, size = [], 0
            some.append(place)
            size += more
    if some:
        yield some
