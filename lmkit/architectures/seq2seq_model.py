"""An encoder-decoder as a file holds it, and what each of them answers whatever multiplies its matrices.

N tokens of a source, M of a target, B texts, V vocabulary of targets.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from lmkit import __version__
from lmkit.architectures import published_settings
from lmkit.architectures.families import SEQ2SEQ, imported
from lmkit.architectures.published_settings import NOTHING, Published
from lmkit.architectures.seq2seq import Seq2SeqConfig
from lmkit.checkpoint import Array, Checkpoint
from lmkit.data.sequences import TextFormat, sequences
from lmkit.data.source_format import SourceFormat
from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import F32, F64, I32, I64, AttentionParts, DecodingBatch, Floats, State, Tokenizer, TokenScore
from lmkit.tokenization import tokenizers

SOURCE = "tokenizer.source."
"""What the tensors of a source's own tokenizer begin with."""

Memory = Any
"""What a decoder needs of one source: immutable by contract; states refer to it."""


@dataclass(frozen=True)
class LoadedSeq2Seq:
    """An encoder-decoder's weights: tensors of float32 by the names of `ModelConfig.shapes`, and what goes with them.

    Its checkpoint's `config` holds the settings, `text` (`TextFormat.to_json`, of targets) and `source`
    (`SourceFormat.to_json`, and with `tokenizer` the description of a tokenizer of its own, whose tensors begin with
    `tokenizer.source.`). The checkpoint's tokenizer is that of targets.
    """

    settings: Seq2SeqConfig
    form: TextFormat
    source_form: SourceFormat
    tokenizer: Tokenizer
    source_tokenizer: Tokenizer
    """The same object as `tokenizer` where both sides share one."""
    tensors: Mapping[str, Array]
    digest: str = ""
    published: Published = NOTHING

    @property
    def kind(self) -> str:
        """The kind of the settings."""
        return self.settings.kind

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        source: dict[str, Any] = self.source_form.to_json()
        own: dict[str, Any] = {}
        if self.source_tokenizer is not self.tokenizer:
            source["tokenizer"] = tokenizers.describe(self.source_tokenizer)
            held = tokenizers.tensors(self.source_tokenizer).items()
            own = {SOURCE + name.removeprefix("tokenizer."): tensor for name, tensor in held}
        config = {
            **self.settings.to_json(),
            "source": source,
            "text": self.form.to_json(),
            **self.published.to_config(),
        }
        tensors = {**tokenizers.tensors(self.tokenizer), **own, **self.tensors}
        tokenizer = {**tokenizers.describe(self.tokenizer), **self.published.to_tokenizer()}
        return Checkpoint(self.settings.kind, config, tensors, tokenizer, origin)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "LoadedSeq2Seq":
        """The model in a checkpoint; its arrays stay where they are. Raises CheckpointError."""
        settings: Seq2SeqConfig = imported(SEQ2SEQ[checkpoint.kind].config).from_json(checkpoint.config)
        source = checkpoint.config.get("source")
        if not isinstance(source, Mapping):
            raise CheckpointError("damaged checkpoint: nothing says how the model reads sources")
        tokenizer = own = tokenizers.load(checkpoint)
        if "tokenizer" in source:
            if not isinstance(source["tokenizer"], Mapping):
                raise CheckpointError("damaged checkpoint: the tokenizer of sources is not described")
            own = tokenizers.load(checkpoint.with_tokenizer(source["tokenizer"], SOURCE))
        sizes = (own.size, settings.source_vocabulary), (tokenizer.size, settings.vocabulary)
        for held, known in sizes:
            if known < held:
                raise CheckpointError(f"damaged checkpoint: {held} tokens, {known} in the model")
        form = TextFormat.from_json(checkpoint.config.get("text"), tokenizer.size)
        if form.multiline or form.newline_id is None:
            raise CheckpointError("damaged checkpoint: the targets of an encoder-decoder are lines that end")
        shapes = settings.shapes()
        checkpoint.check(shapes)
        tensors = {name: checkpoint.array(name, "F32", shape) for name, shape in shapes.items()}
        beside = published_settings.in_checkpoint(checkpoint.config, checkpoint.tokenizer)
        return cls(
            settings, form, SourceFormat.from_json(source, own.size), tokenizer, own, tensors, checkpoint.digest, beside
        )


class EncoderDecoderBase(ABC):
    """An encoder-decoder; see `protocols.EncoderDecoder`. Families say how they run.

    States may be of different sources wherever several are taken. What is worked out of one source or state has the
    same bits whatever is worked out beside it, except where `tolerance` says how far it may be off: in `rows`,
    `next_many` and `score_pairs`.
    """

    tolerance: float

    def __init__(self, weights: LoadedSeq2Seq) -> None:
        self.weights = weights
        self.settings = weights.settings
        self.form = weights.form
        self.kind = weights.settings.kind
        self.digest = weights.digest

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Self:
        """The model in a checkpoint. Raises CheckpointError."""
        return cls(LoadedSeq2Seq.from_checkpoint(checkpoint))

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        return self.weights.to_checkpoint(origin)

    # What a family says.

    @abstractmethod
    def encode(self, sources: Sequence[I32]) -> list[Memory]:
        """What the decoder needs of each source, with the same bits whatever the others are."""

    @abstractmethod
    def begin(self, memory: Memory) -> State:
        """The state after the start token, before the first token of a target."""

    @abstractmethod
    def advance(self, state: State, token: int) -> State:
        """See `LanguageModel.advance`."""

    @abstractmethod
    def next(self, state: State) -> F64:
        """See `LanguageModel.next`."""

    @abstractmethod
    def logits(self, state: State) -> F64:
        """See `HasLogits.logits`."""

    @abstractmethod
    def rows(self, states: Sequence[State]) -> DecodingBatch:
        """See `SupportsBatching.rows`."""

    @abstractmethod
    def follow(self, state: State, ids: I32) -> list[State]:
        """See `SupportsBatching.follow`."""

    @abstractmethod
    def next_many(self, states: Sequence[State]) -> Floats:
        """See `SupportsBatching.next_many`."""

    @abstractmethod
    def score_pairs(self, sources: Sequence[I32], targets: Sequence[I32]) -> list[F64]:
        """See `EncoderDecoder.score_pairs`."""

    @abstractmethod
    def alignment(self, source: I32, target: I32) -> F32:
        """See `EncoderDecoder.alignment`."""

    def encoder_attention(self, source: I32) -> AttentionParts:
        """See `EncoderDecoder.encoder_attention`."""
        raise CheckpointError(
            f"a model of kind {self.kind} has no self-attention of its encoder",
            hint="--align prints what targets take of their sources",
        )

    def decoder_attention(self, source: I32, target: I32) -> AttentionParts:
        """See `EncoderDecoder.decoder_attention`."""
        raise CheckpointError(f"a model of kind {self.kind} has no self-attention of its decoder")

    # What all of them answer.

    @property
    def tokenizer(self) -> Tokenizer:
        """See `EncoderDecoder.tokenizer`."""
        return self.weights.tokenizer

    @property
    def source_tokenizer(self) -> Tokenizer:
        """See `EncoderDecoder.source_tokenizer`."""
        return self.weights.source_tokenizer

    @property
    def source_limit(self) -> int | None:
        """See `EncoderDecoder.source_limit`."""
        return self.settings.source_limit

    @property
    def target_limit(self) -> int | None:
        """See `EncoderDecoder.target_limit`."""
        return self.settings.target_limit

    @property
    def signature(self) -> Mapping[str, str]:
        """See `EncoderDecoder.signature`."""

        def named(tokenizer: Tokenizer) -> str:
            return f"{tokenizer.size}@{tokenizer.digest[:8]}"

        return {
            "kind": self.kind,
            "tokens": self.tokenizer.kind,
            "source": named(self.source_tokenizer),
            "vocabulary": named(self.tokenizer),
            "model": self.digest[:8],
            "version": __version__,
        }

    def source_ids(self, text: bytes, *, window: bool = False) -> I32:
        """See `EncoderDecoder.source_ids`."""
        if b"\n" in text:
            raise DataError("the source has several lines, but the model reads single lines")
        return self._source(self.source_tokenizer.encode(text), window=window)

    def source_ids_many(self, texts: Sequence[bytes], *, window: bool = False) -> list[I32]:
        """As `source_ids` of each."""
        block = b"\n".join(texts) + b"\n"
        if block.count(b"\n") != len(texts) or b"\r" in block:
            return [self.source_ids(text, window=window) for text in texts]
        ids, ends = self.source_tokenizer.encode_block(block)
        return [self._source(one, window=window) for one in np.split(ids, ends[:-1])]

    def _source(self, ids: I32, *, window: bool) -> I32:
        """A source's ids with those around them, of a long one the last if `window`. Raises DataError."""
        form, limit = self.weights.source_form, self.source_limit
        if window and limit is not None:
            ids = ids[max(0, len(ids) + len(form.before) + len(form.after) - limit) :]
        return self.checked(form.around(ids))

    def checked(self, source: I32) -> I32:
        """The same source. Raises DataError where it is longer than the model reads."""
        limit = self.source_limit
        if limit is not None and len(source) > limit:
            raise DataError(
                f"source of {len(source)} tokens, special ones too, exceeds the model's {limit}",
                hint="use --window to keep only its last tokens",
            )
        return source

    def given(self, source: I32) -> "ConditionalModel":
        """See `EncoderDecoder.given`."""
        return self.given_many([source])[0]

    def given_many(self, sources: Sequence[I32]) -> list["ConditionalModel"]:
        """See `EncoderDecoder.given_many`."""
        memories = self.encode([self.checked(source) for source in sources])
        return [ConditionalModel(self, source, memory) for source, memory in zip(sources, memories, strict=True)]


class ConditionalModel:
    """The language model of targets of a source; see `protocols.ConditionalModel`."""

    normalised = True

    def __init__(self, model: EncoderDecoderBase, source: I32, memory: Memory) -> None:
        self.model, self.source, self._memory, self.weights = model, source, memory, model.weights
        self.settings, self.tolerance = model.settings, model.tolerance
        self.kind, self.form, self.digest = model.kind, model.form, model.digest
        self.advance, self.next, self.logits = model.advance, model.next, model.logits
        self.rows, self.follow, self.next_many = model.rows, model.follow, model.next_many

    @property
    def tokenizer(self) -> Tokenizer:
        """See `LanguageModel.tokenizer`."""
        return self.model.tokenizer

    @property
    def source_tokenizer(self) -> Tokenizer:
        """See `protocols.ConditionalModel.source_tokenizer`."""
        return self.model.source_tokenizer

    @property
    def target_limit(self) -> int | None:
        """See `EncoderDecoder.target_limit`."""
        return self.model.target_limit

    @property
    def signature(self) -> Mapping[str, str]:
        """See `LanguageModel.signature`."""
        return self.model.signature

    def source_ids(self, text: bytes, *, window: bool = False) -> I32:
        """See `EncoderDecoder.source_ids`."""
        return self.model.source_ids(text, window=window)

    def source_ids_many(self, texts: Sequence[bytes], *, window: bool = False) -> list[I32]:
        """See `EncoderDecoder.source_ids_many`."""
        return self.model.source_ids_many(texts, window=window)

    def for_source(self, source: I32) -> "ConditionalModel":
        """See `protocols.ConditionalModel.for_source`."""
        return self.model.given(source)

    def for_sources(self, sources: Sequence[I32]) -> list["ConditionalModel"]:
        """See `protocols.ConditionalModel.for_sources`."""
        return self.model.given_many(sources)

    def start(self) -> State:
        """See `LanguageModel.start`."""
        return self.model.begin(self._memory)

    def score_many(self, ids: I32, ends: I64) -> F64:
        """See `LanguageModel.score_many`."""
        targets = np.split(ids, ends[:-1]) if len(ends) else []
        found = self.model.score_pairs([self.source] * len(targets), targets)
        return np.concatenate([np.zeros(0), *found])

    def explain(self, ids: Sequence[int]) -> list[TokenScore]:
        """See `Explains.explain`: the contexts are of the target, whose start token is in front."""
        nats = self.score_many(np.array(ids, dtype=np.int32), np.array([len(ids)], dtype=np.int64)).tolist()
        history = (self.form.start, *ids)
        return [
            TokenScore(token, history[: place + 1], place + 1, value)
            for place, (token, value) in enumerate(zip(ids, nats, strict=True))
        ]

    def read(self, blocks: Iterable[bytes]) -> Iterator[tuple[I32, F64]]:
        """See `LanguageModel.read`: each line is a target of the source."""
        for ids, ends in sequences(self.tokenizer, self.model.weights.form, blocks):
            yield ids, self.score_many(ids, ends)
