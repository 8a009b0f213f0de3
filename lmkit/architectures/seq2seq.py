"""What the settings of all encoder-decoders share. Sutskever et al. (2014), Cho et al. (2014).

`vocabulary` is that of targets. Tensors of the encoder begin with `encoder.`, those of the decoder with `decoder.`,
and the head is `lm_head`; embeddings are `encoder.embed_tokens.weight` and `decoder.embed_tokens.weight`, or one table
`embed_tokens.weight` where both sides share it.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from lmkit.architectures.config import ModelConfig, Shapes
from lmkit.errors import UsageError

SHARED, SOURCE, TARGET = "embed_tokens.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig(ModelConfig):
    """Settings of an encoder-decoder."""

    stateful: ClassVar[bool] = True

    source_vocabulary: int
    """The number of token ids of sources."""
    shared: bool = False
    """Whether sources and targets have one table of embeddings."""
    tied: bool = False
    """Whether the head is the table of embeddings of targets."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shared and self.vocabulary != self.source_vocabulary:
            raise UsageError(
                f"one table of embeddings for {self.source_vocabulary} tokens of sources, {self.vocabulary} of targets"
            )

    @property
    @abstractmethod
    def embedding_width(self) -> int:
        """E, numbers in an embedding."""

    @property
    def source_limit(self) -> int | None:
        """The most tokens of a source; None: any number."""
        return None

    @property
    def target_limit(self) -> int | None:
        """The most tokens of a target, the start token not counted; None: any number."""
        return None

    @property
    def source_table(self) -> str:
        """The name of the embeddings of sources."""
        return SHARED if self.shared else SOURCE

    @property
    def target_table(self) -> str:
        """The name of the embeddings of targets."""
        return SHARED if self.shared else TARGET

    def tables(self) -> Shapes:
        """Shapes of the embeddings."""
        return {
            self.source_table: (self.source_vocabulary, self.embedding_width),
            self.target_table: (self.vocabulary, self.embedding_width),
        }
