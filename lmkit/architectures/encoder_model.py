"""An encoder as a file holds it: settings, special tokens, tokenizer, tensors, and how sentences are pooled.

And what every encoder answers whatever multiplies its matrices. N tokens, M places, D width, V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from lmkit import __version__
from lmkit.architectures import published_settings
from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.published_settings import NOTHING, Published
from lmkit.checkpoint import Array, Checkpoint
from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import F32, I32, Tokenizer
from lmkit.tokenization import tokenizers

POOLINGS = ("mean", "cls", "max")


@dataclass(frozen=True)
class Pooling:
    """How the makers of a model of sentences make one vector of a sentence's hidden states.

    mode       `mean` or `max` over all tokens, special ones too, or the state of the first token, `cls`
    normalize  whether the vector is divided by its length
    limit      the most tokens of a sentence, special ones too, where the makers say so; 0: as many as fit
    """

    mode: str = "mean"
    normalize: bool = False
    limit: int = 0

    def to_json(self) -> dict[str, Any]:
        """The settings as a checkpoint's `pooling`."""
        return {"limit": self.limit, "mode": self.mode, "normalize": self.normalize}

    @classmethod
    def from_json(cls, values: object) -> "Pooling":
        """The settings out of a checkpoint. Raises CheckpointError where they are none."""
        if isinstance(values, Mapping) and set(values) == {"limit", "mode", "normalize"}:
            mode, normalize, limit = values["mode"], values["normalize"], values["limit"]
            if mode in POOLINGS and isinstance(normalize, bool) and type(limit) is int and limit >= 0:
                return cls(mode, normalize, limit)
        raise CheckpointError("damaged checkpoint: the settings of pooling are invalid")


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder's weights: tensors of float32 by the names of `EncoderConfig.shapes`, and what goes with them.

    Its checkpoint is of kind `encoder`; `config` holds `body` and `head` (`EncoderConfig.to_json`), `text`
    (`EncoderFormat.to_json`), and `pooling` where sentences have one of their own.
    """

    kind: ClassVar[str] = EncoderConfig.kind

    settings: EncoderConfig
    form: EncoderFormat
    tokenizer: Tokenizer
    tensors: Mapping[str, Array]
    digest: str = ""
    published: Published = NOTHING
    pooling: Pooling | None = None

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The encoder as a file's content."""
        pooling = {} if self.pooling is None else {"pooling": self.pooling.to_json()}
        config = {**self.settings.to_json(), "text": self.form.to_json(), **pooling, **self.published.to_config()}
        tensors = {**tokenizers.tensors(self.tokenizer), **self.tensors}
        tokenizer = {**tokenizers.describe(self.tokenizer), **self.published.to_tokenizer()}
        return Checkpoint(self.kind, config, tensors, tokenizer, origin)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "LoadedEncoder":
        """The encoder in a checkpoint; its arrays stay where they are. Raises CheckpointError."""
        settings = EncoderConfig.from_json(checkpoint.config)
        tokenizer = tokenizers.load(checkpoint)
        if settings.vocabulary < tokenizer.size:
            raise CheckpointError(f"damaged checkpoint: {tokenizer.size} tokens, {settings.vocabulary} in the model")
        form = EncoderFormat.from_json(checkpoint.config.get("text"), tokenizer.size)
        said = checkpoint.config.get("pooling")
        shapes = settings.shapes()
        checkpoint.check(shapes)
        tensors = {name: checkpoint.array(name, "F32", shape) for name, shape in shapes.items()}
        beside = published_settings.in_checkpoint(checkpoint.config, checkpoint.tokenizer)
        pooling = None if said is None else Pooling.from_json(said)
        return cls(settings, form, tokenizer, tensors, checkpoint.digest, beside, pooling)


class EncoderBase(ABC):
    """An encoder; see `protocols.Encoder`. Backends say how they run."""

    kind: ClassVar[str] = EncoderConfig.kind

    def __init__(self, weights: LoadedEncoder) -> None:
        self.weights = weights
        self.settings = weights.settings
        self.form = weights.form
        self.digest = weights.digest

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Self:
        """The model in a checkpoint. Raises CheckpointError."""
        return cls(LoadedEncoder.from_checkpoint(checkpoint))

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """The model as a file's content."""
        return self.weights.to_checkpoint(origin)

    @property
    def tokenizer(self) -> Tokenizer:
        """See `Encoder.tokenizer`."""
        return self.weights.tokenizer

    @property
    def context(self) -> int:
        """See `Encoder.context`."""
        return self.settings.context

    @property
    def signature(self) -> Mapping[str, str]:
        """See `Encoder.signature`."""
        tokenizer = self.tokenizer
        return {
            "kind": self.kind,
            "context": str(self.context),
            "tokens": tokenizer.kind,
            "vocabulary": f"{tokenizer.size}@{tokenizer.digest[:8]}",
            "model": self.digest[:8],
            "version": __version__,
        }

    @property
    def sentence_pooling(self) -> tuple[str, bool, int]:
        """See `Encoder.sentence_pooling`; the mean where they say nothing."""
        said = self.weights.pooling or Pooling()
        return said.mode, said.normalize, said.limit

    def table(self) -> F32:
        """See `Encoder.table`."""
        table: F32 = self.weights.tensors["embed_tokens.weight"]
        return table

    def vectors(self, ids: I32) -> F32:
        """See `Encoder.vectors`."""
        whole, segments = self.form.single(ids)
        if len(whole) > self.context:
            raise DataError(f"{len(whole)} tokens, special ones too: the model sees {self.context} at once")
        begin = int(self.form.cls is not None)
        return self.hidden_states(whole, segments, [len(whole)])[begin : begin + len(ids)]

    def check_fills(self) -> None:
        """Raises CheckpointError for an encoder that predicts no tokens."""
        if not self.settings.task.startswith("mlm"):
            raise CheckpointError(
                f"an encoder with head {self.settings.task}, which predicts no tokens",
                hint="filling and pseudo-perplexity need a head of masked language modelling",
            )

    @abstractmethod
    def hidden_states(self, ids: I32, segments: I32, lengths: Sequence[int]) -> F32:
        """See `Encoder.hidden_states`."""

    @abstractmethod
    def log_probabilities(self, hidden: F32) -> F32:
        """See `Encoder.log_probabilities`."""
