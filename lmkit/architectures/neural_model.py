"""What every neural language model is beside its arithmetic: settings, tokens, tensors, and how it reads a text."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from lmkit import __version__
from lmkit.architectures import published_settings
from lmkit.architectures.config import ModelConfig
from lmkit.architectures.families import FAMILIES, imported
from lmkit.architectures.heads import LM, head_kind
from lmkit.architectures.published_settings import NOTHING, Published
from lmkit.architectures.weight_formats import FP32, PRECISION, precision_of, weights_in, written
from lmkit.checkpoint import Array, Checkpoint
from lmkit.data.sequences import NEVER, TextFormat, sequences
from lmkit.errors import CheckpointError
from lmkit.protocols import F32, F64, I32, I64, State, Tokenizer, TokenScore
from lmkit.tokenization import tokenizers

BATCH_TOKENS = 1 << 12
POOL = 1 << 16  # tokens of small documents that are scored together


@dataclass(frozen=True)
class LoadedModel:
    """A neural model as a file holds it: tensors by the names of `ModelConfig.shapes`, float32 to all who ask.

    `precision` is that of the matrices when it is written; those held in it are written as they are.
    """

    settings: ModelConfig
    form: TextFormat
    tokenizer: Tokenizer
    tensors: Mapping[str, Array]
    digest: str = ""
    published: Published = NOTHING
    precision: str = FP32

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content; matrices in its precision."""
        config = {**self.settings.to_json(), "text": self.form.to_json(), **self.published.to_config()}
        if self.precision != FP32:
            config[PRECISION] = self.precision
        tensors = {**tokenizers.tensors(self.tokenizer), **written(self.tensors, self.precision)}
        tokenizer = {**tokenizers.describe(self.tokenizer), **self.published.to_tokenizer()}
        return Checkpoint(self.settings.kind, config, tensors, tokenizer, origin)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "LoadedModel":
        """The model in a checkpoint, of head `lm`; its arrays stay where they are. Raises CheckpointError."""
        settings: ModelConfig = imported(FAMILIES[checkpoint.kind].config).from_json(checkpoint.config)
        if (kind := head_kind(checkpoint.config)) != LM:
            raise CheckpointError(f"its head is of kind {kind!r}, expected {LM!r}: it is no language model")
        tokenizer = tokenizers.load(checkpoint)
        if settings.vocabulary < tokenizer.size:
            raise CheckpointError(f"damaged checkpoint: {tokenizer.size} tokens, {settings.vocabulary} in the model")
        form = TextFormat.from_json(checkpoint.config.get("text"), tokenizer.size)
        shapes = settings.shapes()
        checkpoint.check(shapes)
        tensors, precision = weights_in(checkpoint, shapes)
        beside = published_settings.in_checkpoint(checkpoint.config, checkpoint.tokenizer)
        return cls(settings, form, tokenizer, tensors, checkpoint.digest, beside, precision)


class NeuralModel(ABC):
    """A LanguageModel over `LoadedModel`; families say how they score and step.

    `stride` is how far windows of a transformer move on, half its context if not given;
    `batch_tokens` how many tokens are run at once at most, on which no result depends.
    Raises UsageError for a stride that no window can move by.
    """

    normalised = True

    def __init__(self, weights: LoadedModel, *, stride: int | None = None, batch_tokens: int = BATCH_TOKENS) -> None:
        self.weights = weights
        self.batch_tokens = batch_tokens
        self.settings = weights.settings
        self._window = weights.settings.window(stride)
        self.stride = self._window.stride if self._window is not None else 1
        self.form = weights.form
        self.kind = weights.settings.kind
        self.digest = weights.digest
        self.precision = precision_of(weights.tensors)

    @property
    def tokenizer(self) -> Tokenizer:
        """See `LanguageModel.tokenizer`."""
        return self.weights.tokenizer

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Self:
        """The model in a checkpoint. Raises CheckpointError."""
        return cls(LoadedModel.from_checkpoint(checkpoint))

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        return self.weights.to_checkpoint(origin)

    @property
    def prompt_limit(self) -> int | None:
        """The most tokens of a prompt that are seen at once, where more could be meant to be."""
        return self.settings.sequence_limit

    def context_used(self) -> str:
        """The context length for the signature; for windowed models `context/stride`."""
        if self._window is None:
            return "unlimited"
        context, stride = self._window
        return f"{context}" if self.settings.stateful else f"{context}/{stride}"

    @property
    def signature(self) -> Mapping[str, str]:
        """See `LanguageModel.signature`."""
        return {
            "kind": self.kind,
            "context": self.context_used(),
            "by": self.form.by,
            "tokens": self.tokenizer.kind,
            "vocabulary": f"{self.tokenizer.size}@{self.tokenizer.digest[:8]}",
            **({"precision": self.precision} if self.precision else {}),
            "model": self.digest[:8],
            "version": __version__,
        }

    @abstractmethod
    def start(self) -> State:
        """See `LanguageModel.start`."""

    @abstractmethod
    def advance(self, state: State, token: int) -> State:
        """See `LanguageModel.advance`."""

    @abstractmethod
    def next(self, state: State) -> F64:
        """See `LanguageModel.next`."""

    def after(self, ids: I32) -> State:
        """The state after the tokens of a prompt, at most `prompt_limit`: as by `advance`, but together.

        Transformers put the start token in front only where the form says so; see `TextFormat.begun`.
        """
        state = self.start()
        for token in ids.tolist():
            state = self.advance(state, token)
        return state

    def seen_from(self, place: int) -> int:
        """Where the context of the token at a place of a document begins: 0 is the start token."""
        return self._window.begin(place) if self._window is not None else 0

    def explain(self, ids: Sequence[int]) -> list[TokenScore]:
        """The factors of one sentence's probability, each with the tokens that the model saw."""
        nats = self.score_many(np.array(ids, dtype=np.int32), np.array([len(ids)], dtype=np.int64)).tolist()
        given = int(self.form.bos == NEVER)
        history = [*ids] if given else [self.form.start, *ids]
        places = range(-given, len(ids) - given)
        seen = [tuple(history[self.seen_from(place) : place + 1]) if place >= 0 else () for place in places]
        return [
            TokenScore(token, context, len(context), value)
            for token, context, value in zip(ids, seen, nats, strict=True)
        ]

    @abstractmethod
    def score_many(self, ids: I32, ends: I64) -> F64:
        """See `LanguageModel.score_many`; a first token that the form leaves unpredicted is given, at 0 nats."""

    @abstractmethod
    def score_document(self, parts: Iterable[I32]) -> Iterator[F64]:
        """Nats of the tokens of one document of any length whose ids come in parts, in order.

        All tokens, but a first one that the form leaves unpredicted.
        """

    def table(self) -> F32:
        """See `HasEmbeddings.table`."""
        table: F32 = self.weights.tensors["embed_tokens.weight"]
        return table

    def read(self, blocks: Iterable[bytes]) -> Iterator[tuple[I32, F64]]:
        """See `LanguageModel.read`."""
        parts = sequences(self.tokenizer, self.form, blocks)
        if self.form.by in ("stream", "file"):
            return _aligned((ids for ids, _ in parts), self.score_document, given=int(self.form.bos == NEVER))
        return self._read_pools(parts)

    def _read_pools(self, parts: Iterator[tuple[I32, I64]]) -> Iterator[tuple[I32, F64]]:
        """Many small documents, some at a time."""
        held: list[I32] = []
        ends: list[I64] = []
        size = 0
        for ids, places in parts:
            held.append(ids)
            ends.append(places + size)
            size += len(ids)
            if size >= POOL and len(places) and places[-1] == len(ids):
                together = np.concatenate(held)
                yield together, self.score_many(together, np.concatenate(ends))
                held, ends, size = [], [], 0
        if size:
            together = np.concatenate(held)
            yield together, self.score_many(together, np.concatenate(ends))


def _aligned(parts: Iterable[I32], score: Any, *, given: int) -> Iterator[tuple[I32, F64]]:
    """Ids with their nats, though nats come later than ids and in other pieces; the first `given` ids have none."""
    waiting: list[I32] = []

    def passing() -> Iterator[I32]:
        left_out = given
        for ids in parts:
            waiting.append(ids[left_out:])
            left_out = max(0, left_out - len(ids))
            yield ids

    for nats in score(passing()):
        ids = np.concatenate(waiting)
        yield ids[: len(nats)], nats
        waiting[:] = [ids[len(nats) :]]
