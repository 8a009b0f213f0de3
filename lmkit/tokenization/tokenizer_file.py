"""A tokenizer alone as a checkpoint."""

from collections.abc import Mapping
from typing import Any

from lmkit.checkpoint import Checkpoint
from lmkit.protocols import Tokenizer
from lmkit.tokenization import tokenizers


class TokenizerFile:
    """A checkpoint that holds a tokenizer and no model."""

    kind = "tokenizer"

    def __init__(self, tokenizer: Tokenizer, config: Mapping[str, Any] | None = None) -> None:
        self.tokenizer = tokenizer
        self.config = config or {}

    def to_checkpoint(self, origin: dict[str, Any]) -> Checkpoint:
        """As a checkpoint."""
        return Checkpoint(
            self.kind, self.config, tokenizers.tensors(self.tokenizer), tokenizers.describe(self.tokenizer), origin
        )

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "TokenizerFile":
        """The inverse. Raises CheckpointError where the tokenizer can't be used."""
        return cls(tokenizers.load(checkpoint), checkpoint.config)
