"""Language models that are shown images, in numpy; see `architectures.captioner`. Knows no files.

N visual tokens of all images that are shown together, E numbers in an embedding, V vocabulary.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from lmkit.architectures.captioner import CaptionerWeights
from lmkit.architectures.transformer import TransformerConfig
from lmkit.checkpoint import Checkpoint
from lmkit.data.sequences import sequences
from lmkit.errors import DataError
from lmkit.inference.batch import TransformerRows
from lmkit.inference.kv_cache import State
from lmkit.inference.linear import tolerance
from lmkit.inference.transformer_layers import Decoder
from lmkit.inference.vision import VisionModel
from lmkit.inference.weight_folding import folded
from lmkit.protocols import F32, F64, I32, I64, Tokenizer, TokenScore


class Captioner:
    """A language model once images are given: `given(images)`."""

    def __init__(self, weights: CaptionerWeights) -> None:
        self.weights, self.kind, self.digest = weights, weights.kind, weights.digest
        self.vision = VisionModel(weights.vision)
        settings = weights.language.settings
        assert isinstance(settings, TransformerConfig)
        self.settings = settings
        rewritten = folded(weights.language)
        self.decoder = Decoder(rewritten)
        self._is_centred = rewritten.settings != settings  # a layernorm that takes no mean: what it reads has none
        self.tolerance = tolerance(settings.layers, settings.width)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "Captioner":
        """The model in a checkpoint. Raises CheckpointError."""
        return cls(CaptionerWeights.from_checkpoint(checkpoint))

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        return self.weights.to_checkpoint(origin)

    @property
    def tokenizer(self) -> Tokenizer:
        """The language model's."""
        return self.weights.language.tokenizer

    @property
    def prompt(self) -> str:
        """The prompt that it learned to write captions after."""
        return self.weights.prompt

    def visual_tokens(self, images: Sequence[F32]) -> F32:
        """Z_v of images, (H, W, C) each from 0 to 1, one after another: (N, D)."""
        found = self.vision.visual_tokens(images, self.weights.layer)
        return found.reshape(-1, found.shape[-1])

    def projected(self, tokens: F32) -> F32:
        """H_v = W Z_v + b, (N, D) to (N, E)."""
        own = self.weights.projection
        vectors: F32 = tokens @ own["weight"].T + own["bias"]
        return vectors - vectors.mean(axis=1, keepdims=True) if self._is_centred else vectors

    def given(self, images: Sequence[F32]) -> "ImageConditionedModel":
        """The language model of texts about images, which it sees in this order.

        Raises DataError where they leave no room for text in the context.
        """
        return ImageConditionedModel(self, self.visual_tokens(images))


class ImageConditionedModel:
    """A LanguageModel of texts that follow images. States of different images of one captioner advance together."""

    normalised = True

    def __init__(self, model: Captioner, tokens: F32) -> None:
        self.model, self.settings, self.tolerance = model, model.settings, model.tolerance
        self.kind, self.form = model.kind, model.weights.language.form
        self.digest = sha256(model.digest.encode() + np.ascontiguousarray(tokens).tobytes()).hexdigest()
        self._decoder = model.decoder
        self._size = len(tokens)
        if self.prompt_limit < 1:
            raise DataError(
                f"{self._size} visual tokens leave no room in the language model's context of {self.settings.context}"
            )
        self._begin = self._shown(model.projected(tokens))

    def _shown(self, vectors: F32) -> State:
        """The state after the start token and the visual tokens."""
        cache, output = self._decoder.cache(), np.zeros(self._decoder.width, np.float32)
        first = self.form.begun(np.zeros(0, np.int32)) if self.form.bos == "always" else np.zeros(0, np.int32)
        if len(first):
            output = self._decoder.extend(cache, first)[-1]
        if len(vectors):
            places = np.full(len(vectors), self.form.start, np.int32)
            output = self._decoder.extend(cache, places, vectors=vectors)[-1]
        return cache.held(State(cache, len(first) + len(vectors), output))

    @property
    def tokenizer(self) -> Tokenizer:
        """See `LanguageModel.tokenizer`."""
        return self.model.tokenizer

    @property
    def signature(self) -> Mapping[str, str]:
        """See `LanguageModel.signature`."""
        tokenizer = self.tokenizer
        return {
            "kind": self.kind, "context": str(self.settings.context), "visual": str(self._size),
            "tokens": tokenizer.kind, "vocabulary": f"{tokenizer.size}@{tokenizer.digest[:8]}",
            "model": self.model.digest[:8], **{k: v for k, v in self.model.vision.signature.items() if k == "version"},
        }  # fmt: skip

    @property
    def prompt_limit(self) -> int:
        """The most tokens of text: no window moves on, as the images would be left behind."""
        return self.settings.context - self._size - int(self.form.bos == "always")

    def context_used(self) -> str:
        """The context for the signature, and how far windows move on: by none of it."""
        return f"{self.settings.context}/{self.settings.context}"

    # One token at a time.

    def start(self) -> State:
        """See `LanguageModel.start`."""
        return self._begin

    def advance(self, state: State, token: int) -> State:
        """See `LanguageModel.advance`. Raises DataError beyond the context."""
        return self.follow(state, np.array([token], dtype=np.int32))[0]

    def after(self, ids: I32) -> State:
        """See `SupportsPrefill.after`. Raises DataError beyond the context."""
        return self.follow(self._begin, ids)[-1] if len(ids) else self._begin

    def next(self, state: State) -> F64:
        """See `LanguageModel.next`."""
        return self._decoder.head.next(state.output)

    def logits(self, state: State) -> F64:
        """See `HasLogits.logits`."""
        return self._decoder.head.logits(state.output)

    def hidden(self, state: State) -> F32:
        """See `HasHiddenStates.hidden`."""
        return state.output

    def table(self) -> F32:
        """See `HasEmbeddings.table`."""
        table: F32 = self.model.weights.language.tensors["embed_tokens.weight"]
        return table

    def vectors(self, ids: I32) -> F32:
        """See `HasEmbeddings.vectors`; of the text alone. Raises DataError beyond the context."""
        outputs = [state.output for state in self.follow(self._begin, ids)]
        return np.stack(outputs) if outputs else np.zeros((0, self.settings.width), dtype=np.float32)

    # Several steps at once.

    def rows(self, states: Sequence[State]) -> TransformerRows:
        """See `SupportsBatching.rows`."""
        return _Rows(self._decoder, states, self.settings.context)

    def follow(self, state: State, ids: I32) -> list[State]:
        """See `SupportsBatching.follow`. Raises DataError beyond the context."""
        if not len(ids):
            return []
        if state.length + len(ids) > self.settings.context:
            raise _too_long(self.settings.context)
        cache, length = state.cache.behind(state), state.length
        outputs = self._decoder.extend(cache, ids)
        return [cache.held(State(cache, length + 1 + place, output)) for place, output in enumerate(outputs)]

    def next_many(self, states: Sequence[State]) -> F32:
        """See `SupportsBatching.next_many`."""
        outputs = [np.zeros((0, self.settings.width), dtype=np.float32), *(state.output[None] for state in states)]
        return self._decoder.head.next_many(np.concatenate(outputs))

    # Many tokens at a time.

    def score_many(self, ids: I32, ends: I64) -> F64:
        """See `LanguageModel.score_many`. Raises DataError beyond the context."""
        found = [np.zeros(0)]
        for text in np.split(ids, ends[:-1]) if len(ends) else []:
            if len(text):
                states = [self._begin, *self.follow(self._begin, text[:-1])]
                found.append(self._decoder.head.score(np.stack([state.output for state in states]), text))
        return np.concatenate(found)

    def explain(self, ids: Sequence[int]) -> list[TokenScore]:
        """See `Explains.explain`; contexts are of the text alone."""
        nats = self.score_many(np.array(ids, dtype=np.int32), np.array([len(ids)], dtype=np.int64)).tolist()
        return [
            TokenScore(token, tuple(ids[:place]), place, value)
            for place, (token, value) in enumerate(zip(ids, nats, strict=True))
        ]

    def read(self, blocks: Iterable[bytes]) -> Iterator[tuple[I32, F64]]:
        """See `LanguageModel.read`. Raises DataError for texts beyond the context."""
        for ids, ends in sequences(self.tokenizer, self.model.weights.language.form, blocks):
            yield ids, self.score_many(ids, ends if len(ends) else np.array([len(ids)], dtype=np.int64))


class _Rows(TransformerRows):
    """Rows that end with the context."""

    def _roll(self) -> None:
        if int(self._cache.lengths[: len(self)].max()) >= self._context:
            raise _too_long(self._context)


def _too_long(context: int) -> DataError:
    return DataError(
        f"images, prompt and text are longer than the language model's context of {context} tokens",
        hint="a lower --max-tokens, or a shorter prompt",
    )
