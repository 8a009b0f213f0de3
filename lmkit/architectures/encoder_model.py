"""An encoder as a file holds it: settings, special tokens, tokenizer, tensors, and how sentences are pooled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lmkit.architectures import published_settings
from lmkit.architectures.encoder import EncoderConfig
from lmkit.architectures.published_settings import NOTHING, Published
from lmkit.checkpoint import Array, Checkpoint
from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.errors import CheckpointError
from lmkit.protocols import Tokenizer
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
