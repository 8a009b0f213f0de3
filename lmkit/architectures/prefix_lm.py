"""The prefix language model: one transformer reads a source both ways and writes a target after it.

Raffel et al. (2020), section 3.2.1, figure 4; Liu et al. (2018). Source, start token and target are one sequence with
positions from 0; blocks, tensors and their names are those of `architectures.transformer`. With S tokens of the source,

    position i attends to position j   if j < S (the prefix, seen by all) or j <= i (causal after it)

so that no token of the prefix sees the target. The loss is on the target alone. Half of the context is for sources.
"""

from dataclasses import dataclass
from typing import ClassVar

from lmkit.architectures.seq2seq import Seq2SeqConfig
from lmkit.architectures.transformer import TransformerConfig
from lmkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class PrefixLMConfig(TransformerConfig, Seq2SeqConfig):
    """Settings of a prefix language model."""

    kind: ClassVar[str] = "prefix-lm"

    shared: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.shared:
            raise UsageError("a prefix language model has one vocabulary for sources and targets")
        if self.context < 4:
            raise UsageError(f"a context of {self.context} has no room for a source and a target, at least 4 tokens")

    @property
    def embedding_width(self) -> int:
        """See `Seq2SeqConfig.embedding_width`."""
        return self.width

    @property
    def source_limit(self) -> int:
        """See `Seq2SeqConfig.source_limit`."""
        return self.context // 2

    @property
    def target_limit(self) -> int:
        """See `Seq2SeqConfig.target_limit`."""
        return self.context - self.source_limit - 1
